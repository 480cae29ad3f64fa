//! How a command reaches a drive and how its answer comes back: the one trait, and its two real ends; and how programs are kept from the drive.
//!
//! [`sg_io`] talks to a real drive through Linux's `sg` node, [`sim`] to the simulator's socket; [`st_node`] holds the node that programs use. A transport knows SCSI's outer shape
//! (command, status, sense, data) and nothing of what is inside: it never interprets sense.

pub mod sg_io;
pub mod sim;
pub mod st_node;

use std::time::Duration;

use thiserror::Error;

/// Most sense bytes that a command returns (SPC-5).
pub const SENSE_LENGTH_MAX: usize = 252;

/// The data that goes with one command, from the initiator's point of view.
pub enum Data<'a> {
    /// No data in either direction.
    None,
    /// The drive sends up to this many bytes: the slice's length is the allocation length.
    In(&'a mut [u8]),
    /// The drive receives exactly these bytes.
    Out(&'a [u8]),
}

/// What came back for a command that the drive answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// SCSI status: 00h GOOD, 02h CHECK CONDITION, 08h BUSY, 18h RESERVATION CONFLICT, ...
    pub status: u8,
    /// Sense bytes as they came, empty if there were none. They may come with GOOD too (recovered error, filemark).
    pub sense: Vec<u8>,
    /// Bytes of data that moved. Some drives claim the whole allocation length: trust the lengths inside the data first.
    pub transferred: usize,
}

/// A path on which one initiator port sends commands to one logical unit.
pub trait Transport: Send {
    /// Sends `cdb` with `data` and waits for the answer, at most about `timeout`. Blocks.
    ///
    /// # Errors
    /// [`TransportError`] only if no SCSI answer came; CHECK CONDITION is a [`Completion`].
    fn execute(&mut self, cdb: &[u8], data: Data<'_>, timeout: Duration) -> Result<Completion, TransportError>;

    /// How people name this path: `/dev/sg3`, `sim:/run/drive.sock`.
    fn name(&self) -> &str;
}

/// The command got no SCSI answer. Whether the drive executed it is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransportError {
    /// Nothing came back in time. The path must not be used for another command until this one has ended.
    #[error(
        "{path}: no answer in {timeout_ms} ms\nhint: the drive hangs or is busy with a long command; power-cycle it if it stays so"
    )]
    Timeout {
        /// Name of the path.
        path: String,
        /// How long we waited, in milliseconds.
        timeout_ms: u128,
    },
    /// Another initiator holds the drive.
    #[error("{path}: reservation conflict\nhint: another host or program has reserved this drive; release it there")]
    ReservationConflict {
        /// Name of the path.
        path: String,
    },
    /// The host adapter or the kernel gave up before the drive answered.
    #[error(
        "{path}: host status {host_status:02X}h, driver status {driver_status:02X}h\nhint: look at cabling and at the kernel's log"
    )]
    Host {
        /// Name of the path.
        path: String,
        /// `host_status` of sg's header (DID_* of the kernel).
        host_status: u16,
        /// `driver_status` of sg's header.
        driver_status: u16,
    },
    /// The node or socket itself failed.
    #[error("{path}: {attempt}: {reason}\nhint: {hint}")]
    Path {
        /// Name of the path.
        path: String,
        /// What was tried, such as `open` or `SG_IO`.
        attempt: &'static str,
        /// What the system answered.
        reason: String,
        /// What to do next.
        hint: &'static str,
    },
}
