//! SET TIMESTAMP and REPORT TIMESTAMP (SPC-4, "Device clocks"): the drive's clock, as a host set it.
//!
//! The drive reads no clock of its own: what it reports is what was set, and the time that the drive's own work has taken since.

use super::{
    Drive,
    call::{Call, CommandResult},
    log::counter,
    nexuses::TIMESTAMP_CHANGED,
};
use crate::sense::Sense;
use std::time::Duration;

/// TIMESTAMP ORIGIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Origin {
    /// Zero at power on.
    #[default]
    PowerOn = 0b000,
    /// Set by SET TIMESTAMP.
    Host = 0b010,
}

/// The drive's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Timestamp {
    origin: Origin,
    /// Milliseconds since 1970, or since power on, when the drive's time was `set_at`.
    milliseconds: u64,
    set_at: Duration,
}

impl Timestamp {
    /// A clock that began at zero when the drive's time was `now`.
    pub(super) fn since(now: Duration) -> Self {
        Self {
            set_at: now,
            ..Self::default()
        }
    }

    fn at(self, now: Duration) -> u64 {
        let passed = now.saturating_sub(self.set_at).as_millis();
        self.milliseconds
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

/// Length of both parameter lists in bytes.
const LIST_BYTES: usize = 12;

impl Drive {
    /// REPORT TIMESTAMP.
    pub(super) fn report_timestamp(&self, call: Call<'_>) -> CommandResult {
        let mut answer = vec![0x00, 0x0A, self.timestamp.origin as u8, 0];
        answer.extend(counter(self.timestamp.at(self.time.now()), 6));
        answer.resize(LIST_BYTES, 0);
        let allocation_length = call.cdb.u32(6);
        call.reply(&answer, allocation_length)
    }

    /// SET TIMESTAMP. Every other nexus is told 2Ah/10h.
    pub(super) fn set_timestamp(&mut self, call: &Call<'_>) -> CommandResult {
        let length = call.cdb.u32(6);
        if length == 0 {
            return Ok(0);
        }
        let list = call.parameter_list(length)?;
        let list: &[u8; LIST_BYTES] = list.try_into().map_err(|_| PARAMETER_LIST_LENGTH_ERROR)?;
        for at in [0_u16, 1, 2, 3, 10, 11] {
            if list.get(usize::from(at)) != Some(&0) {
                return Err(Sense::invalid_parameter_field(at, 7).into());
            }
        }
        let [_, _, _, _, b4, b5, b6, b7, b8, b9, _, _] = *list;
        self.timestamp = Timestamp {
            origin: Origin::Host,
            milliseconds: u64::from_be_bytes([0, 0, b4, b5, b6, b7, b8, b9]),
            set_at: self.time.now(),
        };
        self.nexuses
            .others_mut(call.nexus)
            .for_each(|nexus| nexus.attend(TIMESTAMP_CHANGED));
        Ok(0)
    }
}

const PARAMETER_LIST_LENGTH_ERROR: Sense = Sense::new(0x5, 0x1A, 0x00);
