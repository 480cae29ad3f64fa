//! What the server says while it runs: nothing, or with `-v` one line on standard error for each command.
//!
//! Never a byte of data-out or data-in, so that no key can get into a trace; CDBs carry none.

use std::fmt;
use std::io::{self, Write};

use super::decode;
use super::machine::{Command, Observer, Outcome};

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
}

impl Observer for Trace {
    fn command(&self, command: &Command<'_>, outcome: &Outcome, _data_in: &[u8]) {
        if self.verbose {
            let Command {
                unit,
                nexus,
                cdb,
                data_out,
            } = command;
            self.alarm(format_args!(
                "{} unit {unit} {} [{}] out {} -> {}",
                nexus.name(),
                decode::command_name(cdb).unwrap_or("unknown command"),
                Hex(cdb),
                data_out.len(),
                answer(outcome)
            ));
        }
    }

    fn reset(&self, unit: usize) {
        self.note(format_args!("reset of unit {unit}"));
    }
}

fn answer(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Gone => "dropped".to_owned(),
        Outcome::Transport(host_status) => format!("host status {host_status:02X}h"),
        Outcome::Reply(reply) if reply.sense.is_empty() => {
            format!("status {:02X}h, in {}", reply.status.0, reply.data_in)
        }
        Outcome::Reply(reply) => {
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
