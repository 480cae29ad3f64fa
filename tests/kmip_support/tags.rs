//! KMIP's numbers, by the standard's names (KMIP 1.4 and 2.1, "Tags" and "Enumerations").

pub(crate) const ACTIVATION_DATE: u32 = 0x42_0001;
pub(crate) const APPLICATION_DATA: u32 = 0x42_0002;
pub(crate) const APPLICATION_NAMESPACE: u32 = 0x42_0003;
pub(crate) const APPLICATION_SPECIFIC_INFORMATION: u32 = 0x42_0004;
pub(crate) const ATTRIBUTE: u32 = 0x42_0008;
pub(crate) const ATTRIBUTE_INDEX: u32 = 0x42_0009;
pub(crate) const ATTRIBUTE_NAME: u32 = 0x42_000A;
pub(crate) const ATTRIBUTE_VALUE: u32 = 0x42_000B;
pub(crate) const BATCH_COUNT: u32 = 0x42_000D;
pub(crate) const BATCH_ERROR_CONTINUATION_OPTION: u32 = 0x42_000E;
pub(crate) const BATCH_ITEM: u32 = 0x42_000F;
pub(crate) const COMPROMISE_OCCURRENCE_DATE: u32 = 0x42_0021;
pub(crate) const CRYPTOGRAPHIC_ALGORITHM: u32 = 0x42_0028;
pub(crate) const CRYPTOGRAPHIC_LENGTH: u32 = 0x42_002A;
pub(crate) const CRYPTOGRAPHIC_USAGE_MASK: u32 = 0x42_002C;
pub(crate) const INITIAL_DATE: u32 = 0x42_0039;
pub(crate) const KEY_BLOCK: u32 = 0x42_0040;
pub(crate) const KEY_FORMAT_TYPE: u32 = 0x42_0042;
pub(crate) const KEY_MATERIAL: u32 = 0x42_0043;
pub(crate) const KEY_VALUE: u32 = 0x42_0045;
pub(crate) const KEY_WRAPPING_DATA: u32 = 0x42_0046;
pub(crate) const MAXIMUM_ITEMS: u32 = 0x42_004F;
pub(crate) const MAXIMUM_RESPONSE_SIZE: u32 = 0x42_0050;
pub(crate) const NAME: u32 = 0x42_0053;
pub(crate) const NAME_TYPE: u32 = 0x42_0054;
pub(crate) const NAME_VALUE: u32 = 0x42_0055;
pub(crate) const OBJECT_GROUP: u32 = 0x42_0056;
pub(crate) const OBJECT_TYPE: u32 = 0x42_0057;
pub(crate) const OPERATION: u32 = 0x42_005C;
pub(crate) const PROTECT_STOP_DATE: u32 = 0x42_0068;
pub(crate) const PROTOCOL_VERSION: u32 = 0x42_0069;
pub(crate) const PROTOCOL_VERSION_MAJOR: u32 = 0x42_006A;
pub(crate) const PROTOCOL_VERSION_MINOR: u32 = 0x42_006B;
pub(crate) const QUERY_FUNCTION: u32 = 0x42_0074;
pub(crate) const REQUEST_HEADER: u32 = 0x42_0077;
pub(crate) const REQUEST_MESSAGE: u32 = 0x42_0078;
pub(crate) const REQUEST_PAYLOAD: u32 = 0x42_0079;
pub(crate) const RESPONSE_HEADER: u32 = 0x42_007A;
pub(crate) const RESPONSE_MESSAGE: u32 = 0x42_007B;
pub(crate) const RESPONSE_PAYLOAD: u32 = 0x42_007C;
pub(crate) const RESULT_MESSAGE: u32 = 0x42_007D;
pub(crate) const RESULT_REASON: u32 = 0x42_007E;
pub(crate) const RESULT_STATUS: u32 = 0x42_007F;
pub(crate) const REVOCATION_REASON: u32 = 0x42_0081;
pub(crate) const REVOCATION_REASON_CODE: u32 = 0x42_0082;
pub(crate) const STATE: u32 = 0x42_008D;
pub(crate) const SYMMETRIC_KEY: u32 = 0x42_008F;
pub(crate) const TEMPLATE_ATTRIBUTE: u32 = 0x42_0091;
pub(crate) const TIME_STAMP: u32 = 0x42_0092;
pub(crate) const UNIQUE_BATCH_ITEM_ID: u32 = 0x42_0093;
pub(crate) const UNIQUE_IDENTIFIER: u32 = 0x42_0094;
pub(crate) const VENDOR_IDENTIFICATION: u32 = 0x42_009D;
pub(crate) const OFFSET_ITEMS: u32 = 0x42_00D4;
pub(crate) const LOCATED_ITEMS: u32 = 0x42_00D5;
pub(crate) const ATTRIBUTES: u32 = 0x42_0125;
pub(crate) const ATTRIBUTE_REFERENCE: u32 = 0x42_013B;

