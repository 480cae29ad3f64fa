//! The drive: what it keeps, and how a command reaches the room that executes it.
//!
//! Each room answers with data or with sense. This one sees to unit attentions (SAM-5), to the checks that every CDB goes through, and to
//! the shape of the reply. It must never let a command panic, whatever its bytes.

mod attribute;
pub(crate) mod call;
mod command;
mod density;
mod durations;
mod encryption;
mod inquiry;
mod log;
mod medium;
mod mode;
mod motion;
mod nexuses;
mod operation_codes;
mod read;
mod reservation;
mod status;
mod time;
mod timestamp;
mod write;

pub use status::{DriveStatus, MediumStatus};
pub use time::Pace;

use crate::{Cartridge, Event, ItNexus, Profile, Quirks, Randomness, Reply, Status, sense::Sense};
use call::{Call, Cdb, CommandResult, Failure};
use command::{Command, Operation};
use encryption::Encryption;
use log::{Statistics, TapeAlerts};
use medium::Medium;
use mode::ModeParameters;
use nexuses::{MEDIUM_CHANGED, NEXUS_LOSS, Nexuses, POWER_ON};
use thiserror::Error;
use time::Timeline;
use timestamp::Timestamp;

/// An LTO drive.
pub struct Drive {
    profile: Profile,
    quirks: Quirks,
    randomness: Box<dyn Randomness + Send>,
    nexuses: Nexuses,
    medium: Medium,
    encryption: Encryption,
    mode: ModeParameters,
    tape_alerts: TapeAlerts,
    statistics: Statistics,
    timestamp: Timestamp,
    time: Timeline,
    /// Where a block is opened that does not fit into the caller's buffer.
    spill: Vec<u8>,
    /// KADs of the encrypted block that was read last, where the drive reports that they change.
    last_kads: Option<Vec<u8>>,
    /// Who holds the drive by RESERVE.
    reservation: Option<ItNexus>,
}

/// Why a cartridge did not go in. The cartridge comes back.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There is a cartridge in the drive.
    #[error("load a cartridge: the drive holds one already\nhint: eject it first")]
    Occupied(Box<Cartridge>),
    /// The drive cannot read this density.
    #[error(
        "load a cartridge: density {density:02X}h is not for this drive\nhint: an LTO-8 drive takes LTO-8 (5Eh) and LTO-7 (5Ch)"
    )]
    Unsuitable {
        /// The cartridge.
        cartridge: Box<Cartridge>,
        /// Its density code.
        density: u8,
    },
}

impl Drive {
    /// A drive that has just been switched on, without a cartridge.
    ///
    /// Nonces are drawn from `randomness`, so outside tests it must be unpredictable.
    #[must_use]
    pub fn new(profile: Profile, randomness: Box<dyn Randomness + Send>) -> Self {
        Self {
            profile,
            quirks: Quirks::default(),
            randomness,
            nexuses: Nexuses::default(),
            medium: Medium::default(),
            encryption: Encryption::default(),
            mode: ModeParameters::default(),
            tape_alerts: TapeAlerts::default(),
            statistics: Statistics::default(),
            timestamp: Timestamp::default(),
            time: Timeline::default(),
            spill: Vec::new(),
            last_kads: None,
            reservation: None,
        }
    }

