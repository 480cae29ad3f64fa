//! READ ATTRIBUTE and WRITE ATTRIBUTE: the memory chip in the cartridge (SPC-4, "Medium auxiliary memory attributes").

use super::{
    Drive,
    call::{Call, CommandResult},
    log::{TapeAlerts, counter, padded},
    medium::WRITE_ERROR,
};
use crate::{Cartridge, cartridge::HostAttribute, sense::Sense};

const BINARY: u8 = 0;
const ASCII: u8 = 1;
const TEXT: u8 = 2;
const READ_ONLY: u8 = 0x80;
/// Length of an attribute without its value.
const HEADER_BYTES: usize = 5;
/// Size of the memory in bytes (0407h).
const MEMORY_BYTES: u64 = 0x2000;
/// Longest value of an attribute of variable length.
const VARIABLE_BYTES_MAX: u16 = 1024;

/// An attribute that hosts may write.
struct Writable {
    identifier: u16,
    format: u8,
    length: u16,
    variable: bool,
}

const fn writable(identifier: u16, format: u8, length: u16) -> Writable {
    Writable {
        identifier,
        format,
        length,
        variable: false,
    }
}

/// All attributes that hosts may write, ascending.
const WRITABLE: [Writable; 13] = [
    writable(0x0800, ASCII, 8),
    writable(0x0801, ASCII, 32),
    writable(0x0802, ASCII, 8),
    writable(0x0803, TEXT, 160),
    writable(0x0804, ASCII, 12),
    writable(0x0805, BINARY, 1),
    writable(0x0806, ASCII, 32),
    writable(0x0807, TEXT, 80),
    writable(0x0808, TEXT, 160),
    writable(0x080B, ASCII, 16),
    Writable {
        identifier: 0x080C,
        format: BINARY,
        length: VARIABLE_BYTES_MAX,
        variable: true,
    },
    writable(0x0820, BINARY, 36),
    writable(0x0821, BINARY, 36),
];

/// Identifier, READ ONLY and FORMAT, value.
type Attribute = (u16, u8, Vec<u8>);

impl Drive {
    /// READ ATTRIBUTE.
    pub(super) fn read_attribute(&self, call: Call<'_>) -> CommandResult {
        const VALUES: u8 = 0;
        const LIST: u8 = 1;
        const VOLUMES: u8 = 2;
        const PARTITIONS: u8 = 3;
        const SUPPORTED: u8 = 5;
        let cartridge = self.medium.threaded()?;
        for at in [5, 7] {
            if call.cdb.byte(at) != 0 {
                return Err(Sense::invalid_cdb_field(u16::try_from(at).unwrap_or(0), 7).into());
            }
        }
        let attributes = attributes(cartridge, self.tape_alerts);
        let first = call.cdb.u16(8);
        let body: Vec<u8> = match call.cdb.byte(1) & 0x1F {
            VALUES if attributes.iter().all(|(identifier, ..)| *identifier < first) => {
                return Err(Sense::invalid_cdb_field(8, 7).into());
            }
            VALUES => attributes
                .iter()
                .filter(|(identifier, ..)| *identifier >= first)
                .flat_map(encode)
                .collect(),
            LIST => attributes
                .iter()
                .flat_map(|(identifier, ..)| identifier.to_be_bytes())
                .collect(),
            // One volume, one partition, both with number 0.
            VOLUMES | PARTITIONS => vec![0, 1],
            SUPPORTED => supported(&attributes).into_iter().flat_map(u16::to_be_bytes).collect(),
            _ => return Err(Sense::invalid_cdb_field(1, 4).into()),
        };
        let length_bytes = if matches!(call.cdb.byte(1) & 0x1F, VOLUMES | PARTITIONS) {
            2
        } else {
            4
        };
        let mut answer = counter(u64::try_from(body.len()).unwrap_or(0), length_bytes);
        answer.extend_from_slice(&body);
        let allocation_length = call.cdb.u32(10);
        call.reply(&answer, allocation_length)
    }

