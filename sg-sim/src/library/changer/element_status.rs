//! READ ELEMENT STATUS: what is where (SMC-3, "Element status page").
//!
//! Only whole descriptors go out: the one that would not fit into the allocation length and all after it are left away, and no count changes.

use super::{Bay, Changer};
use crate::{
    drive::call::{Call, CommandResult},
    library::{Place, description::DriveIdentification, place::ElementType, robot::Element},
    sense::Sense,
};

/// What the CDB asks for.
struct Wanted {
    volume_tag: bool,
    device_identification: bool,
    element_type: u8,
    first: u16,
    count: usize,
}

/// Elements of one kind.
struct Page<'a> {
    elements: &'a [&'a Element],
    descriptor_bytes: usize,
}

/// Header of the answer and of each page.
const HEADER_BYTES: usize = 8;
/// Descriptor without volume tag, with the four bytes before an identifier.
const DESCRIPTOR_BYTES: usize = 16;
/// Primary volume tag: 32 characters, 2 reserved bytes, 2 bytes of sequence number.
const VOLUME_TAG_BYTES: usize = 36;

impl Changer {
    /// READ ELEMENT STATUS. CURDATA makes no difference: the robot never has to look.
    pub(super) fn read_element_status(&self, bays: &[Bay], call: Call<'_>) -> CommandResult {
        const VOLUME_TAG: u8 = 4;
        const DEVICE_IDENTIFICATION: u8 = 0;
        let wanted = Wanted {
            volume_tag: call.cdb.bit(1, VOLUME_TAG),
            device_identification: call.cdb.bit(6, DEVICE_IDENTIFICATION),
            element_type: call.cdb.byte(1) & 0x0F,
            first: call.cdb.u16(2),
            count: usize::from(call.cdb.u16(4)),
        };
        let highest = ElementType::ALL.map(ElementType::code).into_iter().max().unwrap_or(0);
        if wanted.element_type > highest {
            return Err(Sense::invalid_cdb_field(1, 3).into());
        }
        let allocation_length = call.cdb.u24(7);
        let answer = self.element_status(bays, &wanted, usize::try_from(allocation_length).unwrap_or(usize::MAX));
        call.reply(&answer, allocation_length)
    }

    fn element_status(&self, bays: &[Bay], wanted: &Wanted, room: usize) -> Vec<u8> {
        let elements: Vec<&Element> = self
            .robot
            .elements
            .iter()
            .filter(|element| element.address >= wanted.first && wanted.includes(element))
            .take(wanted.count)
            .collect();
        // Kinds have address ranges of their own, so elements of one kind stand together.
        let pages: Vec<Page<'_>> = elements
            .chunk_by(|one, next| one.place.element_type() == next.place.element_type())
            .map(|elements| self.page(wanted, elements))
            .collect();
        let first = elements.first().map_or(0, |element| element.address);
        let mut answer = Vec::new();
        answer.extend_from_slice(&first.to_be_bytes());
        answer.extend_from_slice(&u16::try_from(elements.len()).unwrap_or(u16::MAX).to_be_bytes());
        let bytes = pages.iter().map(|page| HEADER_BYTES + page.body_bytes()).sum();
        answer.extend_from_slice(&length_field(bytes));
        for page in pages {
            let header = page.header(wanted);
            let descriptors = page
                .elements
                .iter()
                .map(|element| self.descriptor(bays, wanted, &page, element));
            for piece in std::iter::once(header).chain(descriptors) {
                if answer.len() + piece.len() > room {
                    return answer;
                }
                answer.extend_from_slice(&piece);
            }
        }
        answer
    }

