//! The command descriptor blocks that tapekey sends. Only [`REWIND`] and [`SPACE_ONE_FILEMARK`] move the tape; none moves the robot.

use super::element_status::ElementType;

/// TEST UNIT READY (SPC-5).
pub const TEST_UNIT_READY: [u8; 6] = [0x00, 0, 0, 0, 0, 0];

/// READ POSITION (SSC-4), short form; its allocation length is zero by definition.
pub const READ_POSITION_SHORT: [u8; 10] = [0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// REWIND (SSC-4), answered when the tape stands at its beginning.
pub const REWIND: [u8; 6] = [0x01, 0, 0, 0, 0, 0];

/// SPACE(6) (SSC-4), CODE 001b: over one filemark towards the end, to the first object behind it.
pub const SPACE_ONE_FILEMARK: [u8; 6] = [0x11, 0x01, 0, 0, 1, 0];

/// MODE SENSE(6) (SPC-5), page 00h, twelve bytes: the header and one block descriptor, as `st` asks for them.
pub const MODE_SENSE_HEADER: [u8; 6] = [0x1A, 0, 0, 0, 0x0C, 0];

/// SECURITY PROTOCOL 00h: security protocol information.
pub const PROTOCOL_INFORMATION: u8 = 0x00;

/// SECURITY PROTOCOL 20h: tape data encryption (SSC-4).
pub const PROTOCOL_TAPE_DATA_ENCRYPTION: u8 = 0x20;

/// INQUIRY (SPC-5): standard data, or the vital product data page `vpd_page`.
#[must_use]
pub fn inquiry(vpd_page: Option<u8>, allocation_length: u16) -> [u8; 6] {
    let [high, low] = allocation_length.to_be_bytes();
    [0x12, u8::from(vpd_page.is_some()), vpd_page.unwrap_or(0), high, low, 0]
}

/// SECURITY PROTOCOL IN (SPC-5), lengths in bytes (INC_512 zero).
#[must_use]
pub fn security_protocol_in(
    security_protocol: u8,
    security_protocol_specific: u16,
    allocation_length: u32,
) -> [u8; 12] {
    security_protocol_cdb(0xA2, security_protocol, security_protocol_specific, allocation_length)
}

/// SECURITY PROTOCOL OUT (SPC-5), lengths in bytes (INC_512 zero).
#[must_use]
pub fn security_protocol_out(security_protocol: u8, security_protocol_specific: u16, transfer_length: u32) -> [u8; 12] {
    security_protocol_cdb(0xB5, security_protocol, security_protocol_specific, transfer_length)
}

fn security_protocol_cdb(operation_code: u8, security_protocol: u8, specific: u16, length: u32) -> [u8; 12] {
    let [specific_high, specific_low] = specific.to_be_bytes();
    let [a, b, c, d] = length.to_be_bytes();
    [
        operation_code,
        security_protocol,
        specific_high,
        specific_low,
        0,
        0,
        a,
        b,
        c,
        d,
        0,
        0,
    ]
}

/// READ ATTRIBUTE (SPC-5), service action 00h: values of the volume's attributes from `first_attribute` on.
#[must_use]
pub fn read_attribute(first_attribute: u16, allocation_length: u32) -> [u8; 16] {
    let [first_high, first_low] = first_attribute.to_be_bytes();
    let [a, b, c, d] = allocation_length.to_be_bytes();
    [0x8C, 0, 0, 0, 0, 0, 0, 0, first_high, first_low, a, b, c, d, 0, 0]
}

/// What READ ELEMENT STATUS asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElementQuestion {
    /// Which kind of elements.
    pub element_type: ElementType,
    /// STARTING ELEMENT ADDRESS: none below this one.
    pub first: u16,
    /// NUMBER OF ELEMENTS: no more than these.
    pub count: u16,
    /// VOLTAG: with their barcodes.
    pub volume_tags: bool,
    /// DVCID: with the identifiers of the drives in them.
    pub identifiers: bool,
    /// CURDATA: as the changer knows it, without moving the robot to look.
    pub current_data: bool,
}

/// READ ELEMENT STATUS (SMC-3).
#[must_use]
pub fn read_element_status(question: &ElementQuestion, allocation_length: u16) -> [u8; 12] {
    let [first_high, first_low] = question.first.to_be_bytes();
    let [count_high, count_low] = question.count.to_be_bytes();
    let [high, low] = allocation_length.to_be_bytes();
    let volume_tags = u8::from(question.volume_tags) << 4;
    let current_data = u8::from(question.current_data) << 1;
    let identifiers = u8::from(question.identifiers);
    [
        0xB8,
        volume_tags | question.element_type.code(),
        first_high,
        first_low,
        count_high,
        count_low,
        current_data | identifiers,
        0,
        high,
        low,
        0,
        0,
    ]
}

/// LOG SENSE (SPC-5): cumulative values of `page_code`.
#[must_use]
pub fn log_sense(page_code: u8, allocation_length: u16) -> [u8; 10] {
    let [high, low] = allocation_length.to_be_bytes();
    [0x4D, 0, 0x40 | (page_code & 0x3F), 0, 0, 0, 0, high, low, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_stands_where_the_standard_puts_it() {
        assert_eq!(inquiry(None, 96), [0x12, 0, 0, 0, 96, 0]);
        assert_eq!(inquiry(Some(0x83), 0x1234), [0x12, 1, 0x83, 0x12, 0x34, 0]);
        assert_eq!(
            read_attribute(0x0401, 0x0102_0304),
            [0x8C, 0, 0, 0, 0, 0, 0, 0, 4, 1, 1, 2, 3, 4, 0, 0]
        );
        let question = ElementQuestion {
            element_type: ElementType::DataTransfer,
            first: 0x0102,
            count: 0x0304,
            volume_tags: true,
            identifiers: true,
            current_data: true,
        };
        assert_eq!(
            read_element_status(&question, 0xFFFE),
            [0xB8, 0x14, 1, 2, 3, 4, 3, 0, 0xFF, 0xFE, 0, 0]
        );
        assert_eq!(log_sense(0x17, 0xFFFC), [0x4D, 0, 0x57, 0, 0, 0, 0, 0xFF, 0xFC, 0]);
    }
}
