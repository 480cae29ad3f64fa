//! Security protocol 20h, tape data encryption: one file for each page (SSC-4, "Tape data encryption security protocol").
//!
//! Every page opens with PAGE CODE (0-1) and PAGE LENGTH (2-3), which counts what follows it.

pub mod capabilities;
pub mod kad_descriptor;
pub mod key_formats;
pub mod management;
pub mod next_block;
pub mod set_data_encryption;
pub mod status;
pub mod supported_pages;

use super::reader::{DecodeError, Reader};

/// A reader of a page's body. Bytes after PAGE LENGTH are ignored: some drives report the whole allocation length as data.
///
/// # Errors
/// [`DecodeError`] if another page came, or fewer bytes than PAGE LENGTH says.
fn page_body<'a>(what: &'static str, page_code: u16, reply: &'a [u8]) -> Result<Reader<'a>, DecodeError> {
    let mut reader = Reader::new(what, reply);
    let found = reader.u16()?;
    if found != page_code {
        return Err(DecodeError::WrongPage {
            what,
            wanted: page_code,
            found,
        });
    }
    let length = reader.u16()?;
    reader.sub(length.into())
}

/// The scope of encryption parameters, and whose parameters are in force for a nexus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// 0: no parameters of its own; those of ALL I_T NEXUS if there are any.
    Public,
    /// 1: for the sending I_T nexus alone.
    Local,
    /// 2: for every I_T nexus whose own scope is not LOCAL.
    AllItNexus,
    /// A value that the standard does not define.
    Unknown(u8),
}

impl Scope {
    fn decode(value: u8) -> Self {
        match value {
            0 => Self::Public,
            1 => Self::Local,
            2 => Self::AllItNexus,
            unknown => Self::Unknown(unknown),
        }
    }
}

/// ENCRYPTION MODE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncryptionMode {
    /// 0: blocks are written plain.
    Disable,
    /// 1: the host sends cipher text.
    External,
    /// 2: blocks are encrypted by the drive.
    Encrypt,
    /// A value that the standard does not define.
    Unknown(u8),
}

impl EncryptionMode {
    fn decode(value: u8) -> Self {
        match value {
            0 => Self::Disable,
            1 => Self::External,
            2 => Self::Encrypt,
            unknown => Self::Unknown(unknown),
        }
    }
}

/// DECRYPTION MODE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecryptionMode {
    /// 0: encrypted blocks cannot be read.
    Disable,
    /// 1: encrypted blocks are read as cipher text.
    Raw,
    /// 2: encrypted blocks are decrypted, plain ones refused.
    Decrypt,
    /// 3: encrypted blocks are decrypted, plain ones read as they are.
    Mixed,
    /// A value that the standard does not define.
    Unknown(u8),
}

impl DecryptionMode {
    fn decode(value: u8) -> Self {
        match value {
            0 => Self::Disable,
            1 => Self::Raw,
            2 => Self::Decrypt,
            3 => Self::Mixed,
            unknown => Self::Unknown(unknown),
        }
    }
}