    fn page<'a>(&self, wanted: &Wanted, elements: &'a [&'a Element]) -> Page<'a> {
        let tag_bytes = if wanted.volume_tag { VOLUME_TAG_BYTES } else { 0 };
        let identifiers = elements.iter().map(|element| self.identifier(wanted, element).len());
        Page {
            elements,
            descriptor_bytes: DESCRIPTOR_BYTES + tag_bytes + identifiers.max().unwrap_or(0),
        }
    }

    fn descriptor(&self, bays: &[Bay], wanted: &Wanted, page: &Page<'_>, element: &Element) -> Vec<u8> {
        const SOURCE_VALID: u8 = 0x80;
        let [address_high, address_low] = element.address.to_be_bytes();
        let (asc, ascq) = element.exception(self.robot.station_open).unwrap_or((0, 0));
        let mut descriptor = vec![
            address_high,
            address_low,
            self.flags(bays, element),
            0,
            asc,
            ascq,
            0,
            0,
            0,
        ];
        let source = element.volume.as_ref().and_then(|volume| volume.custody.source);
        let source = source.and_then(|place| self.address(place));
        let valid = if source.is_some() { SOURCE_VALID } else { 0 };
        descriptor.push(valid | medium_type(element));
        descriptor.extend_from_slice(&source.unwrap_or(0).to_be_bytes());
        if wanted.volume_tag {
            descriptor.extend_from_slice(&volume_tag(element));
        }
        let identifier = self.identifier(wanted, element);
        descriptor.extend_from_slice(&self.identifier_header(&identifier));
        descriptor.extend_from_slice(&identifier);
        descriptor.resize(page.descriptor_bytes, 0);
        descriptor
    }

    fn address(&self, place: Place) -> Option<u16> {
        self.ranges.iter().find_map(|range| range.address(place))
    }

    fn flags(&self, bays: &[Bay], element: &Element) -> u8 {
        const FULL: u8 = 0x01;
        const BY_OPERATOR: u8 = 0x02;
        const EXCEPT: u8 = 0x04;
        const ACCESS: u8 = 0x08;
        const EXPORT_AND_IMPORT: u8 = 0x30;
        let open = self.robot.station_open;
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let always = match element.place {
            Place::Transport(_) => 0,
            Place::Slot(_) => ACCESS,
            Place::ImportExport(_) => EXPORT_AND_IMPORT | flag(!open, ACCESS),
            // The robot reaches a cartridge only when its tape is not threaded.
            Place::Drive(number) => flag(
                bays.get(usize::from(number)).is_some_and(|bay| !bay.is_threaded()),
                ACCESS,
            ),
        };
        let station = matches!(element.place, Place::ImportExport(_));
        let by_operator = element.volume.as_ref().is_some_and(|volume| volume.custody.by_operator);
        always
            | flag(element.volume.is_some(), FULL)
            | flag(station && by_operator, BY_OPERATOR)
            | flag(element.exception(open).is_some(), EXCEPT)
    }

    /// What DVCID tells of a drive; nothing of other elements.
    fn identifier(&self, wanted: &Wanted, element: &Element) -> Vec<u8> {
        let Place::Drive(number) = element.place else {
            return Vec::new();
        };
        let Some(profile) = self
            .drives
            .get(usize::from(number))
            .filter(|_| wanted.device_identification)
        else {
            return Vec::new();
        };
        match self.drive_identification {
            DriveIdentification::Serial => profile.serial_number.to_vec(),
            DriveIdentification::Full => {
                [&profile.vendor[..], &profile.product[..], &profile.serial_number[..]].concat()
            }
        }
    }

    /// Code set, identifier type, reserved byte, length.
    fn identifier_header(&self, identifier: &[u8]) -> [u8; 4] {
        const ASCII: u8 = 2;
        if identifier.is_empty() {
            return [0; 4];
        }
        let identifier_type = match self.drive_identification {
            DriveIdentification::Serial => 0,
            DriveIdentification::Full => 1,
        };
        [
            ASCII,
            identifier_type,
            0,
            u8::try_from(identifier.len()).unwrap_or(u8::MAX),
        ]
    }
}

impl Page<'_> {
    fn body_bytes(&self) -> usize {
        self.descriptor_bytes * self.elements.len()
    }

    fn header(&self, wanted: &Wanted) -> Vec<u8> {
        const PRIMARY_VOLUME_TAG: u8 = 0x80;
        let code = self
            .elements
            .first()
            .map_or(0, |element| element.place.element_type().code());
        let mut header = vec![code, if wanted.volume_tag { PRIMARY_VOLUME_TAG } else { 0 }];
        header.extend_from_slice(&u16::try_from(self.descriptor_bytes).unwrap_or(u16::MAX).to_be_bytes());
        header.extend_from_slice(&length_field(self.body_bytes()));
        header
    }
}

impl Wanted {
    fn includes(&self, element: &Element) -> bool {
        self.element_type == 0 || self.element_type == element.place.element_type().code()
    }
}

fn medium_type(element: &Element) -> u8 {
    const DATA: u8 = 1;
    const CLEANING: u8 = 2;
    match &element.volume {
        None => 0,
        Some(volume) if volume.tape.is_cleaning() => CLEANING,
        Some(_) => DATA,
    }
}

/// The barcode padded with spaces; zeros where there is no cartridge.
fn volume_tag(element: &Element) -> [u8; VOLUME_TAG_BYTES] {
    const CHARACTERS: usize = 32;
    let mut tag = [0; VOLUME_TAG_BYTES];
    if let Some(volume) = &element.volume {
        let padded = volume.tape.barcode.bytes().chain(std::iter::repeat(b' '));
        for (byte, letter) in tag.iter_mut().take(CHARACTERS).zip(padded) {
            *byte = letter;
        }
    }
    tag
}

/// A reserved byte and a 24-bit length.
fn length_field(length: usize) -> [u8; 4] {
    const LENGTH_MAX: u32 = 0x00FF_FFFF;
    u32::try_from(length)
        .unwrap_or(LENGTH_MAX)
        .min(LENGTH_MAX)
        .to_be_bytes()
}
