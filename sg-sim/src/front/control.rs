//! The control socket, server side: one JSON object a line in, one out (`PROTOCOL.md` part 2).
//!
//! It takes a unit between two commands, never waits out a hang, and answers what it could not do instead of guessing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use serde::Serialize;
use thiserror::Error;

use super::machine::Machine;
use super::orders::{self, Order};
use super::status::Status;
use super::trace::Trace;

/// Longest line, in bytes, with its line feed.
pub(super) const LINE_LENGTH_MAX: u64 = 65_536;

/// One line from the server.
#[derive(Debug, Default, Serialize)]
struct Answer {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// Why a line could not be understood.
#[derive(Debug, Error)]
#[non_exhaustive]
enum LineFault {
    #[error("read an order: the line has more than {LINE_LENGTH_MAX} bytes")]
    TooLong,
    #[error("read an order: the stream ended inside a line")]
    Torn,
    #[error("read an order: {0}\nhint: the verbs are in sg-sim/PROTOCOL.md part 2")]
    Json(#[from] serde_json::Error),
}

/// Serves one control connection until it ends.
///
/// # Errors
/// The stream broke.
pub(super) fn serve(stream: &UnixStream, machine: &Machine, trace: Trace) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        if (&mut lines).take(LINE_LENGTH_MAX + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match understand(&line) {
            Ok(order) => {
                trace.note(format_args!("control: {order:?}"));
                write_line(stream, &obey(machine, order))?;
            }
            Err(fault) => {
                trace.note(format_args!("control connection closed: {fault}"));
                return write_line(stream, &refused(&fault.to_string()));
            }
        }
    }
}

/// Tells a client that there is no room.
///
/// # Errors
/// The stream broke.
pub(super) fn turn_away(stream: &UnixStream, connections: usize) -> io::Result<()> {
    write_line(
        stream,
        &refused(&format!(
            "connect: this server has {connections} control connections and takes no more"
        )),
    )
}

fn understand(line: &[u8]) -> Result<Order, LineFault> {
    if u64::try_from(line.len()).is_ok_and(|length| length > LINE_LENGTH_MAX) {
        return Err(LineFault::TooLong);
    }
    let text = line.strip_suffix(b"\n").ok_or(LineFault::Torn)?;
    Ok(Order::read(text)?)
}

fn obey(machine: &Machine, order: Order) -> Answer {
    match orders::carry_out(machine, order) {
        Ok(status) => Answer {
            ok: true,
            status,
            ..Answer::default()
        },
        Err(error) => refused(&error.to_string()),
    }
}

/// Splits an error's text into what happened and its hint.
fn refused(text: &str) -> Answer {
    let (error, hint) = text
        .split_once("\nhint: ")
        .map_or((text, None), |(error, hint)| (error, Some(hint.to_owned())));
    Answer {
        ok: false,
        error: Some(error.to_owned()),
        hint,
        status: None,
    }
}

fn write_line(mut stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_every_verb_of_the_text() {
        for line in [
            r#"{"verb":"status"}"#,
            r#"{"verb":"status","nexus":"host1"}"#,
            r#"{"verb":"hang","on":true}"#,
            r#"{"verb":"hang","on":true,"unit":2}"#,
            r#"{"verb":"library-managed","mode":"cfgp"}"#,
            r#"{"verb":"refuse-spout","sense":"05/24/00"}"#,
            r#"{"verb":"transport-error","host_status":3}"#,
            r#"{"verb":"transport-error","host_status":3,"count":2,"executed":true}"#,
            r#"{"verb":"key-dropped"}"#,
            r#"{"verb":"reset"}"#,
            r#"{"verb":"nexus-loss","nexus":"host1"}"#,
            r#"{"verb":"another-nexus-sets-a-key"}"#,
            r#"{"verb":"power-cycle"}"#,
            r#"{"verb":"load","file":"/tmp/a"}"#,
            r#"{"verb":"eject"}"#,
            r#"{"verb":"fault","do":{"what":"reset"}}"#,
            r#"{"verb":"fault","at":{"opcode":181,"nth":2},"do":{"what":"sense","sense":"05/26/00"},"times":3}"#,
            r#"{"verb":"clear-faults"}"#,
            r#"{"verb":"advance","milliseconds":1500}"#,
        ] {
            assert!(understand(format!("{line}\n").as_bytes()).is_ok(), "{line}");
        }
    }

    #[test]
    fn refuses_what_the_text_does_not_name() {
        for line in [
            "",
            "[]",
            "{}",
            "status",
            r#"{"verb":"explode"}"#,
            r#"{"verb":"reset","now":true}"#,
            r#"{"verb":"reset","unit":-1}"#,
            r#"{"verb":"reset","unit":null}"#,
            r#"{"verb":"hang"}"#,
            r#"{"verb":"hang","on":"yes"}"#,
            r#"{"verb":"library-managed","mode":"maybe"}"#,
            r#"{"verb":"transport-error","host_status":256}"#,
            r#"{"verb":"eject"} {"verb":"eject"}"#,
            r#"{"verb":"fault"}"#,
            r#"{"verb":"fault","do":{"what":"explode"}}"#,
            r#"{"verb":"fault","do":{"what":"reset"},"when":1}"#,
        ] {
            assert!(understand(format!("{line}\n").as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn refuses_a_line_without_end_and_one_too_long() {
        assert!(matches!(understand(br#"{"verb":"reset"}"#), Err(LineFault::Torn)));
        let long = vec![b' '; 65_537];
        assert!(matches!(understand(&long), Err(LineFault::TooLong)));
    }

    #[test]
    fn the_hint_has_its_own_member() {
        let answer = refused("load a: no such file\nhint: give its absolute path");
        assert_eq!(answer.error.as_deref(), Some("load a: no such file"));
        assert_eq!(answer.hint.as_deref(), Some("give its absolute path"));
    }
}
