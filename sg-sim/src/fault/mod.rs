//! Faults: what goes wrong between an initiator and the drive, on order, in a way that can be repeated.
//!
//! This is a layer around the drive. The drive knows nothing of it, except the few things that happen to real drives too
//! ([`Event`](crate::Event)). Nothing here waits or reads a clock: a [`Plan`] says how long its command is to wait, and the front end waits.
//!
//! # The fault model
//!
//! What an initiator must survive, each as a fault of its own:
//!
//! | fault | what the initiator sees |
//! |---|---|
//! | `sense`, `deferred` | CHECK CONDITION with any sense, of this command or (71h) of an earlier one; the command was not executed, or it was |
//! | `status` | BUSY, RESERVATION CONFLICT, TASK SET FULL and the like, without sense; not executed |
//! | `transport` | no SCSI status at all: the bus or the host adapter lost the command, before or after it was executed |
//! | `hang` | no answer until the hang is ended |
//! | `slow` | an answer, late |
//! | `reset`, `nexus-loss`, `power-cycle` | it happens before the command, which then reports the unit attention; a power cycle takes keys, modes and position |
//! | `key-dropped`, `key-changed`, `library-takes-over` | the parameters in force are not those that were set |
//! | `medium-error` | the block cannot be read or written; blocks of the same command before it are |
//! | `short-page`, `long-page`, `page-length`, `page-code` | GOOD, and data that is shorter or longer than it says, or says something else than was asked for |
//!
//! What is not simulated: data that is silently wrong (the cipher would show it, and `medium-error` covers what a drive does then), answers
//! to another command, and two commands executed in another order than they came.
//!
//! # Scripts
//!
//! A script is TOML. Each `[[fault]]` says when (`at`), what (`do`), and how often (`times`, by default once; or `always`). Conditions of one
//! `at` hold together. Every fault that strikes is reported with the number of its command, and everything random follows from the seed:
//! the same script, seed and commands bring the same faults.
//!
//! ```toml
//! seed = 7
//!
//! [[fault]]
//! at = { opcode = 0xB5, nth = 2 }
//! do = { what = "sense", sense = "05/26/00" }
//!
//! [[fault]]
//! at = { block = 17 }
//! do = { what = "medium-error" }
//! always = true
//!
//! [[fault]]
//! at = { chance = 0.01, nexus = "host1" }
//! do = { what = "power-cycle" }
//! times = 3
//! ```

mod carry_out;
mod error;
mod plan;
mod script;

pub use carry_out::Outcome;
pub use error::{FaultRuleError, FaultScriptError};
pub use plan::{Faults, Plan, Struck};
pub use script::{Fault, FaultRule, FaultScript, When};
