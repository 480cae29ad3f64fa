//! A medium changer with a type: what is in which place, and which drive is in which bay.
//!
//! It only asks. It moves nothing, starts no inventory (INITIALIZE ELEMENT STATUS) and locks no door: those belong to the operator and the backup
//! program. The robot does not move for an answer either (CURDATA), unless the changer is too old to be asked so. Everything here blocks until the
//! changer answers or `command_timeout` is over.

mod command;
mod error;
mod inventory;

use std::time::Duration;

pub use error::LibraryError;
pub use inventory::{Bay, Inventory, Place, Volume};

use crate::scsi::cdb;
use crate::scsi::inquiry::{MEDIUM_CHANGER, StandardInquiry, VPD_UNIT_SERIAL_NUMBER, decode_unit_serial_number};
use crate::transport::Transport;

/// Room for standard INQUIRY data and any VPD page that we read.
const INQUIRY_LENGTH: u16 = 0x0400;

/// A medium changer at the end of a transport.
pub struct Changer {
    transport: Box<dyn Transport>,
    command_timeout: Duration,
    /// Whether it takes CURDATA, as far as is known.
    takes_current_data: bool,
}

/// Who a changer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangerIdentity {
    /// T10 VENDOR IDENTIFICATION.
    pub vendor: String,
    /// PRODUCT IDENTIFICATION.
    pub product: String,
    /// PRODUCT REVISION LEVEL.
    pub revision: String,
    /// Unit serial number (VPD 80h).
    pub serial: String,
}

impl Changer {
    /// A changer that is given `command_timeout` for each command.
    #[must_use]
    pub fn new(transport: Box<dyn Transport>, command_timeout: Duration) -> Self {
        Self {
            transport,
            command_timeout,
            takes_current_data: true,
        }
    }

    /// Reads who the changer is.
    ///
    /// # Errors
    /// [`LibraryError::NotAChanger`], or whatever kept it from answering.
    pub fn identify(&mut self) -> Result<ChangerIdentity, LibraryError> {
        let ask = cdb::inquiry(None, INQUIRY_LENGTH);
        let standard = self.read("INQUIRY", &ask, INQUIRY_LENGTH.into(), StandardInquiry::decode)?;
        if standard.device_type != MEDIUM_CHANGER {
            return Err(LibraryError::NotAChanger {
                path: self.path().to_owned(),
                device_type: standard.device_type,
            });
        }
        let ask = cdb::inquiry(Some(VPD_UNIT_SERIAL_NUMBER), INQUIRY_LENGTH);
        let serial = self.read(
            "INQUIRY page 80h",
            &ask,
            INQUIRY_LENGTH.into(),
            decode_unit_serial_number,
        )?;
        let StandardInquiry {
            vendor,
            product,
            revision,
            ..
        } = standard;
        Ok(ChangerIdentity {
            vendor,
            product,
            revision,
            serial,
        })
    }

    /// Requires the changer to be the one with serial number `expected`.
    ///
    /// # Errors
    /// [`LibraryError::AnotherChanger`], or as [`Changer::identify`].
    pub fn confirm_serial(&mut self, expected: &str) -> Result<(), LibraryError> {
        let found = self.identify()?.serial;
        if found == expected {
            return Ok(());
        }
        Err(LibraryError::AnotherChanger {
            path: self.path().to_owned(),
            expected: expected.to_owned(),
            found,
        })
    }

    /// How people name the path to it.
    #[must_use]
    pub fn path(&self) -> &str {
        self.transport.name()
    }
}