    /// WRITE ATTRIBUTE: everything in the list or, on error, nothing. It is always written through.
    pub(super) fn write_attribute(&mut self, call: &Call<'_>) -> CommandResult {
        let cartridge = self.medium.threaded_mut()?;
        for at in [5, 7] {
            if call.cdb.byte(at) != 0 {
                return Err(Sense::invalid_cdb_field(u16::try_from(at).unwrap_or(0), 7).into());
            }
        }
        let length = call.cdb.u32(10);
        if length == 0 {
            return Ok(0);
        }
        let changes = decode_list(call.parameter_list(length)?)?;
        if space_left(cartridge, &changes).is_none() {
            return Err(INSUFFICIENT_RESOURCES.into());
        }
        cartridge.write_attributes(changes).map_err(|_| WRITE_ERROR)?;
        Ok(0)
    }
}

/// Every attribute that the cartridge has now, ascending.
fn attributes(cartridge: &Cartridge, alerts: TapeAlerts) -> Vec<Attribute> {
    const MEBIBYTE: u64 = 1 << 20;
    let index = cartridge.index();
    let [loads, written, read] = cartridge.counters();
    let number = |identifier, value, width| (identifier, READ_ONLY | BINARY, counter(value, width));
    let text = |identifier, value: &str, width| (identifier, READ_ONLY | ASCII, padded(value, width));
    // All ones: there is no such block.
    let block = |identifier, value: Option<u64>| number(identifier, value.unwrap_or(u64::MAX), 8);
    let mut attributes = vec![
        number(0x0000, cartridge.remaining_bytes() / MEBIBYTE, 8),
        number(0x0001, cartridge.capacity_bytes() / MEBIBYTE, 8),
        number(0x0002, alerts.most_significant_first(), 8),
        number(0x0003, loads, 8),
        number(0x0004, space_left(cartridge, &[]).unwrap_or(0), 8),
        text(0x0005, "LTO-CVE", 8),
        number(0x0006, u64::from(cartridge.density()), 1),
        number(0x0007, 1, 2),
        number(0x0220, written / MEBIBYTE, 8),
        number(0x0221, read / MEBIBYTE, 8),
        block(0x0224, index.first_sealed()),
        block(0x0225, index.first_plain_after_sealed()),
        text(0x0400, "SG-SIM", 8),
        text(0x0401, cartridge.medium_serial(), 32),
        number(0x0402, 960, 4),
        number(0x0403, 127, 4),
        text(0x0404, "LTO-CVE", 8),
        number(0x0405, u64::from(cartridge.density()), 1),
        text(0x0406, "20200101", 8),
        number(0x0407, MEMORY_BYTES, 8),
        number(0x0408, 0, 1),
    ];
    for Writable { identifier, .. } in WRITABLE {
        if let Some(attribute) = cartridge.host_attribute(identifier) {
            attributes.push((identifier, attribute.format, attribute.value.clone()));
        }
    }
    attributes
}

