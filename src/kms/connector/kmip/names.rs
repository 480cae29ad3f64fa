//! The numbers of the KMIP specification that are used here: tags, operations, enumerations, protocol versions. Those that are read are kept
//! as numbers where they are not known.

use std::fmt;

use super::ttlv::Tag;

/// Tags.
pub(super) mod tag {
    use super::Tag;

    macro_rules! tags {
        ($($name:ident = $number:literal;)*) => { $(pub(in super::super) const $name: Tag = Tag($number);)* };
    }

    tags! {
        ACTIVATION_DATE = 0x42_0001;
        APPLICATION_DATA = 0x42_0002;
        APPLICATION_NAMESPACE = 0x42_0003;
        APPLICATION_SPECIFIC_INFORMATION = 0x42_0004;
        ATTRIBUTE = 0x42_0008;
        ATTRIBUTE_NAME = 0x42_000A;
        ATTRIBUTE_VALUE = 0x42_000B;
        BATCH_COUNT = 0x42_000D;
        BATCH_ERROR_CONTINUATION_OPTION = 0x42_000E;
        BATCH_ITEM = 0x42_000F;
        CRYPTOGRAPHIC_ALGORITHM = 0x42_0028;
        CRYPTOGRAPHIC_LENGTH = 0x42_002A;
        CRYPTOGRAPHIC_USAGE_MASK = 0x42_002C;
        INITIAL_DATE = 0x42_0039;
        KEY = 0x42_003F;
        KEY_BLOCK = 0x42_0040;
        KEY_FORMAT_TYPE = 0x42_0042;
        KEY_MATERIAL = 0x42_0043;
        KEY_VALUE = 0x42_0045;
        KEY_WRAPPING_DATA = 0x42_0046;
        MAXIMUM_ITEMS = 0x42_004F;
        NAME = 0x42_0053;
        NAME_TYPE = 0x42_0054;
        NAME_VALUE = 0x42_0055;
        OBJECT_GROUP = 0x42_0056;
        OBJECT_TYPE = 0x42_0057;
        OPERATION = 0x42_005C;
        PROTECT_STOP_DATE = 0x42_0068;
        PROTOCOL_VERSION = 0x42_0069;
        PROTOCOL_VERSION_MAJOR = 0x42_006A;
        PROTOCOL_VERSION_MINOR = 0x42_006B;
        QUERY_FUNCTION = 0x42_0074;
        REQUEST_HEADER = 0x42_0077;
        REQUEST_MESSAGE = 0x42_0078;
        REQUEST_PAYLOAD = 0x42_0079;
        RESPONSE_MESSAGE = 0x42_007B;
        RESPONSE_PAYLOAD = 0x42_007C;
        RESULT_MESSAGE = 0x42_007D;
        RESULT_REASON = 0x42_007E;
        RESULT_STATUS = 0x42_007F;
        STATE = 0x42_008D;
        SYMMETRIC_KEY = 0x42_008F;
        TEMPLATE_ATTRIBUTE = 0x42_0091;
        UNIQUE_BATCH_ITEM_ID = 0x42_0093;
        UNIQUE_IDENTIFIER = 0x42_0094;
        VENDOR_IDENTIFICATION = 0x42_009D;
        OFFSET_ITEMS = 0x42_00D4;
        LOCATED_ITEMS = 0x42_00D5;
        ATTRIBUTES = 0x42_0125;
    }
}

/// Result Status: it worked.
pub(super) const SUCCESS: u32 = 0;
/// Batch Error Continuation Option: go on behind an item that failed.
pub(super) const CONTINUE: u32 = 1;
/// Object Type: symmetric key.
pub(super) const SYMMETRIC_KEY: u32 = 2;
/// Key Format Type: the bytes of the key.
pub(super) const RAW: u32 = 0x01;
/// Key Format Type: a structure around them.
pub(super) const TRANSPARENT_SYMMETRIC_KEY: u32 = 0x07;
/// Name Type: any text.
pub(super) const UNINTERPRETED_TEXT: u32 = 1;
/// Cryptographic Algorithm: AES.
pub(super) const AES: u32 = 3;
/// Cryptographic Length in bits.
pub(super) const KEY_BITS: i32 = 256;
/// Cryptographic Usage Mask: encrypt.
pub(super) const ENCRYPT: i32 = 0x4;
/// Cryptographic Usage Mask: decrypt.
pub(super) const DECRYPT: i32 = 0x8;
/// Query Function: operations, server information.
pub(super) const QUERY_OPERATIONS: u32 = 1;
pub(super) const QUERY_SERVER_INFORMATION: u32 = 3;

/// What a server is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Locate,
    Get,
    GetAttributes,
    Activate,
    Query,
    DiscoverVersions,
    Export,
}

impl Operation {
    pub(super) const ALL: [Self; 8] = [
        Self::Create,
        Self::Locate,
        Self::Get,
        Self::GetAttributes,
        Self::Activate,
        Self::Query,
        Self::DiscoverVersions,
        Self::Export,
    ];

    /// Its number.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::Create => 0x01,
            Self::Locate => 0x08,
            Self::Get => 0x0A,
            Self::GetAttributes => 0x0B,
            Self::Activate => 0x12,
            Self::Query => 0x18,
            Self::DiscoverVersions => 0x1E,
            Self::Export => 0x2B,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Create => "Create",
            Self::Locate => "Locate",
            Self::Get => "Get",
            Self::GetAttributes => "Get Attributes",
            Self::Activate => "Activate",
            Self::Query => "Query",
            Self::DiscoverVersions => "Discover Versions",
            Self::Export => "Export",
        })
    }
}

/// The State of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    PreActive,
    Active,
    Deactivated,
    Compromised,
    Destroyed,
    DestroyedCompromised,
    Other(u32),
}

impl State {
    pub(super) const ACTIVE: u32 = 2;

    pub(super) fn of(number: u32) -> Self {
        match number {
            1 => Self::PreActive,
            Self::ACTIVE => Self::Active,
            3 => Self::Deactivated,
            4 => Self::Compromised,
            5 => Self::Destroyed,
            6 => Self::DestroyedCompromised,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PreActive => formatter.pad("Pre-Active"),
            Self::Active => formatter.pad("Active"),
            Self::Deactivated => formatter.pad("Deactivated"),
            Self::Compromised => formatter.pad("Compromised"),
            Self::Destroyed => formatter.pad("Destroyed"),
            Self::DestroyedCompromised => formatter.pad("Destroyed Compromised"),
            Self::Other(number) => write!(formatter, "in unknown state {number:X}h"),
        }
    }
}

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProtocolVersion {
    /// Major.
    pub major: i32,
    /// Minor.
    pub minor: i32,
}

/// `major.minor`.
pub(super) const fn version(major: i32, minor: i32) -> ProtocolVersion {
    ProtocolVersion { major, minor }
}

impl ProtocolVersion {
    /// Whether attributes are written as of 2.0 on: by their own tags, custom ones under a vendor.
    pub(super) fn has_tagged_attributes(self) -> bool {
        self.major >= 2
    }

    /// Whether Locate knows Offset Items.
    pub(super) fn has_offset_items(self) -> bool {
        self >= version(1, 3)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}