    /// Executes one command for `nexus`.
    ///
    /// `cdb`, `data_out` and `data_in` may be of any length and hold anything. `data_in` is overwritten from its beginning; only the first
    /// [`Reply::data_in`] bytes of it mean anything afterwards. A SECURITY PROTOCOL OUT carries a key in `data_out`: the caller wipes it.
    pub fn execute(&mut self, nexus: &ItNexus, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Reply {
        self.settle();
        self.encryption.follow(&mut self.nexuses, self.quirks.library_managed);
        let welcome = [
            Some(POWER_ON),
            self.medium.loaded_since_power_on().then_some(MEDIUM_CHANGED),
        ];
        let welcome = welcome
            .into_iter()
            .flatten()
            .filter(|_| self.quirks.first_seen_unit_attention);
        let Some(state) = self.nexuses.admit(nexus, welcome) else {
            return without_sense(Status::BUSY);
        };
        state.registered |= self.quirks.every_nexus_is_registered;
        // Before any unit attention, which stays (SAM-5, "Status precedence").
        if self.conflicts_with_reservation(nexus, cdb) {
            return without_sense(Status::RESERVATION_CONFLICT);
        }
        match self.check_and_dispatch(nexus, cdb, data_out, data_in) {
            Ok(data_in) => Reply {
                status: Status::GOOD,
                sense: Vec::new(),
                data_in,
            },
            Err(Failure { sense, data_in }) => self.check_condition(&sense, data_in),
        }
    }

    fn check_and_dispatch(
        &mut self,
        nexus: &ItNexus,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut [u8],
    ) -> CommandResult {
        let found = Command::find(cdb);
        if !found
            .as_ref()
            .is_ok_and(|command| command.operation.passes_unit_attention())
            && let Some(unit_attention) = self
                .nexuses
                .find_mut(nexus)
                .and_then(nexuses::NexusState::take_unit_attention)
        {
            return Err(Sense::from_code(unit_attention).into());
        }
        let command = found?;
        command.check(cdb, self.quirks.ignores_reserved_bits)?;
        let operation = command.operation;
        let call = Call {
            nexus,
            cdb: Cdb::new(cdb),
            data_out,
            data_in,
        };
        let Some(departure) = self.depart(operation) else {
            return self.dispatch(operation, call);
        };
        let beginning = call.beginning();
        let result = self.dispatch(operation, call);
        self.arrive(operation, beginning, departure, &result);
        result
    }

    fn dispatch(&mut self, operation: Operation, mut call: Call<'_>) -> CommandResult {
        match operation {
            Operation::TestUnitReady => self.test_unit_ready(),
            Operation::Rewind => self.rewind(),
            Operation::FormatMedium => self.format_medium(&call),
            Operation::RequestSense => self.request_sense(call),
            Operation::ReadBlockLimits => self.read_block_limits(call),
            Operation::Read => self.read(&mut call),
            Operation::Write => self.write(&call),
            Operation::WriteFilemarks => self.write_filemarks(&call),
            Operation::Space => self.space(&call),
            Operation::Reserve => self.reserve(&call),
            Operation::Release => self.release(&call),
            Operation::Verify => self.verify(&call),
            Operation::Inquiry => self.inquiry(call),
            Operation::ModeSelect => self.mode_select(&call),
            Operation::Erase => self.erase(),
            Operation::ModeSense => self.mode_sense(call),
            Operation::LoadUnload => self.load_unload(&call),
            Operation::PreventAllow => self.prevent_allow(&call),
            Operation::Locate => self.locate(&call),
            Operation::ReadPosition => self.read_position(call),
            Operation::ReportDensity => self.report_density(call),
            Operation::LogSelect => self.log_select(&call),
            Operation::LogSense => self.log_sense(call),
            Operation::ReadAttribute => self.read_attribute(call),
            Operation::WriteAttribute => self.write_attribute(&call),
            Operation::ReportLuns => self.report_luns(call),
            Operation::SecurityProtocolIn => self.security_protocol_in(call),
            Operation::SecurityProtocolOut => self.security_protocol_out(&call),
            Operation::ReportTimestamp => self.report_timestamp(call),
            Operation::SetTimestamp => self.set_timestamp(&call),
            Operation::ReportOperationCodes => self.report_operation_codes(call),
        }
    }

    /// CHECK CONDITION with this sense, as the drive would send it now.
    pub(crate) fn check_condition(&self, sense: &Sense, data_in: usize) -> Reply {
        Reply {
            status: Status::CHECK_CONDITION,
            sense: self.encode(sense),
            data_in,
        }
    }

    /// Number of the object before the head; 0 without a tape.
    pub(crate) const fn position(&self) -> u64 {
        self.medium.position()
    }

    fn encode(&self, sense: &Sense) -> Vec<u8> {
        if self.mode.descriptor_sense {
            sense.encode_descriptors()
        } else {
            sense.encode_fixed(self.profile.sense_bytes)
        }
    }

    /// Lets something happen to the drive.
    pub fn apply(&mut self, event: Event) {
        match event {
            Event::KeyDropped => self.encryption.drop_all(&mut self.nexuses),
            Event::KeySetByAnotherNexus => self.set_key_by_stranger(),
            Event::Reset => {
                self.mode = ModeParameters::default();
                self.medium.rewind();
                self.reservation = None;
                let told = self.quirks.reset_unit_attention;
                if self.quirks.reset_keeps_keys {
                    self.nexuses.all_mut().for_each(|nexus| nexus.reset_keeping_keys(told));
                } else {
                    self.encryption.reset();
                    self.nexuses.all_mut().for_each(|nexus| nexus.reset(told));
                }
            }
            Event::PowerCycle => {
                self.encryption.power_on();
                self.mode = ModeParameters::default();
                self.tape_alerts = TapeAlerts::default();
                self.statistics.count_power_cycle();
                self.timestamp = Timestamp::since(self.time.now());
                self.medium.power_on();
                self.reservation = None;
                self.nexuses.all_mut().for_each(|nexus| nexus.reset(POWER_ON));
                self.load_after_power_on();
            }
            Event::ItNexusLoss(nexus) => self.lose_nexus(&nexus),
        }
    }

    fn lose_nexus(&mut self, nexus: &ItNexus) {
        if self.holds_reservation(nexus) {
            self.end_reservation();
        }
        let keeps = self.quirks.nexus_loss_keeps_keys;
        match self.nexuses.find_mut(nexus) {
            Some(nexus) if keeps => nexus.reset_keeping_keys(NEXUS_LOSS),
            Some(nexus) => nexus.reset(NEXUS_LOSS),
            None => {}
        }
    }

    /// The switches that hold.
    pub const fn quirks(&mut self) -> &mut Quirks {
        &mut self.quirks
    }
}

const fn without_sense(status: Status) -> Reply {
    Reply {
        status,
        sense: Vec::new(),
        data_in: 0,
    }
}
