//! What comes back from a command: status, sense, and how much data (SAM-5, "Status").

/// SCSI status byte. Only four values ever come from this drive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Status(pub u8);

impl Status {
    /// The command was executed.
    pub const GOOD: Self = Self(0x00);
    /// Something is to be said about the command or the drive: sense data follows.
    pub const CHECK_CONDITION: Self = Self(0x02);
    /// The drive cannot take the command now.
    pub const BUSY: Self = Self(0x08);
    /// Another nexus holds a reservation.
    pub const RESERVATION_CONFLICT: Self = Self(0x18);
}

/// The answer to one command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// Status of the command.
    pub status: Status,
    /// Sense data; not empty exactly when the status is CHECK CONDITION.
    pub sense: Vec<u8>,
    /// Number of valid bytes at the beginning of the caller's data-in buffer; what follows them is not defined.
    pub data_in: usize,
}
