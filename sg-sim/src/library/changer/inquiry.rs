//! INQUIRY and its vital product data (SPC-4): what the changer says about itself.

use super::Changer;
use crate::{
    drive::call::{Call, CommandResult},
    sense::Sense,
};

impl Changer {
    /// INQUIRY.
    pub(super) fn inquiry(&self, call: Call<'_>) -> CommandResult {
        const VITAL_PRODUCT_DATA: u8 = 0;
        let answer = match (call.cdb.bit(1, VITAL_PRODUCT_DATA), call.cdb.byte(2)) {
            (false, 0x00) => self.standard_inquiry_data(),
            (true, 0x00) => vital_product_data(0x00, &[0x00, 0x80, 0x83]),
            (true, 0x80) => vital_product_data(0x80, self.serial.as_bytes()),
            (true, 0x83) => vital_product_data(0x83, &self.device_identification()),
            _ => return Err(Sense::invalid_cdb_field(2, 7).into()),
        };
        let allocation_length = u32::from(call.cdb.u16(3));
        call.reply(&answer, allocation_length)
    }

    fn standard_inquiry_data(&self) -> Vec<u8> {
        const REMOVABLE: u8 = 0x80;
        const VERSION_SPC_3: u8 = 0x05;
        const RESPONSE_DATA_FORMAT: u8 = 0x02;
        const COMMAND_QUEUEING: u8 = 0x02;
        let (vendor, product, revision) = self.model.identity();
        let mut data = vec![MEDIUM_CHANGER, REMOVABLE, VERSION_SPC_3, RESPONSE_DATA_FORMAT];
        data.extend_from_slice(&[STANDARD_BYTES - 5, 0, 0, COMMAND_QUEUEING]);
        data.extend_from_slice(vendor);
        data.extend_from_slice(product);
        data.extend_from_slice(revision);
        // Vendor-specific, where libraries commonly show their serial number.
        data.extend(self.serial.bytes().take(20));
        data.resize(58, 0);
        // Version descriptors: SAM-4, SPC-3, SMC-3 (SPC-4, "Version descriptor values").
        for standard in [0x0080_u16, 0x0300, 0x0480] {
            data.extend_from_slice(&standard.to_be_bytes());
        }
        data.resize(usize::from(STANDARD_BYTES), 0);
        data
    }

    /// One T10 vendor designator: vendor, product, serial number.
    fn device_identification(&self) -> Vec<u8> {
        let (vendor, product, _) = self.model.identity();
        let length = u8::try_from(vendor.len() + product.len() + self.serial.len()).unwrap_or(u8::MAX);
        let mut designator = vec![0x02, 0x01, 0x00, length];
        designator.extend_from_slice(vendor);
        designator.extend_from_slice(product);
        designator.extend_from_slice(self.serial.as_bytes());
        designator
    }
}

fn vital_product_data(page_code: u8, body: &[u8]) -> Vec<u8> {
    let mut page = vec![MEDIUM_CHANGER, page_code];
    page.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    page.extend_from_slice(body);
    page
}

/// Peripheral device type.
const MEDIUM_CHANGER: u8 = 0x08;
const STANDARD_BYTES: u8 = 96;
