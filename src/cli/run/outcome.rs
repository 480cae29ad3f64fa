//! What came of a `tapekey run`: for people on standard error, for programs in a file of their own, and as an exit code.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::program::End;
use crate::cli::output::{Exit, Failure, printable, split_hint};
use crate::control::messages::job::{JobRecord, Outcome as JobOutcome};

/// The program ended well, and that every block on the volume is encrypted is not shown.
pub(super) const NOT_PROVEN: u8 = 121;
/// The key may still be in the drive, and no failure of the program says otherwise.
pub(super) const KEY_MAY_REMAIN: u8 = 122;
/// How the program ended is not known.
pub(super) const END_UNKNOWN: u8 = 123;
/// The key did not go in, or not for this volume: the program was not started.
pub(super) const NOT_STARTED: u8 = 125;
/// The program cannot be started.
pub(super) const CANNOT_START: u8 = 126;
/// There is no such program.
pub(super) const NO_SUCH_PROGRAM: u8 = 127;

/// What the drive's statistics say where nothing plain is on the volume.
const ALL_ENCRYPTED: &str = "all encrypted";

/// Everything that is known at the end, as `--outcome` writes it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Outcome {
    /// The drive's name.
    pub(super) drive: String,
    /// What `tapekey run` exits with.
    pub(super) exit: u8,
    /// The job that put the key in, unless none was begun.
    pub(super) key_in: Option<Box<JobRecord>>,
    /// How the program ended; absent if it was not started.
    pub(super) program: Option<End>,
    /// The job that took the key out, with the proof; absent if it is not known how that went.
    pub(super) key_out: Option<Box<JobRecord>>,
    /// What was not as it should be, in order.
    pub(super) problems: Vec<Problem>,
}

/// Something that was not as it should be.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Problem {
    pub(super) fn of(text: &str) -> Self {
        let (error, hint) = split_hint(text);
        Self {
            error: error.to_owned(),
            hint: hint.map(str::to_owned),
        }
    }
}

/// The place of the outcome, opened before anything is begun.
pub(super) struct OutcomeFile {
    file: File,
    path: PathBuf,
}

impl OutcomeFile {
    /// Opens `path` for writing; what stood there is replaced. A descriptor is named as /dev/fd/N.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let refused = |error| {
            let path = path.display();
            let text = format!("--outcome {path}: {error}\nhint: name a file in a folder that you may write to");
            Failure::new(Exit::Usage, text)
        };
        Ok(Self {
            file: File::create(path).map_err(refused)?,
            path: path.to_owned(),
        })
    }

    /// Writes the outcome, one JSON object and a line feed.
    pub(super) fn write(mut self, outcome: &Outcome) -> Result<(), Failure> {
        let written = serde_json::to_vec_pretty(outcome)
            .map_err(std::io::Error::from)
            .and_then(|mut text| {
                text.push(b'\n');
                self.file.write_all(&text)
            });
        written.map_err(|error| {
            let path = self.path.display();
            let text = format!("--outcome {path}: {error}\nhint: is the disk full? tapekey job list has the jobs");
            Failure::new(Exit::Run(outcome.exit), text)
        })
    }
}

/// The volume of a job as people call it.
pub(super) fn volume(job: &JobRecord) -> String {
    let name = job.volume.barcode.as_ref().or(job.volume.serial.as_ref());
    name.map_or_else(|| "a volume without a name".to_owned(), |name| printable(name))
}

/// Which key went in.
pub(super) fn key(job: &JobRecord) -> String {
    if job.outcome == JobOutcome::Plain {
        return "no key".to_owned();
    }
    match job.key.as_ref().and_then(|key| key.group.as_ref()) {
        Some(group) => format!("the key of group {}", printable(group)),
        None => "the key".to_owned(),
    }
}

/// Why it is not shown that every block on the volume is encrypted; `None`: it is.
pub(super) fn doubt(key_out: &JobRecord) -> Option<String> {
    if let Some(why) = &key_out.not_proven {
        return Some(printable(why));
    }
    match &key_out.proof {
        Some(proof) if proof.verdict == ALL_ENCRYPTED => None,
        Some(proof) => Some(format!("the drive's statistics say: {}", printable(&proof.verdict))),
        None => {
            let mut said = key_out.messages.iter().map(|message| message.text.as_str());
            let why = said.find(|text| text.starts_with("proof not taken"));
            Some(printable(why.unwrap_or("proof not taken")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_that_cannot_be_written_is_refused_before_anything_begins() {
        let folder = tempfile::tempdir().unwrap();
        let refused = OutcomeFile::open(&folder.path().join("no/where")).err().unwrap();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(refused.text.contains("\nhint: "), "{}", refused.text);
    }

    #[test]
    fn an_outcome_says_what_is_not_known_as_null() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcome");
        let outcome = Outcome {
            drive: "d1".into(),
            exit: 7,
            program: Some(End::Code(7)),
            problems: vec![Problem::of("it went wrong\nhint: mend it")],
            ..Outcome::default()
        };
        OutcomeFile::open(&path).unwrap().write(&outcome).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let expected = serde_json::json!({
            "drive": "d1", "exit": 7, "key_in": null, "program": { "code": 7 }, "key_out": null,
            "problems": [{ "error": "it went wrong", "hint": "mend it" }],
        });
        assert_eq!(read, expected);
    }
}
