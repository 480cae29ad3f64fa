//! The medium changer: a device server of type 08h (SMC-3). It never panics, whatever a command's bytes are.
//!
//! Unit attentions, checks of the CDB and the shape of the reply are seen to here; each other room answers with data or with sense.

mod command;
mod element_status;
mod inquiry;
mod mode;
mod motion;

use super::{
    attention::{NexusState, Nexuses},
    bay::Bay,
    description::{Description, DriveIdentification},
    model::{ChangerModel, Range},
    robot::Robot,
};
use crate::{
    Drive, Event, ItNexus, Profile, Reply, SenseCode, Status, Unit,
    drive::call::{Call, Cdb, CommandResult, Failure},
    sense::Sense,
};
use command::{Command, Operation};

/// The changer and all that only it may touch.
pub(super) struct Changer {
    /// Elements and cartridges.
    pub(super) robot: Robot,
    /// Who talks to the changer.
    pub(super) nexuses: Nexuses,
    model: ChangerModel,
    serial: String,
    ranges: [Range; 4],
    drive_identification: DriveIdentification,
    drives: Vec<Profile>,
}

/// The changer with the drives that its robot may have to enter, for one command.
pub(super) struct ChangerAtWork<'a> {
    /// The changer.
    pub(super) changer: &'a mut Changer,
    /// The drives.
    pub(super) bays: &'a [Bay],
}

impl Unit for ChangerAtWork<'_> {
    fn execute(&mut self, nexus: &ItNexus, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Reply {
        self.changer.execute(self.bays, nexus, cdb, data_out, data_in)
    }

    /// Cartridges stay where they are, whatever happens.
    fn apply(&mut self, event: Event) {
        match event {
            Event::Reset => self.changer.nexuses.reset(),
            Event::PowerCycle => self.changer.nexuses.power_on(),
            Event::ItNexusLoss(nexus) => self.changer.nexuses.lose(&nexus),
            // It keeps no key.
            Event::KeyDropped | Event::KeySetByAnotherNexus => {}
        }
    }

    fn check_condition(&self, sense: SenseCode, information: Option<i64>, data_in: usize) -> Reply {
        check_condition(&Sense::from_code(sense).with_information_if(information), data_in)
    }

    fn drive(&mut self) -> Option<&mut Drive> {
        None
    }
}

impl Changer {
    /// The changer of a described library.
    pub(super) fn new(description: Description, robot: Robot) -> Self {
        Self {
            robot,
            nexuses: Nexuses::default(),
            model: description.model,
            serial: description.serial,
            ranges: description.ranges,
            drive_identification: description.drive_identification,
            drives: description.drives.into_iter().map(|drive| drive.profile).collect(),
        }
    }

    /// Executes one command for `nexus`. CDB and data may be of any length and hold anything.
    pub(super) fn execute(
        &mut self,
        bays: &[Bay],
        nexus: &ItNexus,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut [u8],
    ) -> Reply {
        let Some(state) = self.nexuses.admit(nexus) else {
            return Reply {
                status: Status::BUSY,
                sense: Vec::new(),
                data_in: 0,
            };
        };
        match check(state, cdb).and_then(|operation| {
            let call = Call {
                nexus,
                cdb: Cdb::new(cdb),
                data_out,
                data_in,
            };
            self.dispatch(operation, bays, call)
        }) {
            Ok(data_in) => Reply {
                status: Status::GOOD,
                sense: Vec::new(),
                data_in,
            },
            Err(Failure { sense, data_in }) => check_condition(&sense, data_in),
        }
    }

    fn dispatch(&mut self, operation: Operation, bays: &[Bay], call: Call<'_>) -> CommandResult {
        match operation {
            // The inventory needs no time, so the changer is ready whenever it answers.
            Operation::TestUnitReady => Ok(0),
            Operation::RequestSense => self.request_sense(call),
            Operation::InitializeElementStatus => self.initialize_element_status(&call),
            Operation::Inquiry => self.inquiry(call),
            Operation::ModeSense => self.mode_sense(call),
            Operation::PreventAllow => self.prevent_allow(&call),
            Operation::PositionToElement => self.position_to_element(&call),
            Operation::LogSense => log_sense(call),
            Operation::ReportLuns => report_luns(call),
            Operation::MoveMedium => self.move_medium(bays, &call),
            Operation::ExchangeMedium => self.exchange_medium(bays, &call),
            Operation::ReadElementStatus => self.read_element_status(bays, call),
        }
    }

    /// REQUEST SENSE: the oldest unit attention of the nexus, or NO SENSE.
    fn request_sense(&mut self, call: Call<'_>) -> CommandResult {
        const DESCRIPTOR_FORMAT: u8 = 0;
        let waiting = self.nexuses.admit(call.nexus).and_then(NexusState::take_unit_attention);
        let sense = waiting.map_or(Sense::new(0, 0, 0), Sense::from_code);
        let answer = if call.cdb.bit(1, DESCRIPTOR_FORMAT) {
            sense.encode_descriptors()
        } else {
            sense.encode_fixed(SENSE_BYTES)
        };
        let allocation_length = u32::from(call.cdb.byte(4));
        call.reply(&answer, allocation_length)
    }
}

fn check_condition(sense: &Sense, data_in: usize) -> Reply {
    Reply {
        status: Status::CHECK_CONDITION,
        sense: sense.encode_fixed(SENSE_BYTES),
        data_in,
    }
}

/// Reports a waiting unit attention, then checks the CDB.
fn check(state: &mut NexusState, cdb: &[u8]) -> Result<Operation, Failure> {
    let found = Command::find(cdb);
    let passes = found.is_ok_and(|command| command.operation.passes_unit_attention());
    if !passes && let Some(unit_attention) = state.take_unit_attention() {
        return Err(Sense::from_code(unit_attention).into());
    }
    let command = found?;
    command.check(cdb)?;
    Ok(command.operation)
}

/// LOG SENSE: the list of pages, with nothing in it but itself.
fn log_sense(call: Call<'_>) -> CommandResult {
    const SUPPORTED_PAGES: [u8; 5] = [0x00, 0x00, 0x00, 0x01, 0x00];
    if call.cdb.byte(2) & 0x3F != 0 {
        return Err(Sense::invalid_cdb_field(2, 5).into());
    }
    if call.cdb.byte(3) != 0 {
        return Err(Sense::invalid_cdb_field(3, 7).into());
    }
    let allocation_length = u32::from(call.cdb.u16(7));
    call.reply(&SUPPORTED_PAGES, allocation_length)
}

/// REPORT LUNS: LUN 0 alone, and no well-known logical units.
fn report_luns(call: Call<'_>) -> CommandResult {
    let logical_units: u8 = match call.cdb.byte(2) {
        0x00 | 0x02 => 1,
        0x01 => 0,
        _ => return Err(Sense::invalid_cdb_field(2, 7).into()),
    };
    let mut answer = vec![0, 0, 0, logical_units * 8, 0, 0, 0, 0];
    answer.resize(8 + usize::from(logical_units) * 8, 0);
    let allocation_length = call.cdb.u32(6);
    call.reply(&answer, allocation_length)
}

/// Length of fixed-format sense without vendor bytes.
const SENSE_BYTES: usize = 18;
