//! One command and its answer as a line of a trace file (JSON). This is where keys and blocks are left out.
//!
//! Of SECURITY PROTOCOL OUT only the fixed part and, if the lengths inside the page agree, the KADs are kept: whatever may be a key is not.
//! Blocks are not kept either way, nor is a random number page.

use super::hex;
use crate::front::machine::{Command, Observer, Outcome};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

const SECURITY_PROTOCOL_IN: u8 = 0xA2;
const SECURITY_PROTOCOL_OUT: u8 = 0xB5;
/// READ(6): its data are blocks.
const READ: u8 = 0x08;
const RANDOM_NUMBER_PAGE: [u8; 2] = [0x00, 0x30];
/// Commands whose parameter list is shown: MODE SELECT(6), LOG SELECT, MODE SELECT(10), WRITE ATTRIBUTE, SET TIMESTAMP.
const LISTS_SHOWN: [u8; 5] = [0x15, 0x4C, 0x55, 0x8D, 0xA4];
/// Data beyond this is not kept.
const DATA_BYTES_MAX: usize = 1024;
/// Set Data Encryption page: length of its fixed part, which ends with KEY LENGTH.
const FIXED_BYTES: usize = 20;
const KEY_BYTES: usize = 32;

/// One command and its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number, from 1.
    pub command: u64,
    /// For which unit.
    pub unit: usize,
    /// Who sent it.
    pub nexus: String,
    /// The CDB, hexadecimal.
    pub cdb: String,
    /// Bytes of data-out.
    pub out: usize,
    /// What of data-out may be shown, hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data_out: String,
    /// KAD descriptors of a Set Data Encryption page, hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kads: String,
    /// SCSI status; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u8>,
    /// Host status, if there was no SCSI status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_status: Option<u8>,
    /// Sense data, hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sense: String,
    /// Bytes of data-in.
    pub r#in: usize,
    /// What of data-in may be shown, hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data_in: String,
}

impl Line {
    /// Writes one command down, without what must not be.
    #[must_use]
    pub fn new(number: u64, command: &Command<'_>, outcome: &Outcome, data_in: &[u8]) -> Self {
        let Command {
            unit,
            nexus,
            cdb,
            data_out,
        } = *command;
        let (shown, kads) = visible_data_out(cdb, data_out);
        let mut line = Self {
            command: number,
            unit,
            nexus: nexus.name().to_owned(),
            cdb: hex(cdb),
            out: data_out.len(),
            data_out: hex(shown),
            kads: hex(kads),
            status: None,
            host_status: None,
            sense: String::new(),
            r#in: 0,
            data_in: String::new(),
        };
        match outcome {
            Outcome::Reply(reply) => {
                line.status = Some(reply.status.0);
                line.sense = hex(&reply.sense);
                line.r#in = reply.data_in;
                let came = data_in.get(..reply.data_in).unwrap_or_default();
                line.data_in = hex(visible_data_in(cdb, came));
            }
            Outcome::Transport(host_status) => line.host_status = Some(host_status.get()),
            Outcome::Gone => {}
        }
        line
    }
}

fn beginning(bytes: &[u8]) -> &[u8] {
    bytes.get(..DATA_BYTES_MAX).unwrap_or(bytes)
}

/// What of data-out may be shown, and the KADs.
fn visible_data_out<'a>(cdb: &[u8], data_out: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    match cdb.first() {
        Some(&SECURITY_PROTOCOL_OUT) => {
            let fixed = data_out.get(..FIXED_BYTES).unwrap_or_default();
            (fixed, descriptors(data_out).unwrap_or_default())
        }
        Some(code) if LISTS_SHOWN.contains(code) => (beginning(data_out), &[]),
        _ => (&[], &[]),
    }
}

/// The KADs of a Set Data Encryption page whose lengths all agree; a page that lies about one may hide a key among them.
fn descriptors(page: &[u8]) -> Option<&[u8]> {
    let fixed = page.first_chunk::<FIXED_BYTES>()?;
    let page_length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    let key_length = usize::from(u16::from_be_bytes([fixed[18], fixed[19]]));
    if fixed[..2] != [0x00, 0x10] || page_length + 4 != page.len() || ![0, KEY_BYTES].contains(&key_length) {
        return None;
    }
    let descriptors = page.get(FIXED_BYTES + key_length..)?;
    let mut rest = descriptors;
    while !rest.is_empty() {
        let ([kind, reserved, high, low], behind) = rest.split_first_chunk()?;
        // Without a key in front, 32 bytes that happen to look like descriptors would have to begin with a known type and a zero.
        if *kind > 4 || *reserved != 0 {
            return None;
        }
        rest = behind.get(usize::from(u16::from_be_bytes([*high, *low]))..)?;
    }
    Some(descriptors)
}

