//! An LTO drive in software that really encrypts: SCSI commands in, status, sense and data out.
//!
//! [`Drive`] is the machine, [`Cartridge`] is what goes into it, [`Library`] is several drives with a robot. [`Drive::execute`] takes any bytes
//! as a command and gives an answer that a drive could give; it never panics, never sleeps, never reads a clock. Random numbers come from the
//! [`Randomness`] that the caller passes in.
//! Every block written while a key is in force is sealed with AES-256-GCM, so a cartridge holds cipher text and nothing else.
//!
//! The crate shares no type and no line with the program that it is used to test: the two sides of the wire must not make the same mistake.
//!
//! Standards: SPC-4 (commands every device has), SSC-4 (tape commands and security protocol 20h), SAM-5 (nexuses and unit attentions).

pub mod cartridge;
mod cipher;
mod drive;
mod event;
pub mod fault;
pub mod front;
mod library;
mod nexus;
mod profile;
mod quirks;
mod randomness;
mod reply;
mod sense;
mod units;

pub use cartridge::{Cartridge, CartridgeError, MediumSpec};
pub use drive::{Drive, DriveStatus, LoadError, MediumStatus, Pace};
pub use event::Event;
pub use library::{Holding, Library, LibraryError, Place, PlaceError, StationError};
pub use nexus::{ItNexus, ItNexusError};
pub use profile::{EncryptionProfile, Profile, ProfileError};
pub use quirks::{BlankAnswer, EmptyAnswer, EndOfDataAnswer, LibraryManaged, OutsideOwner, Quirks};
pub use randomness::{Randomness, SeededRandomness};
pub use reply::{Reply, Status};
pub use sense::SenseCode;
pub use units::{Absence, Unit, UnitKind, Units};
