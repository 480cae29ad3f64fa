//! Page 0010h (sent), Set Data Encryption: tells the drive which key to use from now on.
//!
//! Parameter list of SECURITY PROTOCOL OUT, protocol 20h (SSC-4, "Set Data Encryption page"). PAGE LENGTH (2-3) counts what follows it.
//! KEY LENGTH (18-19) is 0 when no key is sent, otherwise 32: the only length that AES-256 has.

use zeroize::Zeroizing;

use crate::secret::{DataKey, KEY_LENGTH};

/// PAGE CODE.
pub const PAGE_CODE: u16 = 0x0010;

/// Bytes before the key.
const HEADER_LENGTH: usize = 20;

/// CEEM 01b: whether a block was written in EXTERNAL or ENCRYPT mode is not checked.
const DO_NOT_CHECK_ENCRYPTION_MODE: u8 = 1 << 6;

const CLEAR_KEY_ON_DEMOUNT: u8 = 1 << 2;

/// Whose parameters are set. PUBLIC is never sent: its page means "forget mine".
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetScope {
    /// For the sending I_T nexus alone.
    Local,
    /// For every I_T nexus whose own scope is not LOCAL.
    AllItNexus,
}

impl SetScope {
    fn bits(self) -> u8 {
        match self {
            Self::Local => 1 << 5,
            Self::AllItNexus => 2 << 5,
        }
    }
}

/// What the drive does on READ while it encrypts on WRITE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decryption {
    /// DECRYPT: plain blocks are refused.
    Decrypt,
    /// MIXED: plain blocks are read as they are.
    Mixed,
}

/// The page that makes the drive encrypt. Reserved bits are zero, lengths follow from the contents. It has no `Debug`: it carries a key.
pub struct EncryptPage<'a> {
    /// SCOPE (4, bits 7-5).
    pub scope: SetScope,
    /// CKOD (5, bit 2): forget the key when the volume leaves. Only where page 0012h offers it.
    pub clear_key_on_demount: bool,
    /// DECRYPTION MODE (7).
    pub decryption: Decryption,
    /// ALGORITHM INDEX (8), from page 0010h.
    pub algorithm_index: u8,
    /// The key (20-51), KEY FORMAT 00h.
    pub key: &'a DataKey,
    /// U-KAD; no descriptor if empty. Longer ones than 65535 bytes are cut, which no caller can have: drives take 32.
    pub unauthenticated_kad: &'a [u8],
    /// A-KAD; no descriptor if empty.
    pub authenticated_kad: &'a [u8],
}

impl EncryptPage<'_> {
    /// The parameter list, wiped when dropped.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let kads = [
            kad_descriptor(0x00, self.unauthenticated_kad),
            kad_descriptor(0x01, self.authenticated_kad),
        ]
        .concat();
        let total = HEADER_LENGTH + KEY_LENGTH + kads.len();
        let flags = DO_NOT_CHECK_ENCRYPTION_MODE
            | if self.clear_key_on_demount {
                CLEAR_KEY_ON_DEMOUNT
            } else {
                0
            };
        let decryption_mode = match self.decryption {
            Decryption::Decrypt => 2,
            Decryption::Mixed => 3,
        };
        // Reserved whole, so that growing never leaves a copy of the key behind.
        let mut page = Zeroizing::new(Vec::with_capacity(total));
        push_header(
            &mut page,
            total,
            [self.scope.bits(), flags, 2, decryption_mode, self.algorithm_index],
        );
        page.extend(length_field(KEY_LENGTH));
        page.extend(self.key.expose());
        page.extend(kads);
        page
    }
}

/// The page that makes the drive forget: DISABLE, DISABLE, LOCK 0, no key, no KAD.
#[must_use]
pub fn encode_disable(scope: SetScope, algorithm_index: u8) -> Vec<u8> {
    let mut page = Vec::with_capacity(HEADER_LENGTH);
    push_header(
        &mut page,
        HEADER_LENGTH,
        [scope.bits(), DO_NOT_CHECK_ENCRYPTION_MODE, 0, 0, algorithm_index],
    );
    page.extend(length_field(0));
    page
}

/// Bytes 0-17: page code, page length, bytes 4-8 as given, KEY FORMAT, KAD FORMAT and reserved bytes zero.
fn push_header(page: &mut Vec<u8>, total: usize, bytes_4_to_8: [u8; 5]) {
    page.extend(PAGE_CODE.to_be_bytes());
    page.extend(length_field(total - 4));
    page.extend(bytes_4_to_8);
    page.extend([0; 9]);
}

fn kad_descriptor(kad_type: u8, data: &[u8]) -> Vec<u8> {
    if data.is_empty() {
        return Vec::new();
    }
    let data = data.get(..usize::from(u16::MAX)).unwrap_or(data);
    [[kad_type, 0].as_slice(), &length_field(data.len()), data].concat()
}

fn length_field(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