fn visible_data_in<'a>(cdb: &[u8], data_in: &'a [u8]) -> &'a [u8] {
    match cdb {
        [READ, ..] => &[],
        [SECURITY_PROTOCOL_IN, _, high, low, ..] if [*high, *low] == RANDOM_NUMBER_PAGE => &[],
        _ => beginning(data_in),
    }
}

/// Writes every command to a file.
#[derive(Debug)]
pub struct Recorder {
    writing: Mutex<Writing>,
}

#[derive(Debug)]
struct Writing {
    file: File,
    commands: u64,
}

impl Recorder {
    /// Begins a new file, readable by its owner alone.
    ///
    /// # Errors
    /// It exists or cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self {
            writing: Mutex::new(Writing { file, commands: 0 }),
        })
    }
}

impl Observer for Recorder {
    /// Writes one command down. A full disk does not change what the initiator sees.
    fn command(&self, command: &Command<'_>, outcome: &Outcome, data_in: &[u8]) {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.commands = writing.commands.saturating_add(1);
        let line = Line::new(writing.commands, command, outcome, data_in);
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            // One write for a line, so that a reader that follows sees whole lines.
            let _ = writing.file.write_all(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ItNexus, Reply, Status};

    const SPOUT: [u8; 12] = [0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 0x40, 0, 0];

    fn line(cdb: &[u8], data_out: &[u8], data_in: &[u8]) -> Line {
        let outcome = Outcome::Reply(Reply {
            status: Status::GOOD,
            sense: vec![],
            data_in: data_in.len(),
        });
        let command = Command {
            unit: 0,
            nexus: &ItNexus::new("host1").unwrap(),
            cdb,
            data_out,
        };
        Line::new(1, &command, &outcome, data_in)
    }

    fn page(kads: &[u8]) -> Vec<u8> {
        let mut page = vec![
            0x00, 0x10, 0, 0, 0x40, 0x40, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20,
        ];
        page.extend([0x5A; 32]);
        page.extend(kads);
        page[3] = u8::try_from(page.len() - 4).unwrap();
        page
    }

    #[test]
    fn keeps_fixed_part_and_names_and_never_the_key() {
        let line = line(&SPOUT, &page(b"\0\0\0\x04name"), &[]);
        assert_eq!((line.data_out.len(), line.kads.as_str()), (40, "000000046E616D65"));
        assert!(!serde_json::to_string(&line).unwrap().contains("5A5A"));
    }

    #[test]
    fn keeps_nothing_behind_the_fixed_part_of_a_page_that_lies() {
        for (at, value) in [
            (0, 1),
            (3, 0x10),
            (18, 1),
            (19, 0),
            (19, 8),
            (52, 9),
            (53, 1),
            (55, 200),
        ] {
            let mut lying = page(b"\0\0\0\x04name");
            lying[at] = value;
            let text = serde_json::to_string(&line(&SPOUT, &lying, &[])).unwrap();
            assert!(!text.contains("5A5A"), "byte {at}: {text}");
        }
        for length in 0..60 {
            let text = serde_json::to_string(&line(&SPOUT, &page(b"\0\0\0\x04name")[..length], &[])).unwrap();
            assert!(!text.contains("5A5A"), "{length}: {text}");
        }
    }

    #[test]
    fn keeps_no_block_and_no_random_number() {
        for (cdb, data_out, data_in) in [
            (&[0x0A, 0, 0, 0, 4, 0][..], &b"\x5A\x5A\x5A\x5A"[..], &b""[..]),
            (&[0x08, 0, 0, 0, 4, 0], b"", b"\x5A\x5A\x5A\x5A"),
            (
                &[0xA2, 0x20, 0, 0x30, 0, 0, 0, 0, 0, 36, 0, 0],
                b"",
                b"\x5A\x5A\x5A\x5A",
            ),
            (&[0xEE; 6], b"\x5A\x5A\x5A\x5A", b""),
        ] {
            let line = line(cdb, data_out, data_in);
            assert!(!serde_json::to_string(&line).unwrap().contains("5A5A"));
            assert_eq!((line.out, line.r#in), (data_out.len(), data_in.len()));
        }
    }

    #[test]
    fn comes_back_from_its_own_text() {
        let line = line(&[0x12, 0, 0, 0, 36, 0], &[], b"\x01\x80");
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
}
