//! What libraries of different vendors call themselves, and which addresses they give to their elements.
//!
//! The numbers are those that such libraries are known to report. Every one can be changed in the description.

use super::place::{ElementType, Place};
use serde::Deserialize;

/// Whose library this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ChangerModel {
    /// Nobody's in particular.
    #[default]
    Generic,
    /// HP.
    Hp,
    /// IBM.
    Ibm,
}

impl ChangerModel {
    /// T10 vendor identification, product identification and product revision level.
    pub(super) const fn identity(self) -> (&'static [u8; 8], &'static [u8; 16], &'static [u8; 4]) {
        match self {
            Self::Generic => (b"SG-SIM  ", b"TAPE LIBRARY    ", b"0001"),
            Self::Hp => (b"HP      ", b"MSL G3 Series   ", b"E.00"),
            Self::Ibm => (b"IBM     ", b"3573-TL         ", b"C.20"),
        }
    }

    /// Address of the first element of each kind.
    pub(super) const fn first_address(self, element_type: ElementType) -> u16 {
        match (self, element_type) {
            (Self::Generic, ElementType::MediumTransport) => 0x02F0,
            (Self::Generic, ElementType::Storage) => 0x0400,
            (Self::Generic, ElementType::ImportExport) => 0x0300,
            (Self::Generic, ElementType::DataTransfer) | (Self::Hp | Self::Ibm, ElementType::MediumTransport) => 0x0001,
            (Self::Hp, ElementType::Storage) => 0x03E8,
            (Self::Hp, ElementType::ImportExport) => 0x000A,
            (Self::Hp, ElementType::DataTransfer) => 0x01F4,
            (Self::Ibm, ElementType::Storage) => 0x1000,
            (Self::Ibm, ElementType::ImportExport) => 0x0010,
            (Self::Ibm, ElementType::DataTransfer) => 0x0100,
        }
    }
}

/// Elements of one kind: first address and number (SMC-3, "Element Address Assignment mode page").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    /// Kind of the elements.
    pub(super) element_type: ElementType,
    /// Address of the first.
    pub(super) first: u16,
    /// How many there are.
    pub(super) count: u16,
}

impl Range {
    /// Address behind the last one.
    pub(super) fn end(self) -> u32 {
        u32::from(self.first) + u32::from(self.count)
    }

    /// Address of a place, if it is one of these.
    pub(super) fn address(self, place: Place) -> Option<u16> {
        let index = match place {
            Place::Transport(number) | Place::Slot(number) | Place::ImportExport(number) => number.checked_sub(1)?,
            Place::Drive(number) => number,
        };
        let known = place.element_type() == self.element_type && index < self.count;
        known.then(|| self.first.saturating_add(index))
    }

    /// Address and place of each element.
    pub(super) fn places(self) -> impl Iterator<Item = (u16, Place)> {
        (0..self.count).map(move |number| {
            let place = match self.element_type {
                ElementType::MediumTransport => Place::Transport(number.saturating_add(1)),
                ElementType::Storage => Place::Slot(number.saturating_add(1)),
                ElementType::ImportExport => Place::ImportExport(number.saturating_add(1)),
                ElementType::DataTransfer => Place::Drive(number),
            };
            (self.first.saturating_add(number), place)
        })
    }
}
