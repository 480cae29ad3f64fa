//! What the server says while it runs: nothing, or with `-v` one line on standard error for each command.
//!
//! Never a byte of data-out or data-in, so that no key can get into a trace; CDBs carry none.

use std::fmt;
use std::io::{self, Write};

use super::machine::{Broken, Outcome};
use crate::ItNexus;

/// Whether commands are traced.
#[derive(Debug, Clone, Copy)]
pub struct Trace {
    verbose: bool,
}

impl Trace {
    /// Traces if `verbose`.
    #[must_use]
    pub const fn new(verbose: bool) -> Self {
        Self { verbose }
    }

    /// Says something about connections, if tracing.
    pub fn note(self, what: fmt::Arguments<'_>) {
        if self.verbose {
            self.alarm(what);
        }
    }

    /// Says something whether tracing or not.
    pub fn alarm(self, what: fmt::Arguments<'_>) {
        // One write for a line, so that lines of several threads do not mix. A closed standard error is no reason to stop a drive.
        let _ = io::stderr().lock().write_all(format!("sg-sim: {what}\n").as_bytes());
    }

    /// One command and what it came to.
    pub fn command(self, nexus: &ItNexus, cdb: &[u8], data_out_length: usize, outcome: &Result<Outcome, Broken>) {
        if self.verbose {
            self.alarm(format_args!(
                "{} {} [{}] out {data_out_length} -> {}",
                nexus.name(),
                name(cdb),
                Hex(cdb),
                answer(outcome)
            ));
        }
    }
}

fn answer(outcome: &Result<Outcome, Broken>) -> String {
    match outcome {
        Err(_) => "the drive is stopped".to_owned(),
        Ok(Outcome::Gone) => "dropped".to_owned(),
        Ok(Outcome::Transport(host_status)) => format!("host status {host_status:02X}h"),
        Ok(Outcome::Reply(reply)) if reply.sense.is_empty() => {
            format!("status {:02X}h, in {}", reply.status.0, reply.data_in)
        }
        Ok(Outcome::Reply(reply)) => {
            format!(
                "status {:02X}h, in {}, sense [{}]",
                reply.status.0,
                reply.data_in,
                Hex(&reply.sense)
            )
        }
    }
}

/// Bytes in upper-case hex.
pub struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02X}"))
    }
}

/// The standard's name of a command (SPC-5, SSC-5), for people.
fn name(cdb: &[u8]) -> &'static str {
    match cdb.first().copied().unwrap_or_default() {
        0x00 => "TEST UNIT READY",
        0x01 => "REWIND",
        0x03 => "REQUEST SENSE",
        0x05 => "READ BLOCK LIMITS",
        0x08 => "READ(6)",
        0x0A => "WRITE(6)",
        0x10 => "WRITE FILEMARKS(6)",
        0x11 => "SPACE(6)",
        0x12 => "INQUIRY",
        0x15 => "MODE SELECT(6)",
        0x16 => "RESERVE(6)",
        0x17 => "RELEASE(6)",
        0x19 => "ERASE(6)",
        0x1A => "MODE SENSE(6)",
        0x1B => "LOAD UNLOAD",
        0x1E => "PREVENT ALLOW MEDIUM REMOVAL",
        0x2B => "LOCATE(10)",
        0x34 => "READ POSITION",
        0x44 => "REPORT DENSITY SUPPORT",
        0x4C => "LOG SELECT",
        0x4D => "LOG SENSE",
        0x55 => "MODE SELECT(10)",
        0x5A => "MODE SENSE(10)",
        0x5E => "PERSISTENT RESERVE IN",
        0x5F => "PERSISTENT RESERVE OUT",
        0x8C => "READ ATTRIBUTE",
        0x8D => "WRITE ATTRIBUTE",
        0x91 => "SPACE(16)",
        0x92 => "LOCATE(16)",
        0xA0 => "REPORT LUNS",
        0xA2 => "SECURITY PROTOCOL IN",
        0xA3 => "MAINTENANCE IN",
        0xB5 => "SECURITY PROTOCOL OUT",
        _ => "unknown command",
    }
}
