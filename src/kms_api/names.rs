//! Names that cross the wire: of groups, keys and volumes. A value of these types has been checked, so it can stand in an address, a log
//! line or a table without being quoted.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::kad::KeyId;

/// What the name of every group for tape pools begins with.
pub const TAPE_PREFIX: &str = "ENCR_";

/// Most bytes of any name.
const NAME_LENGTH_MAX: usize = 64;

/// Most characters of a wrong name that an error repeats.
const SHOWN_MAX: usize = 80;

/// A text is no name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} \"{shown}\": {problem}\nhint: {rule}")]
pub struct NameError {
    /// What it should have named.
    pub what: &'static str,
    /// The text with everything unprintable escaped, cut if long.
    pub shown: String,
    /// What is wrong with it.
    pub problem: &'static str,
    /// What such names look like.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `text`.
            ///
            /// # Errors
            /// [`NameError`] says which rule it breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                $kind.check(text.into()).map(Self)
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                // `pad`, so that widths work in tables.
                formatter.pad(&self.0)
            }
        }
    };
}

name!(
    /// The name of a key group: the name of the pool whose volumes it serves.
    GroupName,
    Kind { what: "group name", rule: "1 to 64 letters, digits and any of . _ + : -", inner_space: false }
);
name!(
    /// The name of a key, unique in its group.
    KeyName,
    Kind { what: "key name", rule: "1 to 64 letters, digits and any of . _ + : -", inner_space: false }
);
name!(
    /// The name of a server behind the KMS.
    ServerName,
    Kind { what: "server name", rule: "1 to 64 letters, digits and any of . _ + : -", inner_space: false }
);
name!(
    /// The holder of a certificate: a person, a program or a host.
    ClientName,
    Kind { what: "client name", rule: "1 to 64 letters, digits and any of . _ + : -", inner_space: false }
);
name!(
    /// What a volume is called in requests and audit records: its medium serial number, or its barcode.
    VolumeName,
    Kind {
        what: "volume",
        rule: "1 to 64 printable ASCII characters, no space at either end; read the barcode again or name the volume by hand",
        inner_space: true,
    }
);

impl GroupName {
    /// Whether this is a group for tape pools.
    #[must_use]
    pub fn is_for_tape(&self) -> bool {
        self.0.len() > TAPE_PREFIX.len() && self.0.starts_with(TAPE_PREFIX)
    }
}

impl ServerName {
    /// A name for a server of which not even the name can be read.
    #[must_use]
    pub fn unreadable() -> Self {
        Self("unreadable".to_owned())
    }
}

impl KeyName {
    /// A name for a key that has none of its own, or none that fits: its id, a UUID.
    #[must_use]
    pub fn of_id(id: KeyId) -> Self {
        Self(id.to_string())
    }
}

struct Kind {
    what: &'static str,
    rule: &'static str,
    inner_space: bool,
}

impl Kind {
    fn check(&self, text: String) -> Result<String, NameError> {
        match self.problem(&text) {
            None => Ok(text),
            Some(problem) => Err(NameError {
                what: self.what,
                shown: text.escape_default().take(SHOWN_MAX).collect(),
                problem,
                rule: self.rule,
            }),
        }
    }

    fn problem(&self, text: &str) -> Option<&'static str> {
        if text.is_empty() {
            Some("is empty")
        } else if text.len() > NAME_LENGTH_MAX {
            Some("is too long")
        } else if text.starts_with(' ') || text.ends_with(' ') {
            Some("has a space at an end")
        } else if !text.chars().all(|character| self.allows(character)) {
            Some("has a character that is not allowed")
        } else {
            None
        }
    }

    fn allows(&self, character: char) -> bool {
        if self.inner_space {
            character.is_ascii_graphic() || character == ' '
        } else {
            character.is_ascii_alphanumeric() || "._+:-".contains(character)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_would_need_quoting() {
        for bad in ["", "a b", "a/b", "a\n", "é", "a\0", "a\"b", &"x".repeat(65)] {
            assert!(GroupName::new(bad).is_err(), "{bad:?}");
            assert!(KeyName::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(GroupName::new("ENCR_a.b_c+d:e-9").unwrap().as_str(), "ENCR_a.b_c+d:e-9");
        assert!(GroupName::new("x".repeat(64)).is_ok());
    }

    #[test]
    fn a_volume_may_have_any_printable_character_but_no_odd_byte() {
        for bad in ["", " A00001L8", "A00001L8 ", "A0\u{1b}[31m", "A0\u{ff}", "A\t1", "A\0"] {
            let error = VolumeName::new(bad).unwrap_err();
            assert!(
                error.to_string().is_ascii() && !error.shown.contains('\u{1b}'),
                "{error}"
            );
        }
        assert!(VolumeName::new("A0 #$%/L8").is_ok());
    }

    #[test]
    fn a_key_id_is_always_a_name() {
        let id = KeyId([0xFF; 16]);
        assert_eq!(KeyName::new(id.to_string()).unwrap(), KeyName::of_id(id));
    }

    #[test]
    fn the_prefix_alone_names_no_tape_group() {
        for (name, for_tape) in [
            ("ENCR_daily", true),
            ("ENCR_", false),
            ("encr_daily", false),
            ("daily", false),
        ] {
            assert_eq!(GroupName::new(name).unwrap().is_for_tape(), for_tape, "{name}");
        }
    }
}
