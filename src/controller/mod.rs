//! Decides what happens to a drive: which key goes in, and when none does.
//!
//! The decisions are a pure state machine, [`operation::Operation`]: an event goes in, the next thing to ask comes out. It does no I/O, reads
//! no clock and never sees a key, only what is known of it. [`runtime`] asks the drives, the KMS and the job records, and feeds the
//! answers back.
//!
//! What must hold whatever fails: no key is loaded for a volume that is not its own, what cannot be read back counts as not
//! encrypted, and whoever may have left a key in a drive clears it or says that it could not.

pub mod doctor;
pub mod inventory;
pub mod job;
pub mod operation;
pub mod pool;
pub mod record;
pub mod report;
pub mod runtime;
pub mod step;
