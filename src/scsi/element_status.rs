//! READ ELEMENT STATUS: what a medium changer says of its places (SMC-3, "READ ELEMENT STATUS command", "Element status data").

use super::reader::{DecodeError, Reader, ascii};

/// A volume tag: 32 characters, two reserved bytes, two bytes of sequence number (SMC-3, "Volume tag information").
const VOLUME_TAG_LENGTH: usize = 36;

/// What every element descriptor begins with.
const DESCRIPTOR_LENGTH_MIN: usize = 12;

/// Where vendor and product end in an identifier of type 1, and the serial number begins.
const NAMES_LENGTH: usize = 24;

/// Kinds of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ElementType {
    /// The robot's hand.
    MediumTransport,
    /// A slot.
    Storage,
    /// A place at the operator's door.
    ImportExport,
    /// A bay with a drive.
    DataTransfer,
}

impl ElementType {
    /// ELEMENT TYPE CODE.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::MediumTransport => 1,
            Self::Storage => 2,
            Self::ImportExport => 3,
            Self::DataTransfer => 4,
        }
    }
}

/// The answer to one READ ELEMENT STATUS. A changer sends as many whole descriptors as there is room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementStatus {
    /// NUMBER OF ELEMENTS AVAILABLE: how many fit the question, sent or not.
    pub available: u16,
    /// The elements that were sent.
    pub elements: Vec<Element>,
}

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// ELEMENT TYPE CODE of its page.
    pub element_type: u8,
    /// ELEMENT ADDRESS.
    pub address: u16,
    /// FULL: something is in it.
    pub full: bool,
    /// IMPEXP: an operator put it there; only for places at the door.
    pub by_operator: bool,
    /// ASC and ASCQ, if EXCEPT says that something is wrong with it.
    pub exception: Option<(u8, u8)>,
    /// ACCESS: the robot can reach it.
    pub access: bool,
    /// MEDIUM TYPE: 0 not said, 1 data, 2 cleaning.
    pub medium_type: u8,
    /// SOURCE STORAGE ELEMENT ADDRESS: where its volume came from, if that is valid.
    pub source: Option<u16>,
    /// Primary volume tag: the barcode.
    pub volume_tag: Option<String>,
    /// Who is in a bay, if that was asked for and is known.
    pub identifier: Option<Identifier>,
}

/// The identifier of the device in an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// IDENTIFIER TYPE: 0 vendor specific, 1 vendor, product and serial number.
    pub identifier_type: u8,
    /// The identifier as sent.
    pub identifier: Vec<u8>,
}

impl Identifier {
    /// The serial number in it; nothing if it is of another type or empty.
    #[must_use]
    pub fn serial(&self) -> Option<String> {
        let serial = match self.identifier_type {
            0 => self.identifier.as_slice(),
            1 => self.identifier.get(NAMES_LENGTH..)?,
            _ => return None,
        };
        let serial = ascii(serial);
        (!serial.is_empty()).then_some(serial)
    }
}

impl ElementStatus {
    /// Reads what a changer sent; `with_identifiers` says whether identifiers were asked for (DVCID).
    ///
    /// # Errors
    /// [`DecodeError`] if the header is not whole, or a page has descriptors of an impossible length.
    pub fn decode(reply: &[u8], with_identifiers: bool) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("element status data", reply);
        let _first = reader.u16()?;
        let available = reader.u16()?;
        let length = u24(&mut reader)?;
        // What comes after its own length is padding of the allocation length; what is missing did not fit in.
        let mut pages = reader.sub(length.min(reader.left()))?;
        let mut elements = Vec::new();
        while pages.left() >= PAGE_HEADER_LENGTH {
            page(&mut pages, with_identifiers, &mut elements)?;
        }
        Ok(Self { available, elements })
    }
}

/// Element type, tags, descriptor length, reserved byte, length of the descriptors.
const PAGE_HEADER_LENGTH: usize = 8;

fn page(pages: &mut Reader<'_>, with_identifiers: bool, elements: &mut Vec<Element>) -> Result<(), DecodeError> {
    let [element_type, tags] = pages.array()?;
    let offset = pages.offset();
    let descriptor_length = usize::from(pages.u16()?);
    let length = u24(pages)?;
    let tags_length = VOLUME_TAG_LENGTH * (usize::from(tags & 0x80 != 0) + usize::from(tags & 0x40 != 0));
    if descriptor_length < DESCRIPTOR_LENGTH_MIN + tags_length {
        return Err(pages.contradiction(offset, descriptor_length));
    }
    let mut descriptors = pages.sub(length.min(pages.left()))?;
    while descriptors.left() >= descriptor_length {
        let mut descriptor = descriptors.sub(descriptor_length)?;
        elements.push(element(&mut descriptor, element_type, tags, with_identifiers)?);
    }
    Ok(())
}

