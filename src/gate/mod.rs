//! The gate: keeps programs off a drive until a key is in it that was read back, or its volume is to be plain.
//!
//! `st` admits one opener, so whoever holds a drive's tape node keeps everybody else out, root too. [`Gate`] decides when to hold and when to
//! let go: pure, event in, action out. [`Keeper`] has the descriptors.
//!
//! What must hold: only a [`Pass`] or a person lets go. A pass is made of a key that the drive itself reported, or of the answer that the volume's pool is plain,
//! and it is worth nothing any more once the volume has left or the key is lost. What is not known is held.
//!
//! This room sends no SCSI command and knows no key; what a drive holds it hears from whoever asked.

mod keeper;
mod machine;

pub use crate::transport::st_node::{HeldNode, MediumKnown, NodeError, NodeName, TapeNode, TapeNodes};
pub use keeper::Keeper;
pub use machine::{Action, Ending, Event, Found, Gate, Pass, Said, State, Step};