pub(crate) mod operation {
    pub(crate) const CREATE: u32 = 0x01;
    pub(crate) const REGISTER: u32 = 0x03;
    pub(crate) const LOCATE: u32 = 0x08;
    pub(crate) const GET: u32 = 0x0A;
    pub(crate) const GET_ATTRIBUTES: u32 = 0x0B;
    pub(crate) const ACTIVATE: u32 = 0x12;
    pub(crate) const REVOKE: u32 = 0x13;
    pub(crate) const DESTROY: u32 = 0x14;
    pub(crate) const QUERY: u32 = 0x18;
    pub(crate) const DISCOVER_VERSIONS: u32 = 0x1E;
    pub(crate) const IMPORT: u32 = 0x2A;
    pub(crate) const EXPORT: u32 = 0x2B;
}

pub(crate) mod state {
    pub(crate) const PRE_ACTIVE: u32 = 1;
    pub(crate) const ACTIVE: u32 = 2;
    pub(crate) const DEACTIVATED: u32 = 3;
    pub(crate) const COMPROMISED: u32 = 4;
    pub(crate) const DESTROYED: u32 = 5;
    pub(crate) const DESTROYED_COMPROMISED: u32 = 6;
}

pub(crate) mod reason {
    pub(crate) const ITEM_NOT_FOUND: u32 = 0x01;
    pub(crate) const RESPONSE_TOO_LARGE: u32 = 0x02;
    pub(crate) const INVALID_MESSAGE: u32 = 0x04;
    pub(crate) const OPERATION_NOT_SUPPORTED: u32 = 0x05;
    pub(crate) const INVALID_FIELD: u32 = 0x07;
    pub(crate) const ILLEGAL_OPERATION: u32 = 0x0B;
    pub(crate) const PERMISSION_DENIED: u32 = 0x0C;
    pub(crate) const OBJECT_DESTROYED: u32 = 0x36;
    pub(crate) const OBJECT_NOT_FOUND: u32 = 0x37;
    pub(crate) const WRONG_KEY_LIFECYCLE_STATE: u32 = 0x43;
    pub(crate) const GENERAL_FAILURE: u32 = 0x100;
}

/// Object Type "Symmetric Key".
pub(crate) const SYMMETRIC_KEY_TYPE: u32 = 2;
/// Cryptographic Algorithm "AES".
pub(crate) const AES: u32 = 3;
/// Cryptographic Usage Mask "Encrypt".
pub(crate) const ENCRYPT: i32 = 4;
/// Cryptographic Usage Mask "Decrypt".
pub(crate) const DECRYPT: i32 = 8;
/// Key Format Type "Raw".
pub(crate) const RAW: u32 = 1;
/// Revocation Reason Code "Key Compromise".
pub(crate) const KEY_COMPROMISE: u32 = 2;
/// Revocation Reason Code "Cessation of Operation".
pub(crate) const CESSATION_OF_OPERATION: u32 = 6;
