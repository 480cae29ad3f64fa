//! The I_T nexus: an initiator port talking to the drive (SAM-5, "I_T nexus").
//!
//! A nexus is only a name here. What the drive keeps for it (unit attentions, scope, LOCK) is kept by the drive and survives every connection.

use thiserror::Error;

/// Longest name of a nexus, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// One initiator port talking to the drive. Connections naming the same one share unit attentions, scope and LOCK.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ItNexus(String);

/// A name that cannot be the name of a nexus.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("name an I_T nexus: {length} bytes\nhint: 1 to 64 bytes, each a printable ASCII character other than a space")]
pub struct ItNexusError {
    /// Length of the refused name in bytes.
    length: usize,
}

impl ItNexus {
    /// The nexus called `name`: 1 to 64 bytes, each 21h to 7Eh.
    ///
    /// # Errors
    /// The name is empty, too long, or holds another byte.
    pub fn new(name: &str) -> Result<Self, ItNexusError> {
        let allowed = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        if allowed {
            Ok(Self(name.to_owned()))
        } else {
            Err(ItNexusError { length: name.len() })
        }
    }

    /// The name as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The nexus that [`Event::KeySetByAnotherNexus`](crate::Event::KeySetByAnotherNexus) acts for.
    ///
    /// The space in it is on purpose: no initiator can name itself so.
    pub(crate) fn stranger() -> Self {
        Self("another nexus".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_printable_names_of_up_to_64_bytes() {
        assert_eq!(ItNexus::new("host1:sas0").unwrap().name(), "host1:sas0");
        assert!(ItNexus::new(&"n".repeat(64)).is_ok());
    }

    #[test]
    fn refuses_empty_long_and_unprintable_names() {
        for name in ["", "a b", "tab\t", "umlaut-\u{e4}", &"n".repeat(65)] {
            assert!(ItNexus::new(name).is_err(), "{name:?}");
        }
    }
}
