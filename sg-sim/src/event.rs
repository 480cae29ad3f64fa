//! What may happen to a drive from outside a command.

use crate::ItNexus;

/// Something that happens to the drive between two commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The drive itself drops every set of encryption parameters; registered nexuses that used one are told 2Ah/12h.
    KeyDropped,
    /// A LOGICAL UNIT RESET: all sets, scopes and LOCKs are gone, the key instance counter is 0, the tape stands at the beginning. Every nexus
    /// is told 29h/03h, or what [`Quirks::reset_unit_attention`](crate::Quirks) says.
    Reset,
    /// The drive loses sight of one initiator port: its LOCAL set, scope, LOCK and registration are gone. That nexus is told 29h/07h.
    ItNexusLoss(ItNexus),
    /// A nexus that nobody here names sets a random key for all nexuses; registered nexuses are told 2Ah/11h.
    KeySetByAnotherNexus,
    /// Power off and on again. As a reset, and the wrong-key count and mode parameters go too. The cartridge stays; every nexus is told 29h/00h.
    PowerCycle,
}