fn encode((identifier, flags, value): &Attribute) -> Vec<u8> {
    let mut bytes = identifier.to_be_bytes().to_vec();
    bytes.push(*flags);
    bytes.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// Identifiers of all attributes that exist or may be written, ascending.
fn supported(attributes: &[Attribute]) -> Vec<u16> {
    let fixed = attributes
        .iter()
        .filter(|(_, flags, _)| flags & READ_ONLY != 0)
        .map(|(identifier, ..)| *identifier);
    fixed
        .chain(WRITABLE.iter().map(|writable| writable.identifier))
        .collect()
}

/// What the memory still holds once these changes are made. None if they do not fit.
fn space_left(cartridge: &Cartridge, changes: &[(u16, Option<HostAttribute>)]) -> Option<u64> {
    let mut used = 0;
    for Writable { identifier, .. } in WRITABLE {
        let change = changes.iter().rfind(|(changed, _)| *changed == identifier);
        let attribute = change.map_or_else(
            || cartridge.host_attribute(identifier),
            |(_, attribute)| attribute.as_ref(),
        );
        used += attribute.map_or(0, |attribute| HEADER_BYTES + attribute.value.len());
    }
    MEMORY_BYTES.checked_sub(u64::try_from(used).ok()?)
}

/// Takes a WRITE ATTRIBUTE list apart. An attribute of length 0 is to be removed.
fn decode_list(list: &[u8]) -> Result<Vec<(u16, Option<HostAttribute>)>, Sense> {
    let (length, mut rest) = list.split_first_chunk::<4>().ok_or(PARAMETER_LIST_LENGTH_ERROR)?;
    if usize::try_from(u32::from_be_bytes(*length)) != Ok(rest.len()) {
        return Err(Sense::invalid_parameter_field(0, 7));
    }
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let at = list.len() - rest.len();
        let refused = |offset: usize| Sense::invalid_parameter_field(u16::try_from(at + offset).unwrap_or(u16::MAX), 7);
        let ([high, low, flags, length_high, length_low], behind) =
            rest.split_first_chunk::<HEADER_BYTES>().ok_or(refused(0))?;
        let identifier = u16::from_be_bytes([*high, *low]);
        let length = u16::from_be_bytes([*length_high, *length_low]);
        let writable = WRITABLE
            .iter()
            .find(|writable| writable.identifier == identifier)
            .ok_or(refused(0))?;
        if *flags != writable.format {
            return Err(refused(2));
        }
        let fits = length == 0 || length == writable.length || (writable.variable && length < writable.length);
        let (value, behind) = behind
            .split_at_checked(usize::from(length))
            .filter(|_| fits)
            .ok_or(refused(3))?;
        let attribute = (length > 0).then(|| HostAttribute {
            format: *flags,
            value: value.to_vec(),
        });
        changes.push((identifier, attribute));
        rest = behind;
    }
    Ok(changes)
}

const PARAMETER_LIST_LENGTH_ERROR: Sense = Sense::new(0x5, 0x1A, 0x00);
const INSUFFICIENT_RESOURCES: Sense = Sense::new(0x5, 0x55, 0x03);

#[cfg(test)]
mod tests {
    use super::*;

    const POOL_REMOVED: [u8; 9] = [0, 0, 0, 5, 0x08, 0x08, TEXT, 0, 0];

    #[test]
    fn takes_values_and_removals() {
        let mut list = vec![0, 0, 0, 18, 0x08, 0x00, ASCII, 0, 8];
        list.extend_from_slice(b"tapekey ");
        list.extend_from_slice(&POOL_REMOVED[4..]);
        let vendor = HostAttribute {
            format: ASCII,
            value: b"tapekey ".to_vec(),
        };
        assert_eq!(decode_list(&list), Ok(vec![(0x0800, Some(vendor)), (0x0808, None)]));
    }

    #[test]
    fn points_at_what_it_refuses() {
        let with = |at: usize, value: u8| {
            let mut list = POOL_REMOVED;
            list[at] = value;
            decode_list(&list).err()
        };
        assert_eq!(with(3, 4), Some(Sense::invalid_parameter_field(0, 7)));
        assert_eq!(
            with(4, 0x04),
            Some(Sense::invalid_parameter_field(4, 7)),
            "0408h is read-only"
        );
        assert_eq!(with(6, ASCII), Some(Sense::invalid_parameter_field(6, 7)));
        assert_eq!(with(8, 1), Some(Sense::invalid_parameter_field(7, 7)));
        assert_eq!(decode_list(&POOL_REMOVED[..3]), Err(PARAMETER_LIST_LENGTH_ERROR));
        for length in 4..POOL_REMOVED.len() {
            assert!(decode_list(&POOL_REMOVED[..length]).is_err(), "{length}");
        }
    }
}
