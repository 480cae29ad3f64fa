//! INQUIRY with its vital product data, REPORT LUNS and REQUEST SENSE (SPC-4): what a drive says about itself to whoever asks.

use super::{
    Drive,
    call::{Call, CommandResult},
    log::TapeAlerts,
};
use crate::{Profile, sense::Sense};

/// Peripheral device type: sequential access.
const SEQUENTIAL_ACCESS: u8 = 0x01;

impl Drive {
    /// INQUIRY.
    pub(super) fn inquiry(&self, call: Call<'_>) -> CommandResult {
        let (vital, page_code) = (call.cdb.bit(1, 0), call.cdb.byte(2));
        let answer = match (vital, page_code) {
            (false, 0x00) => standard_inquiry_data(&self.profile),
            (true, 0x00) => vital_product_data(0x00, &[0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2]),
            (true, 0x80) => vital_product_data(0x80, &self.profile.serial_number),
            (true, 0x83) => vital_product_data(0x83, &device_identification(&self.profile)),
            // Sequential-access device capabilities: neither WORM nor tamper-resistant.
            (true, 0xB0) => vital_product_data(0xB0, &[0; 4]),
            (true, 0xB1) => vital_product_data(0xB1, &self.profile.serial_number),
            (true, 0xB2) => vital_product_data(0xB2, &TapeAlerts::supported().most_significant_first().to_be_bytes()),
            _ => return Err(Sense::invalid_cdb_field(2, 7).into()),
        };
        let allocation_length = u32::from(call.cdb.u16(3));
        call.reply(&answer, allocation_length)
    }

    /// REPORT LUNS: LUN 0 alone, and no well-known logical units.
    pub(super) fn report_luns(&self, call: Call<'_>) -> CommandResult {
        let logical_units = match call.cdb.byte(2) {
            0x00 | 0x02 => 1,
            0x01 => 0,
            _ => return Err(Sense::invalid_cdb_field(2, 7).into()),
        };
        // SPC-4: an allocation length below 16 is an error here, unlike everywhere else.
        if call.cdb.u32(6) < 16 {
            return Err(Sense::invalid_cdb_field(6, 7).into());
        }
        let mut answer = vec![0, 0, 0, logical_units * 8, 0, 0, 0, 0];
        answer.resize(8 + usize::from(logical_units) * 8, 0);
        let allocation_length = call.cdb.u32(6);
        call.reply(&answer, allocation_length)
    }

    /// REQUEST SENSE: the oldest unit attention of the nexus, or what keeps the drive busy, or NO SENSE. Sense of a failed command went out with its status.
    pub(super) fn request_sense(&mut self, call: Call<'_>) -> CommandResult {
        let waiting = self
            .nexuses
            .find_mut(call.nexus)
            .and_then(super::nexuses::NexusState::take_unit_attention);
        let nothing = || self.not_ready().unwrap_or(Sense::new(0, 0, 0));
        let sense = waiting.map_or_else(nothing, Sense::from_code);
        let descriptors = call.cdb.bit(1, 0);
        let answer = if descriptors {
            sense.encode_descriptors()
        } else {
            sense.encode_fixed(self.profile.sense_bytes)
        };
        let allocation_length = u32::from(call.cdb.byte(4));
        call.reply(&answer, allocation_length)
    }
}

fn standard_inquiry_data(profile: &Profile) -> Vec<u8> {
    const VERSION_SPC_4: u8 = 0x06;
    const REMOVABLE: u8 = 0x80;
    const RESPONSE_DATA_FORMAT: u8 = 0x02;
    const MULTIPLE_PORTS: u8 = 0x10;
    const COMMAND_QUEUEING: u8 = 0x02;
    let mut data = vec![SEQUENTIAL_ACCESS, REMOVABLE, VERSION_SPC_4, RESPONSE_DATA_FORMAT];
    data.extend_from_slice(&[STANDARD_BYTES - 5, 0, MULTIPLE_PORTS, COMMAND_QUEUEING]);
    data.extend_from_slice(&profile.vendor);
    data.extend_from_slice(&profile.product);
    data.extend_from_slice(&profile.revision);
    data.resize(58, 0);
    // Version descriptors: SAM-5, SPC-4, SSC-4, SAS-2 (SPC-4, "Version descriptor values").
    for standard in [0x00A0_u16, 0x0460, 0x0520, 0x0C00] {
        data.extend_from_slice(&standard.to_be_bytes());
    }
    data.resize(usize::from(STANDARD_BYTES), 0);
    data
}

const STANDARD_BYTES: u8 = 96;

fn vital_product_data(page_code: u8, body: &[u8]) -> Vec<u8> {
    let mut page = vec![SEQUENTIAL_ACCESS, page_code];
    page.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    page.extend_from_slice(body);
    page
}

/// Designators of logical unit, target port and relative port (SPC-4, "Device Identification VPD page").
fn device_identification(profile: &Profile) -> Vec<u8> {
    let mut body = vec![0x02, 0x01, 0x00, 0x22];
    body.extend_from_slice(&profile.vendor);
    body.extend_from_slice(&profile.product);
    body.extend_from_slice(&profile.serial_number);
    body.extend_from_slice(&[0x01, 0x03, 0x00, 0x08]);
    body.extend_from_slice(&world_wide_name(profile, 0).to_be_bytes());
    body.extend_from_slice(&[0x61, 0x93, 0x00, 0x08]);
    body.extend_from_slice(&world_wide_name(profile, 1).to_be_bytes());
    body.extend_from_slice(&[0x61, 0x94, 0x00, 0x04, 0, 0, 0, 1]);
    body
}

/// An NAA 5 name of IBM's (company identifier 005076h), made from the serial number so that two drives differ.
fn world_wide_name(profile: &Profile, port: u64) -> u64 {
    const NAA_5_IBM: u64 = 0x0500_5076;
    let serial = profile
        .serial_number
        .iter()
        .fold(0_u64, |sum, byte| sum.wrapping_mul(37).wrapping_add(u64::from(*byte)));
    (NAA_5_IBM << 36) | ((serial & 0x0FFF_FFFF) << 8) | port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_itself_in_96_bytes() {
        let data = standard_inquiry_data(&Profile::ibm_lto8());
        assert_eq!(data.len(), 96);
        assert_eq!(data[..8], [0x01, 0x80, 0x06, 0x02, 0x5B, 0x00, 0x10, 0x02]);
        assert_eq!(&data[8..36], b"IBM     ULT3580-TD8     J4D0");
    }

    #[test]
    fn identifies_unit_and_port_by_names_that_follow_from_the_serial_number() {
        let body = device_identification(&Profile::ibm_lto8());
        assert_eq!(&body[..38], b"\x02\x01\x00\x22IBM     ULT3580-TD8     1013000001");
        assert_eq!(body[38..42], [0x01, 0x03, 0x00, 0x08]);
        assert_eq!(
            (&body[42..45], body[45] >> 4),
            (&[0x50, 0x05, 0x07][..], 6),
            "NAA 5, company 005076h"
        );
        assert_eq!(body[50..54], [0x61, 0x93, 0x00, 0x08]);
        assert_ne!(body[42..50], body[54..62]);
        assert_eq!(body[62..], [0x61, 0x94, 0x00, 0x04, 0, 0, 0, 1]);
        let other = device_identification(&Profile::ibm_lto8().with_serial_number("1013000002").unwrap());
        assert_ne!(body[42..50], other[42..50]);
    }
}
