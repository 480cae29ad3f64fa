//! What kind of drive this is: strings, sizes and capabilities that differ from model to model.
//!
//! Values are those that the named model is known to report; where nobody has published a capture, the field's doc says so.

use thiserror::Error;

/// Length of a unit serial number, in bytes (VPD page 80h of LTO drives).
const SERIAL_NUMBER_BYTES: usize = 10;

/// A drive model and its serial number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// T10 vendor identification: 8 characters.
    pub(crate) vendor: [u8; 8],
    /// Product identification: 16 characters.
    pub(crate) product: [u8; 16],
    /// Firmware level: 4 characters.
    pub(crate) revision: [u8; 4],
    /// Unit serial number: 10 characters.
    pub(crate) serial_number: [u8; SERIAL_NUMBER_BYTES],
    /// Density codes that the drive reads and writes, its own first.
    pub(crate) densities: &'static [u8],
    /// Longest block in bytes.
    pub(crate) block_bytes_max: u32,
    /// Length of fixed-format sense data in bytes.
    pub(crate) sense_bytes: usize,
    /// What the drive says about encryption.
    pub encryption: EncryptionProfile,
}

/// The encryption capabilities of a model (SSC-4, "Data Encryption Capabilities page").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncryptionProfile {
    /// ALGORITHM INDEX of AES-256-GCM.
    pub algorithm_index: u8,
    /// MAXIMUM UNAUTHENTICATED KEY-ASSOCIATED DATA BYTES.
    pub u_kad_bytes_max: u16,
    /// MAXIMUM AUTHENTICATED KEY-ASSOCIATED DATA BYTES.
    pub a_kad_bytes_max: u16,
    /// UKADF: a U-KAD must have exactly the maximum length.
    pub u_kad_fixed: bool,
    /// AKADF: an A-KAD must have exactly the maximum length.
    pub a_kad_fixed: bool,
    /// KADF_C: the KAD FORMAT field is supported.
    pub kad_format_capable: bool,
    /// VCELB_C: the drive reports whether the volume holds encrypted blocks.
    pub vcelb_capable: bool,
    /// EXTDECC, external data encryption control capability (0 to 3).
    pub external_control: u8,
    /// RDMC_C, raw decryption mode control capability (0 to 7).
    pub raw_decryption_mode_control: u8,
    /// DKAD_C, decryption KAD capability: 0 not specified, 1 a key to decrypt with needs a KAD, 2 it must have none, 3 it may have one.
    pub decryption_kad: u8,
}

/// A serial number that no drive can have.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "set serial number {serial_number:?}: not 10 printable ASCII characters\nhint: LTO drives have serial numbers like 1013000101"
)]
pub struct ProfileError {
    serial_number: String,
}

impl Profile {
    /// IBM LTO-8 full-height drive (ULT3580-TD8). Encryption capability bytes as emulators of this drive report them; no capture is published.
    #[must_use]
    pub fn ibm_lto8() -> Self {
        Self {
            vendor: *b"IBM     ",
            product: *b"ULT3580-TD8     ",
            revision: *b"J4D0",
            serial_number: *b"1013000001",
            densities: &[0x5E, 0x5C],
            block_bytes_max: 0x80_0000,
            sense_bytes: 36,
            encryption: EncryptionProfile {
                algorithm_index: 1,
                u_kad_bytes_max: 32,
                a_kad_bytes_max: 12,
                u_kad_fixed: false,
                a_kad_fixed: false,
                kad_format_capable: false,
                vcelb_capable: false,
                external_control: 0,
                raw_decryption_mode_control: 4,
                decryption_kad: 0,
            },
        }
    }

    /// Vendor and serial number as a cartridge remembers its drives (MAM 020Ah): 40 characters.
    pub(crate) fn identification(&self) -> String {
        let (vendor, serial) = (
            String::from_utf8_lossy(&self.vendor),
            String::from_utf8_lossy(&self.serial_number),
        );
        format!("{vendor:<8}{serial:<32}")
    }

    /// The same model with this unit serial number.
    ///
    /// # Errors
    /// `serial_number` is not 10 printable ASCII characters.
    pub fn with_serial_number(mut self, serial_number: &str) -> Result<Self, ProfileError> {
        let refused = || ProfileError {
            serial_number: serial_number.to_owned(),
        };
        if !serial_number.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused());
        }
        self.serial_number = serial_number.as_bytes().try_into().map_err(|_| refused())?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_serial_number_of_ten_characters_and_no_other() {
        assert_eq!(
            &Profile::ibm_lto8()
                .with_serial_number("1013009999")
                .unwrap()
                .serial_number,
            b"1013009999"
        );
        for serial_number in ["", "123456789", "12345678901", "12345 7890", "12345678\u{e4}"] {
            assert!(
                Profile::ibm_lto8().with_serial_number(serial_number).is_err(),
                "{serial_number:?}"
            );
        }
    }
}
