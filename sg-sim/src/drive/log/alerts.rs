//! TapeAlert (SSC-4, "TapeAlert"): which flags this drive raises, and the two log pages that show them.
//!
//! A flag stays up until page 2Eh is read, LOG SELECT lowers it, or the power goes. Page 12h only looks.

use super::{Format, Parameter, counter};

/// TapeAlert flags that this drive raises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::drive) enum TapeAlert {
    /// An error that no retry mended.
    HardError = 0x03,
    /// The medium is at fault: an unrecovered read or write error.
    Media = 0x04,
    /// A block could not be read.
    ReadFailure = 0x05,
    /// A block could not be written.
    WriteFailure = 0x06,
    /// Something was to be written to a protected cartridge.
    WriteProtect = 0x09,
    /// An unload was asked for while removal was prevented.
    NoRemoval = 0x0A,
    /// The cartridge was taken out by hand while removal was prevented.
    ForcedEject = 0x10,
    /// A key was needed from a key manager, and none came.
    KeyManagerError = 0x30,
    /// A plain block was to be written where the policy wants encrypted ones.
    EncryptionPolicyViolation = 0x3D,
}

/// All of them.
const SUPPORTED: [TapeAlert; 9] = [
    TapeAlert::HardError,
    TapeAlert::Media,
    TapeAlert::ReadFailure,
    TapeAlert::WriteFailure,
    TapeAlert::WriteProtect,
    TapeAlert::NoRemoval,
    TapeAlert::ForcedEject,
    TapeAlert::KeyManagerError,
    TapeAlert::EncryptionPolicyViolation,
];

/// Which flags are raised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::drive) struct TapeAlerts(u64);

impl TapeAlerts {
    /// Every flag that the drive can raise.
    pub(in crate::drive) fn supported() -> Self {
        let mut all = Self::default();
        SUPPORTED.into_iter().for_each(|alert| all.raise(alert));
        all
    }

    /// Raises a flag.
    pub(in crate::drive) const fn raise(&mut self, alert: TapeAlert) {
        self.0 |= 1 << (alert as u32 - 1);
    }

    /// The flags as MAM, page 12h and VPD page B2h have them: flag 1 is the most significant bit.
    pub(in crate::drive) const fn most_significant_first(self) -> u64 {
        self.0.reverse_bits()
    }

    const fn is_raised(self, flag: u16) -> bool {
        self.0 & (1 << ((flag - 1) & 63)) != 0
    }

    /// TapeAlert log page (2Eh).
    pub(super) fn flags(self) -> Vec<Parameter> {
        (0x0001..=0x0040)
            .map(|flag| Parameter::number(flag, Format::Counter, u64::from(self.is_raised(flag)), 1))
            .collect()
    }

    /// TapeAlert Response log page (12h).
    pub(super) fn response(self) -> Vec<Parameter> {
        vec![Parameter {
            code: 0x0000,
            format: Format::BinaryList,
            value: counter(self.most_significant_first(), 8),
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raises_flags_by_their_number() {
        let mut alerts = TapeAlerts::default();
        alerts.raise(TapeAlert::WriteProtect);
        assert_eq!((1..=64).filter(|flag| alerts.is_raised(*flag)).collect::<Vec<_>>(), [9]);
        assert_eq!(alerts.most_significant_first(), 0x0080_0000_0000_0000);
    }

    #[test]
    fn supports_what_it_can_raise() {
        let supported = TapeAlerts::supported();
        let flags: Vec<u16> = (1..=64).filter(|flag| supported.is_raised(*flag)).collect();
        assert_eq!(flags, SUPPORTED.map(|alert| alert as u16));
    }
}