fn element(
    descriptor: &mut Reader<'_>,
    element_type: u8,
    tags: u8,
    with_identifiers: bool,
) -> Result<Element, DecodeError> {
    let address = descriptor.u16()?;
    let [flags, _reserved, asc, ascq] = descriptor.array()?;
    descriptor.take(3)?;
    let medium = descriptor.u8()?;
    let source = descriptor.u16()?;
    let volume_tag = if tags & 0x80 == 0 {
        None
    } else {
        tag(descriptor.take(VOLUME_TAG_LENGTH)?)
    };
    if tags & 0x40 != 0 {
        // The alternate tag is the cartridge's other side, which no tape has.
        descriptor.take(VOLUME_TAG_LENGTH)?;
    }
    let identifier = if with_identifiers {
        identifier(descriptor)?
    } else {
        None
    };
    Ok(Element {
        element_type,
        address,
        full: flags & 0x01 != 0,
        by_operator: flags & 0x02 != 0,
        exception: (flags & 0x04 != 0).then_some((asc, ascq)),
        access: flags & 0x08 != 0,
        medium_type: medium & 0x07,
        source: (medium & 0x80 != 0).then_some(source),
        volume_tag,
        identifier,
    })
}

/// The 32 characters of a tag, without padding; nothing if there are none.
fn tag(bytes: &[u8]) -> Option<String> {
    const CHARACTERS: usize = 32;
    let text = ascii(bytes.get(..CHARACTERS)?);
    (!text.is_empty()).then_some(text)
}

/// What stands behind the tags: code set, identifier type, reserved byte, length, identifier. Some changers end a descriptor before it.
fn identifier(descriptor: &mut Reader<'_>) -> Result<Option<Identifier>, DecodeError> {
    const HEADER_LENGTH: usize = 4;
    if descriptor.left() < HEADER_LENGTH {
        return Ok(None);
    }
    let [_code_set, identifier_type, _reserved, length] = descriptor.array()?;
    if length == 0 {
        return Ok(None);
    }
    Ok(Some(Identifier {
        identifier_type: identifier_type & 0x0F,
        identifier: descriptor.take(length.into())?.to_vec(),
    }))
}

/// A reserved byte and three bytes of length.
fn u24(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let value = reader.u32()? & 0x00FF_FFFF;
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One bay with barcode and drive, worked by hand from SMC-3.
    fn bay() -> Vec<u8> {
        let mut bytes = vec![0x01, 0x00, 0x00, 0x01, 0, 0, 0, 8 + 62];
        bytes.extend([4, 0x80, 0, 62, 0, 0, 0, 62]);
        bytes.extend([0x01, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0x81, 0x10, 0x02]);
        bytes.extend(b"A00001L8                        \0\0\0\0");
        bytes.extend([2, 0, 0, 10]);
        bytes.extend(b"1013000101");
        bytes
    }

    #[test]
    fn truncation_by_the_allocation_length_leaves_whole_elements_and_never_half_ones() {
        let whole = bay();
        for length in 0..whole.len() {
            match ElementStatus::decode(&whole[..length], true) {
                Err(DecodeError::Truncated { .. }) => assert!(length < 8, "{length}"),
                Ok(status) => assert_eq!((status.available, status.elements.len()), (1, 0), "{length}"),
                Err(other) => panic!("{length}: {other}"),
            }
        }
        let padded = [whole.as_slice(), &[0xA5; 300]].concat();
        assert_eq!(
            ElementStatus::decode(&padded, true),
            ElementStatus::decode(&whole, true)
        );
        assert_eq!(ElementStatus::decode(&whole, true).unwrap().elements.len(), 1);
    }

    #[test]
    fn descriptors_of_impossible_length_are_refused_and_loop_nowhere() {
        for length in [0, 11, 47] {
            let mut bytes = bay();
            bytes[11] = length;
            let error = ElementStatus::decode(&bytes, true).unwrap_err();
            assert!(
                matches!(error, DecodeError::Contradiction { offset: 10, .. }),
                "{error}"
            );
        }
        let mut longer = bay();
        longer[67] = 11;
        assert!(
            ElementStatus::decode(&longer, true).is_err(),
            "an identifier beyond its descriptor"
        );
    }

    #[test]
    fn identifiers_are_read_only_if_they_were_asked_for() {
        let without = ElementStatus::decode(&bay(), false).unwrap();
        assert_eq!(without.elements[0].identifier, None);
        let with = ElementStatus::decode(&bay(), true).unwrap();
        let serial = with.elements[0].identifier.as_ref().and_then(Identifier::serial);
        assert_eq!(serial.as_deref(), Some("1013000101"));
    }
}
