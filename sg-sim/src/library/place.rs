//! Where a cartridge can be, by kind of element and number, independent of the addresses that a vendor gives them.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Kind of element (SMC-3, "Element type codes").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum ElementType {
    /// The robot's hand.
    MediumTransport,
    /// A slot.
    Storage,
    /// The door through which an operator passes cartridges.
    ImportExport,
    /// A drive.
    DataTransfer,
}

impl ElementType {
    /// All kinds, by code.
    pub(super) const ALL: [Self; 4] = [
        Self::MediumTransport,
        Self::Storage,
        Self::ImportExport,
        Self::DataTransfer,
    ];

    /// ELEMENT TYPE CODE.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::MediumTransport => 1,
            Self::Storage => 2,
            Self::ImportExport => 3,
            Self::DataTransfer => 4,
        }
    }
}

/// One place in a library. Written `slot 3`, `io 1` or `drive 0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Place {
    /// A medium transport element, from 1. It carries cartridges and keeps none.
    Transport(u16),
    /// A storage element, from 1.
    Slot(u16),
    /// An import/export element, from 1.
    ImportExport(u16),
    /// A data transfer element, from 0: the number of the drive's unit.
    Drive(u16),
}

/// Text that is no place.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("read place {text:?}: not a place where a cartridge can be\nhint: write \"slot 1\", \"io 1\" or \"drive 0\"")]
pub struct PlaceError {
    text: String,
}

impl Place {
    /// Kind of the element.
    pub(super) const fn element_type(self) -> ElementType {
        match self {
            Self::Transport(_) => ElementType::MediumTransport,
            Self::Slot(_) => ElementType::Storage,
            Self::ImportExport(_) => ElementType::ImportExport,
            Self::Drive(_) => ElementType::DataTransfer,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(number) => write!(formatter, "transport {number}"),
            Self::Slot(number) => write!(formatter, "slot {number}"),
            Self::ImportExport(number) => write!(formatter, "io {number}"),
            Self::Drive(number) => write!(formatter, "drive {number}"),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || PlaceError { text: text.to_owned() };
        let (kind, number) = text.split_once(' ').ok_or_else(refused)?;
        let number: u16 = number.trim_start().parse().map_err(|_| refused())?;
        match (kind, number) {
            ("slot", 1..) => Ok(Self::Slot(number)),
            ("io", 1..) => Ok(Self::ImportExport(number)),
            ("drive", _) => Ok(Self::Drive(number)),
            _ => Err(refused()),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_places_as_it_writes_them() {
        for place in [Place::Slot(1), Place::ImportExport(7), Place::Drive(0)] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
    }

    #[test]
    fn refuses_what_no_cartridge_can_be_in() {
        for text in [
            "",
            "slot",
            "slot 0",
            "io 0",
            "drive -1",
            "transport 1",
            "slot 1 2",
            "shelf 1",
            "slot 65536",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text:?}");
        }
    }
}
