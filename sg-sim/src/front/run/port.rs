//! How nodes reach their unit: as Linux' SCSI midlayer does, which sends again what is BUSY and gives up what takes too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;

use crate::front::machine::{Client, Command, Machine, Outcome};
use crate::{ItNexus, Status};

/// How long a command waits before it is sent again, the first time; then longer and longer, up to the other.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// TASK SET FULL
const TASK_SET_FULL: u8 = 0x28;
/// DID_IMM_RETRY and DID_REQUEUE: the adaptor asks for the command once more.
const ONCE_MORE: [u8; 2] = [0x0C, 0x0D];
/// DID_RESET: a command without data is sent again, one with data is an error (seen on Linux 6.1).
const RESET: u8 = 0x08;
/// How long `st` lets commands take: those that wind or load the tape, and the others.
const LONG_TIME_LIMIT: Duration = Duration::from_secs(14_000);
const TIME_LIMIT: Duration = Duration::from_secs(900);
/// TEST UNIT READY, REWIND, SPACE, ERASE, LOAD UNLOAD, LOCATE(10)
const LONG_OPERATIONS: [u8; 6] = [0x00, 0x01, 0x11, 0x19, 0x1B, 0x2B];

/// One unit as seen from one nexus.
#[derive(Clone)]
pub(super) struct Port {
    machine: Arc<Machine>,
    unit: usize,
    nexus: ItNexus,
    time_limit: Duration,
    long_time_limit: Duration,
    /// The midlayer's `was_reset`, one for all nodes of the unit.
    was_reset: Arc<AtomicBool>,
}

/// What a command that was not simply GOOD said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Trouble {
    /// SENSE KEY; none if there was no sense data (BUSY, RESERVATION CONFLICT, no SCSI status at all).
    pub(super) key: Option<u8>,
    pub(super) asc: u8,
    pub(super) ascq: u8,
    pub(super) filemark: bool,
    pub(super) end_of_medium: bool,
    pub(super) incorrect_length: bool,
    pub(super) deferred: bool,
    /// INFORMATION, if VALID.
    pub(super) information: Option<i32>,
}

/// Sense keys (SPC-4, "Sense key and additional sense code definitions").
pub(super) mod key {
    pub(in crate::front::run) const NO_SENSE: u8 = 0x0;
    pub(in crate::front::run) const RECOVERED_ERROR: u8 = 0x1;
    pub(in crate::front::run) const NOT_READY: u8 = 0x2;
    pub(in crate::front::run) const MEDIUM_ERROR: u8 = 0x3;
    pub(in crate::front::run) const ILLEGAL_REQUEST: u8 = 0x5;
    pub(in crate::front::run) const UNIT_ATTENTION: u8 = 0x6;
    pub(in crate::front::run) const BLANK_CHECK: u8 = 0x8;
    pub(in crate::front::run) const VOLUME_OVERFLOW: u8 = 0xD;
}

impl Port {
    /// The way to `unit` for `nexus`.
    pub(super) fn new(machine: Arc<Machine>, unit: usize, nexus: ItNexus) -> Self {
        Self {
            machine,
            unit,
            nexus,
            time_limit: TIME_LIMIT,
            long_time_limit: LONG_TIME_LIMIT,
            was_reset: Arc::default(),
        }
    }

    /// Executes a command as it is and gives all that came of it, not later than `limit`.
    pub(super) fn execute(&self, cdb: &[u8], data_out: &[u8], data_in: &mut [u8], limit: Duration) -> Outcome {
        let command = Command {
            unit: self.unit,
            nexus: &self.nexus,
            cdb,
            data_out,
        };
        // As with Linux, a program that is killed leaves its command behind until that ends.
        let mut present = || true;
        let mut client = Client::new(&mut present).no_longer_than(limit);
        let mut pause = RETRY_PAUSE;
        loop {
            let outcome = self.machine.execute(&command, data_in, &mut client);
            let without_data = data_out.is_empty() && data_in.is_empty();
            if !is_sent_again(&outcome, without_data) || !self.machine.pause(self.unit, pause, &mut client) {
                return outcome;
            }
            pause = pause.saturating_mul(2).min(RETRY_PAUSE_MAX);
        }
    }

    /// Resets the unit.
    ///
    /// # Errors
    /// EIO: it is at work and cannot be reached.
    pub(super) fn reset(&self) -> Result<(), Errno> {
        self.was_reset.store(true, Ordering::Release);
        self.machine.reset(self.unit).map_err(|_| Errno::EIO)
    }

    /// Whether this host has reset the unit, since `forget_reset`. A reset that comes from elsewhere leaves no trace but its unit attention.
    pub(super) fn was_reset(&self) -> bool {
        self.was_reset.load(Ordering::Acquire)
    }

    /// The place is known again.
    pub(super) fn forget_reset(&self) {
        self.was_reset.store(false, Ordering::Release);
    }

    /// Whether the unit hangs, so that what is under way there comes to no end.
    pub(super) fn hangs(&self) -> bool {
        self.machine.hang(self.unit).0
    }

    /// Waits before a drive is asked again whether it is ready; not at all where time is not real.
    pub(super) fn pause(&self, delay: Duration) {
        let mut present = || true;
        // Without a time limit, so it cannot run out.
        let _ = self.machine.pause(self.unit, delay, &mut Client::new(&mut present));
    }

