//! `--record`: every SCSI command and its answer as a line of JSON, to see what a program really sends.
//!
//! The bytes of a key are never written: they appear as `kk`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::front::machine::{Command, Observer, Outcome};
use crate::{Reply, Status};

const SECURITY_PROTOCOL_OUT: u8 = 0xB5;
/// Set Data Encryption page: KEY LENGTH in bytes 18 and 19, the key behind it (SSC-4).
const KEY_LENGTH_AT: usize = 18;
/// Data beyond this is counted and not written down.
const DATA_BYTES_MAX: usize = 512;

/// Writes down what is asked.
pub(super) struct Record(Mutex<File>);

#[derive(Serialize)]
struct Line {
    unit: usize,
    cdb: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    data_out: String,
    data_out_length: usize,
    allocation_length: usize,
    status: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_status: Option<u8>,
    #[serde(skip_serializing_if = "String::is_empty")]
    sense: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    data_in: String,
    data_in_length: usize,
}

impl Record {
    /// Records commands in a new file.
    ///
    /// # Errors
    /// The file exists or cannot be written.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(Mutex::new(File::create_new(path)?)))
    }
}

impl Observer for Record {
    fn command(&self, command: &Command<'_>, outcome: &Outcome, data_in: &[u8]) {
        let Command {
            unit, cdb, data_out, ..
        } = *command;
        let (reply, host_status) = match outcome {
            Outcome::Reply(reply) => (reply.clone(), None),
            Outcome::Transport(host_status) => (nothing(), Some(host_status.get())),
            Outcome::Gone => return,
        };
        let line = Line {
            unit,
            cdb: hex(cdb),
            data_out: masked(cdb, data_out),
            data_out_length: data_out.len(),
            allocation_length: data_in.len(),
            status: reply.status.0,
            host_status,
            sense: hex(&reply.sense),
            data_in: hex(data_in.get(..reply.data_in).unwrap_or_default()),
            data_in_length: reply.data_in,
        };
        if let Ok(mut text) = serde_json::to_string(&line) {
            text.push('\n');
            let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk must not change what the program sees of the drive.
            let _ = file.write_all(text.as_bytes());
        }
    }
}

/// What there is of an answer that never came.
const fn nothing() -> Reply {
    Reply {
        status: Status::GOOD,
        sense: Vec::new(),
        data_in: 0,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(DATA_BYTES_MAX).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Data-out with the key replaced.
fn masked(cdb: &[u8], data_out: &[u8]) -> String {
    let mut text = hex(data_out);
    let length = data_out
        .get(KEY_LENGTH_AT..KEY_LENGTH_AT + 2)
        .and_then(|length| length.try_into().ok());
    if let (Some(&SECURITY_PROTOCOL_OUT), Some(length)) = (cdb.first(), length) {
        // Whatever the page is, what lies where a key would be is not shown.
        let from = (2 * (KEY_LENGTH_AT + 2)).min(text.len());
        let to = (from + 2 * usize::from(u16::from_be_bytes(length))).min(text.len());
        text.replace_range(from..to, &"k".repeat(to - from));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_written_down() {
        let mut page = vec![
            0, 0x10, 0, 0x34, 0x40, 0x40, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20,
        ];
        page.extend([0x5A; 32]);
        page.extend([0, 0, 0, 0]);
        let text = masked(&[SECURITY_PROTOCOL_OUT, 0x20], &page);
        assert!(!text.contains("5a"), "{text}");
        assert!(text.ends_with("kk00000000"), "{text}");
        assert_eq!(text.len(), 2 * page.len());
    }

    #[test]
    fn a_page_cut_inside_the_key_shows_none_of_it() {
        let mut page = vec![0; 18];
        page.extend([0xFF, 0xFF, 0x5A, 0x5A]);
        assert!(masked(&[SECURITY_PROTOCOL_OUT], &page).ends_with("ffffkkkk"));
    }
}
