//! The control queue: task management functions and asynchronous notifications (VIRTIO 1.2, "SCSI Host Device", "controlq").
//!
//! Nothing waits here: a function that must come after a command is handed to the lane of its unit.

use std::io::{Read, Write};

use super::device::Lanes;
use super::exchange;
use super::lane::Confirmation;
use super::ring::{Chain, Ticket};
use super::wire::{CONTROL_BYTES_MAX, Control, Function, Outcome};

/// Serves one request of the control queue.
pub(super) fn serve(lanes: &Lanes, chain: Chain, ticket: Ticket) {
    let Some(control) = read(&chain) else {
        ticket.finish(|| respond(&chain, &[Outcome::Failure.byte()]));
        return;
    };
    let (function, address) = match control {
        Control::TaskManagement { function, address } => (function, address),
        Control::Notification { address } => {
            let outcome = lanes.to(address).map_or(Outcome::BadTarget, |_| Outcome::Ok);
            // EVENT_ACTUAL: a tape drive reports none.
            ticket.finish(|| respond(&chain, &[0, 0, 0, 0, outcome.byte()]));
            return;
        }
        Control::Unknown => {
            ticket.finish(|| respond(&chain, &[Outcome::FunctionRejected.byte()]));
            return;
        }
    };
    let lane = lanes.to(address);
    let confirmation: Confirmation =
        Box::new(move |outcome: Outcome| ticket.finish(|| respond(&chain, &[outcome.byte()])));
    match (lane, function) {
        (None, _) => confirmation(Outcome::BadTarget),
        (Some(lane), Function::LogicalUnitReset) => lane.reset(confirmation),
        (Some(lane), Function::AbortTaskSet) => lane.abort_all(confirmation),
        (Some(lane), Function::AbortTask(tag)) => lane.abort(tag, confirmation),
        (Some(_), Function::Other(_)) => confirmation(Outcome::FunctionRejected),
    }
}

fn read(chain: &Chain) -> Option<Control> {
    let mut bytes = Vec::with_capacity(CONTROL_BYTES_MAX);
    let limit = u64::try_from(CONTROL_BYTES_MAX).unwrap_or_default();
    exchange::reader(chain)?.take(limit).read_to_end(&mut bytes).ok()?;
    Control::decode(&bytes)
}

fn respond(chain: &Chain, bytes: &[u8]) -> u32 {
    let written = exchange::writer(chain)
        .filter(|writer| writer.available_bytes() >= bytes.len())
        .is_some_and(|mut writer| writer.write_all(bytes).is_ok());
    if written {
        u32::try_from(bytes.len()).unwrap_or_default()
    } else {
        0
    }
}
