//! What is known of a cartridge before its file is opened: barcode, kind, and what a new one is made of.

use super::Place;
use crate::MediumSpec;
use serde::{Deserialize, Serialize};

/// A cartridge of the library, as the description or an operator names it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Tape {
    /// Barcode, and the name of the file.
    pub(super) barcode: String,
    /// Where it starts. None: in the first free slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<Place>,
    #[serde(default)]
    kind: TapeKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    medium_serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    early_warning_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write_protected: Option<bool>,
}

/// What a cartridge is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TapeKind {
    /// Data.
    #[default]
    Data,
    /// It cleans a drive and holds nothing.
    Cleaning,
}

/// What is wrong with a tape's table.
pub(super) struct TapeFault {
    /// The key.
    pub(super) key: &'static str,
    /// Its value.
    pub(super) value: String,
    /// What is wrong.
    pub(super) reason: &'static str,
    /// What to do.
    pub(super) hint: &'static str,
}

impl Tape {
    /// A data cartridge of the usual kind.
    pub(super) fn data(barcode: &str) -> Self {
        Self {
            barcode: barcode.to_owned(),
            at: None,
            kind: TapeKind::Data,
            medium_serial: None,
            generation: None,
            capacity_bytes: None,
            early_warning_bytes: None,
            write_protected: None,
        }
    }

    /// Whether it is a cleaning cartridge.
    pub(super) fn is_cleaning(&self) -> bool {
        self.kind == TapeKind::Cleaning
    }

    /// Medium serial number, if the description insists on one.
    pub(super) fn demanded_serial(&self) -> Option<&str> {
        self.medium_serial.as_deref()
    }

    /// Medium serial number of a new cartridge: not the barcode, since the two differ on real tapes.
    pub(super) fn serial(&self) -> String {
        let made = || format!("SIM{}", self.barcode).chars().take(32).collect();
        self.medium_serial.clone().unwrap_or_else(made)
    }

    /// What a new cartridge is made of.
    pub(super) fn spec(&self) -> MediumSpec {
        let usual = MediumSpec::default();
        let capacity_bytes = self.capacity_bytes.unwrap_or(usual.capacity_bytes);
        let early_warning = usual.early_warning_bytes.min(capacity_bytes / 10);
        MediumSpec {
            medium_serial: self.serial(),
            barcode: Some(self.barcode.clone()),
            density: if self.generation == Some(7) { 0x5C } else { 0x5E },
            capacity_bytes,
            early_warning_bytes: self.early_warning_bytes.unwrap_or(early_warning),
            write_protected: self.write_protected.unwrap_or(false),
        }
    }

    /// Refuses what no cartridge can be.
    pub(super) fn check(&self) -> Result<(), TapeFault> {
        let fault = |key, value: String, reason, hint| {
            Err(TapeFault {
                key,
                value,
                reason,
                hint,
            })
        };
        if !barcode_allowed(&self.barcode) {
            let hint = "write 1 to 32 letters, digits, '-' or '_'";
            return fault("barcode", self.barcode.clone(), "not a barcode", hint);
        }
        if self.is_cleaning() {
            return match self.first_data_key() {
                Some(key) => fault(
                    key,
                    "...".to_owned(),
                    "a cleaning cartridge holds no data",
                    "leave the key out",
                ),
                None => Ok(()),
            };
        }
        if let Some(generation) = self.generation.filter(|generation| !(7..=8).contains(generation)) {
            let hint = "write 7 or 8: the drives read and write no other";
            return fault("generation", generation.to_string(), "no drive can take it", hint);
        }
        let spec = self.spec();
        if spec.validate().is_err() {
            let value = format!(
                "{} / {} / {}",
                spec.medium_serial, spec.capacity_bytes, spec.early_warning_bytes
            );
            let hint = "serial numbers have 1 to 32 printable ASCII characters, capacities are at most 1 PiB, the early warning is not above the capacity";
            return fault(
                "medium-serial / capacity-bytes / early-warning-bytes",
                value,
                "no cartridge is like this",
                hint,
            );
        }
        Ok(())
    }

    fn first_data_key(&self) -> Option<&'static str> {
        let keys = [
            (self.medium_serial.is_some(), "medium-serial"),
            (self.generation.is_some(), "generation"),
            (self.capacity_bytes.is_some(), "capacity-bytes"),
            (self.early_warning_bytes.is_some(), "early-warning-bytes"),
            (self.write_protected.is_some(), "write-protected"),
        ];
        keys.into_iter().find_map(|(given, key)| given.then_some(key))
    }
}

/// Whether this is a barcode. It names a file too, so dots and slashes are none.
pub(super) fn barcode_allowed(barcode: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=32).contains(&barcode.len()) && barcode.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape(text: &str) -> Tape {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn makes_a_small_cartridge_warn_before_its_end() {
        let spec = tape("barcode = \"A00001L8\"\ncapacity-bytes = 1_000_000").spec();
        assert_eq!((spec.capacity_bytes, spec.early_warning_bytes), (1_000_000, 100_000));
        assert_eq!(spec.medium_serial, "SIMA00001L8");
        assert_eq!(Tape::data("A00002L8").spec().early_warning_bytes, 4_000_000_000);
    }

    #[test]
    fn names_the_key_that_is_wrong() {
        for (text, key) in [
            ("barcode = \"../etc\"", "barcode"),
            ("barcode = \"\"", "barcode"),
            ("barcode = \"A\"\ngeneration = 6", "generation"),
            (
                "barcode = \"CLNU01L1\"\nkind = \"cleaning\"\ngeneration = 8",
                "generation",
            ),
            (
                "barcode = \"A\"\nmedium-serial = \"a b\"",
                "medium-serial / capacity-bytes / early-warning-bytes",
            ),
        ] {
            assert_eq!(tape(text).check().err().map(|fault| fault.key), Some(key), "{text}");
        }
        assert!(tape("barcode = \"CLNU01L1\"\nkind = \"cleaning\"").check().is_ok());
    }
}
