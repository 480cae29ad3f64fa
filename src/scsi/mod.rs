//! SCSI as bytes: what tapekey sends to a drive and how it reads the answers. Pure: no I/O, no clock, no key beyond the page that carries it.
//!
//! Every field is big-endian; bit 7 is the most significant one. Decoders read through a closed [`reader::Reader`]: nothing a drive
//! sends can make them panic or read beyond what came, and odd values are kept, never coerced to a default.

pub mod cdb;
pub mod element_status;
pub mod inquiry;
pub mod log;
pub mod mam;
pub mod mode;
pub mod position;
pub mod reader;
pub mod security_protocol;
pub mod sense;
mod sense_names;
pub mod tde;
