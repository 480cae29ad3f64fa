//! Carries a plan out: what happens to the unit before the command, instead of it, and to its answer.

use super::{Fault, Plan};
use crate::{Event, ItNexus, Reply, SenseCode, Status, Unit};
use std::num::NonZeroU8;

/// What a command came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The unit answered, or something in its name.
    Reply(Reply),
    /// No SCSI status: this host status instead.
    Transport(NonZeroU8),
}

impl Plan {
    /// Executes a command on `unit` as the plan says. Waiting and hanging are the caller's, and come before this.
    pub fn carry_out(
        &self,
        unit: &mut dyn Unit,
        nexus: &ItNexus,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut [u8],
    ) -> Outcome {
        self.faults.iter().for_each(|fault| happen(fault, unit, nexus));
        if let Some(outcome) = self.faults.iter().find_map(|fault| instead(fault, unit)) {
            return outcome;
        }
        let mut reply = if self.faults.contains(&Fault::MediumError {}) {
            self.execute_up_to_the_block(unit, nexus, cdb, data_out, data_in)
        } else {
            unit.execute(nexus, cdb, data_out, data_in)
        };
        for fault in &self.faults {
            match fault {
                Fault::Sense {
                    sense,
                    information,
                    executed: true,
                } => reply = unit.check_condition(*sense, *information, reply.data_in),
                Fault::Transport {
                    host_status,
                    executed: true,
                } => return Outcome::Transport(*host_status),
                other => alter(other, &mut reply, data_in),
            }
        }
        Outcome::Reply(reply)
    }

    /// Blocks before the bad one are moved; then comes the medium error, with what was not moved as its residue.
    fn execute_up_to_the_block(
        &self,
        unit: &mut dyn Unit,
        nexus: &ItNexus,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut [u8],
    ) -> Reply {
        const WRITE: u8 = 0x0A;
        let Some((opcode, length)) = opcode_and_length(cdb) else {
            return unit.execute(nexus, cdb, data_out, data_in);
        };
        let before = u32::try_from(self.blocks_before).unwrap_or(u32::MAX);
        let mut data_in_length = 0;
        if before > 0 {
            let mut shorter = cdb.to_vec();
            let [_, high, middle, low] = before.to_be_bytes();
            if let Some(field) = shorter.get_mut(2..5) {
                field.copy_from_slice(&[high, middle, low]);
            }
            let reply = unit.execute(nexus, &shorter, data_out, data_in);
            if reply.status != Status::GOOD {
                return reply;
            }
            data_in_length = reply.data_in;
        }
        let writes = opcode == WRITE;
        if let Some(drive) = unit.drive() {
            drive.note_medium_error(writes);
        }
        let sense = if writes { WRITE_ERROR } else { UNRECOVERED_READ_ERROR };
        let residue = i64::from(length) - i64::from(before);
        unit.check_condition(sense, Some(residue), data_in_length)
    }
}

/// Operation code and TRANSFER LENGTH of a six-byte command.
fn opcode_and_length(cdb: &[u8]) -> Option<(u8, u32)> {
    match cdb {
        [opcode, _, high, middle, low, _] => Some((*opcode, u32::from_be_bytes([0, *high, *middle, *low]))),
        _ => None,
    }
}

/// What happens to the unit before the command.
fn happen(fault: &Fault, unit: &mut dyn Unit, nexus: &ItNexus) {
    match fault {
        Fault::Reset {} => unit.apply(Event::Reset),
        Fault::NexusLoss {} => unit.apply(Event::ItNexusLoss(nexus.clone())),
        Fault::PowerCycle {} => unit.apply(Event::PowerCycle),
        Fault::KeyDropped {} => unit.apply(Event::KeyDropped),
        Fault::KeyChanged {} => unit.apply(Event::KeySetByAnotherNexus),
        Fault::LibraryTakesOver { mode } => {
            if let Some(drive) = unit.drive() {
                drive.quirks().library_managed = *mode;
            }
        }
        _ => {}
    }
}

/// What comes instead of the command.
fn instead(fault: &Fault, unit: &dyn Unit) -> Option<Outcome> {
    match fault {
        Fault::Sense {
            sense,
            information,
            executed: false,
        } => Some(Outcome::Reply(unit.check_condition(*sense, *information, 0))),
        Fault::Deferred { sense } => {
            let mut reply = unit.check_condition(*sense, None, 0);
            if let Some(response_code) = reply.sense.first_mut() {
                // 70h and 72h become 71h and 73h (SPC-4, "Deferred errors").
                *response_code |= 0x01;
            }
            Some(Outcome::Reply(reply))
        }
        Fault::Status { status } => Some(Outcome::Reply(Reply {
            status: Status(*status),
            sense: Vec::new(),
            data_in: 0,
        })),
        Fault::Transport {
            host_status,
            executed: false,
        } => Some(Outcome::Transport(*host_status)),
        _ => None,
    }
}

/// What becomes of data-in.
fn alter(fault: &Fault, reply: &mut Reply, data_in: &mut [u8]) {
    /// What stands where nothing was.
    const FILLER: u8 = 0xEE;
    match fault {
        Fault::ShortPage { bytes } => reply.data_in = reply.data_in.min(*bytes),
        Fault::LongPage { extra } => {
            let end = reply.data_in.saturating_add(*extra).min(data_in.len());
            if let Some(beyond) = data_in.get_mut(reply.data_in..end) {
                beyond.fill(FILLER);
                reply.data_in = end;
            }
        }
        Fault::PageLength { value } => overwrite(reply, data_in, 2, *value),
        Fault::PageCode { value } => overwrite(reply, data_in, 0, *value),
        _ => {}
    }
}

/// Overwrites a two-byte field, if it came at all.
fn overwrite(reply: &Reply, data_in: &mut [u8], at: usize, value: u16) {
    let came = data_in.get_mut(..reply.data_in);
    if let Some(field) = came.and_then(|came| came.get_mut(at..at + 2)) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

const UNRECOVERED_READ_ERROR: SenseCode = SenseCode::new(0x3, 0x11, 0x00);
const WRITE_ERROR: SenseCode = SenseCode::new(0x3, 0x0C, 0x00);