    /// How long commands that wind or load the tape may take, or the others.
    pub(super) const fn set_time_limit(&mut self, long: bool, limit: Duration) {
        if long {
            self.long_time_limit = limit;
        } else {
            self.time_limit = limit;
        }
    }

    /// Executes a command as `st` does; the number of bytes that came, or what is to be said about it.
    pub(super) fn command(&self, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Result<usize, Trouble> {
        let long = cdb.first().is_some_and(|code| LONG_OPERATIONS.contains(code));
        let limit = if long { self.long_time_limit } else { self.time_limit };
        let Outcome::Reply(reply) = self.execute(cdb, data_out, data_in, limit) else {
            return Err(Trouble::default());
        };
        if reply.status == Status::GOOD {
            return Ok(reply.data_in);
        }
        let trouble = Trouble::decode(&reply.sense);
        // An error that the drive has made good is none, unless a flag says that there is more to it.
        if trouble.key == Some(key::RECOVERED_ERROR) && !trouble.flagged() {
            return Ok(reply.data_in);
        }
        Err(trouble)
    }
}

fn is_sent_again(outcome: &Outcome, without_data: bool) -> bool {
    match outcome {
        Outcome::Reply(reply) => reply.status == Status::BUSY || reply.status.0 == TASK_SET_FULL,
        Outcome::Transport(host_status) if host_status.get() == RESET => without_data,
        Outcome::Transport(host_status) => ONCE_MORE.contains(&host_status.get()),
        Outcome::Gone => false,
    }
}

impl Trouble {
    /// Reads sense data of either format. What is missing counts as zero.
    fn decode(sense: &[u8]) -> Self {
        let byte = |at: usize| sense.get(at).copied().unwrap_or_default();
        match byte(0) & 0x7F {
            code @ (0x70 | 0x71) => Self {
                key: Some(byte(2) & 0x0F),
                asc: byte(12),
                ascq: byte(13),
                deferred: code == 0x71,
                information: (byte(0) & 0x80 != 0).then(|| i32::from_be_bytes([byte(3), byte(4), byte(5), byte(6)])),
                ..Self::flags(byte(2))
            },
            code @ (0x72 | 0x73) => Self {
                key: Some(byte(1) & 0x0F),
                asc: byte(2),
                ascq: byte(3),
                deferred: code == 0x73,
                information: descriptor(sense, 0x00)
                    .and_then(|found| found.get(8..12))
                    .and_then(|value| value.try_into().ok())
                    .map(i32::from_be_bytes),
                ..Self::flags(
                    descriptor(sense, 0x04)
                        .and_then(|found| found.get(3))
                        .copied()
                        .unwrap_or_default(),
                )
            },
            _ => Self::default(),
        }
    }

    fn flags(byte: u8) -> Self {
        Self {
            filemark: byte & 0x80 != 0,
            end_of_medium: byte & 0x40 != 0,
            incorrect_length: byte & 0x20 != 0,
            ..Self::default()
        }
    }

    /// Whether one of FILEMARK, EOM and ILI is set.
    pub(super) const fn flagged(&self) -> bool {
        self.filemark || self.end_of_medium || self.incorrect_length
    }

    /// Early warning: all was done, but the end is near.
    pub(super) fn early_warning(&self) -> bool {
        self.end_of_medium
            && !self.deferred
            && matches!(self.key, Some(key::NO_SENSE | key::RECOVERED_ERROR))
            && self.information.unwrap_or(0) == 0
    }
}

/// All that `st` tells a program about sense data.
impl From<Trouble> for Errno {
    fn from(_: Trouble) -> Self {
        Self::EIO
    }
}

/// The descriptor of that type in descriptor-format sense data.
fn descriptor(sense: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = sense.get(8..)?;
    loop {
        let [kind, length, ..] = *rest else { return None };
        let (found, others) = rest.split_at_checked(usize::from(length) + 2)?;
        if kind == wanted {
            return Some(found);
        }
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_of_sense_say_the_same() {
        let fixed = [
            0xF0, 0, 0xA0, 0xFF, 0xFF, 0xFC, 0, 10, 0, 0, 0, 0, 0x00, 0x01, 0, 0, 0, 0,
        ];
        let descriptors = [
            0x72, 0x00, 0x00, 0x01, 0, 0, 0, 16, 0x00, 0x0A, 0x80, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFC, 0, 0x04, 0x02, 0,
            0xA0,
        ];
        let decoded = Trouble::decode(&fixed);
        assert_eq!(decoded, Trouble::decode(&descriptors));
        assert!(decoded.filemark && decoded.incorrect_length && !decoded.end_of_medium);
        assert_eq!((decoded.key, decoded.information), (Some(0), Some(-1024)));
    }

    #[test]
    fn sense_of_any_length_is_read_without_a_fall() {
        let descriptors = [0x73, 0x06, 0x29, 0x00, 0, 0, 0, 4, 0x04, 0x02, 0, 0x40];
        for length in 0..descriptors.len() {
            assert!(!Trouble::decode(&descriptors[..length]).end_of_medium);
        }
        let whole = Trouble::decode(&descriptors);
        assert!(whole.end_of_medium && whole.deferred && whole.asc == 0x29);
    }
}
