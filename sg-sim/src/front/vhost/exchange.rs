//! One SCSI command between a guest's descriptor chain and a logical unit.
//!
//! The guest decides by its descriptors which way data goes and how much room there is; nothing is read or written outside them. A chain
//! without room for a response gets none, a chain without a whole header gets FAILURE, and neither reaches a unit.

use std::io::{Read, Write};

use virtio_queue::{Reader, Writer};
use zeroize::Zeroize;

use super::ring::Chain;
use super::wire::{Outcome, REQUEST_BYTES, RESPONSE_BYTES, Request, Response};
use crate::ItNexus;
use crate::front::machine::{self, Client, Machine};

/// Longest data of one command, in bytes: 16 MiB, the longest block there is, and 4 KiB. A guest that offers more room does not get more.
const DATA_BYTES_MAX: usize = (1 << 24) + 4096;
/// SECURITY PROTOCOL OUT.
const SECURITY_PROTOCOL_OUT: u8 = 0xB5;

/// Reads the header of a chain. `None`: the guest sent less than a header.
pub(super) fn header(chain: &Chain) -> Option<Request> {
    let mut bytes = [0; REQUEST_BYTES];
    reader(chain)?.read_exact(&mut bytes).ok()?;
    Request::decode(&bytes)
}

/// Writes a response that tells the outcome alone. Returns the number of bytes written: 0 if there is no room for a response.
pub(super) fn answer(chain: &Chain, outcome: Outcome) -> u32 {
    writer(chain).map_or(0, |mut writer| respond(&mut writer, &Response::of(outcome)))
}

/// The buffers of one unit, kept from command to command: a page that is there already costs nothing.
#[derive(Default)]
pub(super) struct Buffers {
    data_out: Vec<u8>,
    data_in: Vec<u8>,
}

/// What a command came to, before its answer has gone out.
pub(super) struct Executed<'a> {
    outcome: Outcome,
    status: u8,
    sense: Vec<u8>,
    residual: u32,
    data_in: &'a [u8],
}

impl Buffers {
    /// Executes the command in `chain` on `unit`. `None`: it was cut off.
    pub(super) fn execute(
        &mut self,
        machine: &Machine,
        (unit, nexus): (usize, &ItNexus),
        request: &Request,
        chain: &Chain,
        client: &mut Client<'_>,
    ) -> Option<Executed<'_>> {
        let Some((data_out_bytes, room)) = self.take_data_out(chain) else {
            return Some(Executed::without_status(Outcome::Failure));
        };
        let data_in_bytes = room.min(DATA_BYTES_MAX);
        let data_out = part(&mut self.data_out, data_out_bytes);
        let data_in = part(&mut self.data_in, data_in_bytes);
        let command = machine::Command {
            unit,
            nexus,
            cdb: request.cdb(),
            data_out,
        };
        let outcome = machine.execute(&command, data_in, client);
        if request.cdb().first() == Some(&SECURITY_PROTOCOL_OUT) {
            data_out.zeroize();
        }
        let reply = match outcome {
            machine::Outcome::Reply(reply) => reply,
            machine::Outcome::Transport(host_status) => {
                return Some(Executed::without_status(Outcome::of_host_status(host_status.get())));
            }
            machine::Outcome::Gone => return None,
        };
        let data_in = data_in.split_at(reply.data_in.min(data_in_bytes)).0;
        Some(Executed {
            outcome: Outcome::Ok,
            status: reply.status.0,
            sense: reply.sense,
            // The room of a chain is below 4 GiB. A unit does not say how much of data-out it used, so none of that is ever left over.
            residual: u32::try_from(room - data_in.len()).unwrap_or(u32::MAX),
            data_in,
        })
    }

    /// Copies data-out from the guest. Returns its length, and the room for data-in behind the response.
    fn take_data_out(&mut self, chain: &Chain) -> Option<(usize, usize)> {
        let room = writer(chain)?.available_bytes().checked_sub(RESPONSE_BYTES)?;
        let mut reader = reader(chain)?.split_at(REQUEST_BYTES).ok()?;
        let length = reader.available_bytes();
        if length > DATA_BYTES_MAX {
            return None;
        }
        reader.read_exact(part(&mut self.data_out, length)).ok()?;
        Some((length, room))
    }
}

impl Executed<'_> {
    const fn without_status(outcome: Outcome) -> Self {
        Self {
            outcome,
            status: 0,
            sense: Vec::new(),
            residual: 0,
            data_in: &[],
        }
    }

    /// Writes response and data-in. Returns the number of bytes written.
    pub(super) fn write(&self, chain: &Chain) -> u32 {
        let Some(mut writer) = writer(chain) else { return 0 };
        let response = Response {
            outcome: self.outcome,
            status: self.status,
            residual: self.residual,
            sense: &self.sense,
        };
        let response_bytes = respond(&mut writer, &response);
        // There is room: the data came out of a buffer no longer than it.
        let data_bytes = match writer.write_all(self.data_in) {
            Ok(()) if response_bytes > 0 => u32::try_from(self.data_in.len()).unwrap_or_default(),
            _ => 0,
        };
        response_bytes + data_bytes
    }
}

fn respond(writer: &mut Writer<'_>, response: &Response<'_>) -> u32 {
    let bytes = response.encode();
    if writer.available_bytes() < bytes.len() || writer.write_all(&bytes).is_err() {
        return 0;
    }
    u32::try_from(bytes.len()).unwrap_or_default()
}

/// What the guest sent. `None`: a descriptor points outside the guest's memory.
pub(super) fn reader(chain: &Chain) -> Option<Reader<'_>> {
    Reader::new(chain.memory(), chain.clone()).ok()
}

/// Where the guest waits for an answer. `None`: a descriptor points outside the guest's memory.
pub(super) fn writer(chain: &Chain) -> Option<Writer<'_>> {
    Writer::new(chain.memory(), chain.clone()).ok()
}

/// The first `length` bytes of a buffer that grows as needed.
fn part(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    buffer.split_at_mut(length).0
}
