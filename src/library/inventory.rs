//! What a changer says is in its places.

use super::{Changer, LibraryError};
use crate::scsi::cdb::{self, ElementQuestion};
use crate::scsi::element_status::{Element, ElementStatus, ElementType, Identifier};

/// Elements that are asked for at a time. Some changers answer nothing at all to larger numbers.
const ELEMENTS_AT_A_TIME: u16 = 1000;

/// Room for an answer: what fits into two bytes, since some changers look at no more of the allocation length.
const ALLOCATION_LENGTH: u16 = 0xFFFF;

/// MEDIUM TYPE of a cleaning cartridge (SMC-3).
const MEDIUM_TYPE_CLEANING: u8 = 2;

/// What the barcodes of cleaning cartridges begin with.
const CLEANING_PREFIX: &str = "CLN";

const ATTEMPT: &str = "READ ELEMENT STATUS";

/// All places of a library and what is in them, each kind in the order of its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// Bays: places with drives.
    pub bays: Vec<Bay>,
    /// Slots.
    pub slots: Vec<Place>,
    /// Places at the operator's door.
    pub import_export: Vec<Place>,
    /// Hands of the robot.
    pub transports: Vec<Place>,
}

/// A place with a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bay {
    /// The place.
    pub place: Place,
    /// Serial number of the drive in it, as the changer says (DVCID).
    pub drive_serial: Option<String>,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// ELEMENT ADDRESS.
    pub address: u16,
    /// What is in it.
    pub volume: Option<Volume>,
    /// What the changer says is wrong with it: ASC and ASCQ.
    pub exception: Option<(u8, u8)>,
}

/// A cartridge in a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its barcode, if the changer could read one.
    pub barcode: Option<String>,
    /// Whether it is a cleaning cartridge: it is never held, and never gets a key.
    pub cleaning: bool,
}

impl Changer {
    /// Asks what is where. One question for each kind of places, more in large libraries; the robot moves for none of them.
    ///
    /// # Errors
    /// [`LibraryError`]: whatever kept the changer from answering.
    pub fn inventory(&mut self) -> Result<Inventory, LibraryError> {
        Ok(Inventory {
            bays: self.bays()?,
            slots: self.places(ElementType::Storage)?,
            import_export: self.places(ElementType::ImportExport)?,
            transports: self.places(ElementType::MediumTransport)?,
        })
    }

    fn places(&mut self, element_type: ElementType) -> Result<Vec<Place>, LibraryError> {
        let elements = match self.elements(element_type, true, false) {
            Err(error) if error.is_no_such_element() => Vec::new(),
            elements => elements?,
        };
        Ok(elements.into_iter().map(place).collect())
    }

    /// Bays with their drives. Changers that do not take both questions in one are asked twice; those that know no drives are asked once more.
    fn bays(&mut self) -> Result<Vec<Bay>, LibraryError> {
        let both = match self.elements(ElementType::DataTransfer, true, true) {
            Err(error) if error.is_refusal_of_form() => None,
            elements => Some(elements?),
        };
        let elements = match both {
            Some(elements) => elements,
            None => {
                let drives = match self.elements(ElementType::DataTransfer, false, true) {
                    Err(error) if error.is_refusal_of_form() => Vec::new(),
                    drives => drives?,
                };
                with_identifiers(self.elements(ElementType::DataTransfer, true, false)?, &drives)
            }
        };
        Ok(elements.into_iter().map(bay).collect())
    }

    fn elements(
        &mut self,
        element_type: ElementType,
        volume_tags: bool,
        identifiers: bool,
    ) -> Result<Vec<Element>, LibraryError> {
        let mut elements: Vec<Element> = Vec::new();
        let mut from = 0;
        loop {
            let question = ElementQuestion {
                element_type,
                first: from,
                count: ELEMENTS_AT_A_TIME,
                volume_tags,
                identifiers,
                current_data: self.takes_current_data,
            };
            let status = self.element_status(question)?;
            let of_kind = |element: &Element| element.element_type == element_type.code() && element.address >= from;
            let sent: Vec<Element> = status.elements.into_iter().filter(of_kind).collect();
            let Some(last) = sent.iter().map(|element| element.address).max() else {
                if status.available == 0 {
                    return Ok(elements);
                }
                return Err(LibraryError::Withheld {
                    path: self.path().to_owned(),
                    available: status.available,
                    from,
                });
            };
            let all_sent = sent.len() >= status.available.into() && status.available < ELEMENTS_AT_A_TIME;
            elements.extend(sent);
            // Addresses only go up, so this ends after 65 536 elements at the latest.
            match last.checked_add(1).filter(|_| !all_sent) {
                Some(next) => from = next,
                None => {
                    elements.sort_by_key(|element| element.address);
                    return Ok(elements);
                }
            }
        }
    }
}

impl Changer {
    /// One question and its answer, without CURDATA if the changer does not take it.
    fn element_status(&mut self, mut question: ElementQuestion) -> Result<ElementStatus, LibraryError> {
        let first = self.one_element_status(&question);
        if !question.current_data || !first.as_ref().is_err_and(LibraryError::is_refusal_of_form) {
            return first;
        }
        question.current_data = false;
        let second = self.one_element_status(&question);
        self.takes_current_data = second.is_err();
        second
    }

    fn one_element_status(&mut self, question: &ElementQuestion) -> Result<ElementStatus, LibraryError> {
        let ask = cdb::read_element_status(question, ALLOCATION_LENGTH);
        let decode = |reply: &[u8]| ElementStatus::decode(reply, question.identifiers);
        self.read(ATTEMPT, &ask, ALLOCATION_LENGTH.into(), decode)
    }
}

/// Puts the identifiers of `drives` to the elements with the same address.
fn with_identifiers(mut elements: Vec<Element>, drives: &[Element]) -> Vec<Element> {
    for element in &mut elements {
        let same = drives.iter().find(|drive| drive.address == element.address);
        element.identifier = same.and_then(|drive| drive.identifier.clone());
    }
    elements
}

fn bay(element: Element) -> Bay {
    Bay {
        drive_serial: element.identifier.as_ref().and_then(Identifier::serial),
        place: place(element),
    }
}

fn place(element: Element) -> Place {
    let cleaning = is_cleaning(element.volume_tag.as_deref(), element.medium_type);
    Place {
        address: element.address,
        exception: element.exception,
        volume: element.full.then_some(Volume {
            barcode: element.volume_tag,
            cleaning,
        }),
    }
}

/// Whether a cartridge is one for cleaning: its barcode says so, or the changer.
fn is_cleaning(barcode: Option<&str>, medium_type: u8) -> bool {
    medium_type == MEDIUM_TYPE_CLEANING || barcode.is_some_and(|barcode| barcode.starts_with(CLEANING_PREFIX))
}
