//! RESERVE(6) and RELEASE(6): one nexus keeps the others out (SPC-2, "Reserve/Release"). Persistent reservations do not exist here.

use super::{
    Drive,
    call::{Call, CommandResult},
    command::{Command, Operation},
};
use crate::ItNexus;

impl Drive {
    /// RESERVE(6) of the whole unit. A nexus may reserve again what it holds; another one is told of the conflict before it gets here.
    pub(super) fn reserve(&mut self, call: &Call<'_>) -> CommandResult {
        self.reservation = Some(call.nexus.clone());
        Ok(0)
    }

    /// RELEASE(6). Whoever holds nothing releases nothing, and that is no error.
    pub(super) fn release(&mut self, call: &Call<'_>) -> CommandResult {
        if self.holds_reservation(call.nexus) {
            self.end_reservation();
        }
        Ok(0)
    }

    /// Whether `nexus` holds the drive.
    pub(super) fn holds_reservation(&self, nexus: &ItNexus) -> bool {
        self.reservation.as_ref() == Some(nexus)
    }

    /// The reservation is gone, and with it every set with CKORL.
    pub(super) fn end_reservation(&mut self) {
        self.reservation = None;
        self.encryption.lose_reservation(&mut self.nexuses);
    }

    /// Whether a command of `nexus` runs into the reservation of another one.
    pub(super) fn conflicts_with_reservation(&self, nexus: &ItNexus, cdb: &[u8]) -> bool {
        let reserved = self.reservation.as_ref().is_some_and(|holder| holder != nexus);
        reserved && !Command::find(cdb).is_ok_and(|command| passes(command.operation, cdb))
    }
}

/// Commands that a reservation of another nexus does not stop (SPC-2, "Commands allowed in the presence of various reservations").
fn passes(operation: Operation, cdb: &[u8]) -> bool {
    const PREVENT: usize = 4;
    match operation {
        Operation::Inquiry
        | Operation::ReportLuns
        | Operation::RequestSense
        | Operation::Release
        | Operation::LogSense => true,
        // Allowing removal hurts nobody; preventing it does.
        Operation::PreventAllow => cdb.get(PREVENT) == Some(&0),
        _ => false,
    }
}
