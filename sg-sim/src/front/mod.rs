//! The front ends of the drive: the SCSI socket and the control socket (`PROTOCOL.md`), vhost-user-scsi, and the command line.
//!
//! They move bytes between people, tests and [`Drive`](crate::Drive), and never decide what a drive answers.

pub mod cli;
pub mod conditions;
pub mod connection;
mod control;
mod create;
pub mod decode;
pub mod frame;
mod inspect;
mod listen;
pub mod machine;
mod order;
mod orders;
mod run;
mod serve;
mod server;
mod status;
pub mod trace;
pub mod vhost;
