//! `tapekey kms key import`: keys of other software from a file or a file descriptor. Without `--commit` it only says what would happen.

use std::fs::File;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use zeroize::Zeroizing;

use super::failure;
use super::key_file::{self, FILE_LENGTH_MAX, FileKey, Format};
use super::passphrase::key_id;
use crate::cli::output::{Exit, Failure, Output, Table};
use crate::kad::KeyId;
use crate::kms_api::{GroupName, ImportKeys, ImportOutcome, ImportReport, ImportedKey, KeyName};
use crate::kms_client::KmsClient;
use crate::terminal::{read_descriptor, read_secret};

/// Import keys of other software into an as-is group, all of a file or none; shows what would happen unless --commit is given
///
/// The keys arrive inactive: they read the tapes that were written under them. A key or an id that the KMS has already is skipped.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The group, of kind as-is
    group: GroupName,
    /// The file with the keys
    #[arg(required_unless_present = "fd", conflicts_with = "fd")]
    file: Option<PathBuf>,
    /// Read the keys from this file descriptor
    #[arg(long, value_name = "N")]
    fd: Option<u32>,
    /// How the keys are written
    #[arg(long, value_enum)]
    format: Format,
    /// Do it
    #[arg(long)]
    commit: bool,
    /// The key's name, for a file with one key; without one the KMS makes one
    #[arg(long)]
    name: Option<KeyName>,
    /// The key's id, for a file with one key that has one already
    #[arg(long, value_name = "UUID", value_parser = key_id)]
    id: Option<KeyId>,
    /// The KAD beside the blocks on its tapes, as text, for a file with one key
    #[arg(long, value_name = "TEXT", conflicts_with = "kad_hex")]
    kad_text: Option<String>,
    /// The KAD beside the blocks on its tapes, in hex, for a file with one key
    #[arg(long, value_name = "HEX", value_parser = kad_bytes)]
    kad_hex: Option<Kad>,
    /// A note for people; for stenc files without one the file's own
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

/// Bytes of a KAD, as the command line takes them.
#[derive(Debug, Clone)]
struct Kad(Vec<u8>);

fn kad_bytes(text: &str) -> Result<Kad, String> {
    hex::decode(text)
        .map(Kad)
        .map_err(|error| format!("a KAD in hex: {error}"))
}

/// What is printed: what the KMS answered, and what an operator should know.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    report: ImportReport,
    notes: Vec<String>,
}

/// Reads the keys, asks the KMS, prints what it did or would do.
pub(super) async fn run(client: &KmsClient, arguments: ImportArgs, output: &mut Output<'_>) -> Result<(), Failure> {
    let bytes = read(&arguments)?;
    let parsed = key_file::parse(arguments.format, &bytes).map_err(|error| Failure::new(Exit::Usage, error))?;
    drop(bytes);
    let (group, commit) = (arguments.group.clone(), arguments.commit);
    let keys = with_arguments(parsed.keys, arguments)?;
    let request = ImportKeys { keys, commit };
    let report = client.import_keys(&group, &request).await.map_err(failure)?;
    let answer = Answer {
        report,
        notes: parsed.notes,
    };
    output.answer(&answer, describe)
}

fn read(arguments: &ImportArgs) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (name, bytes) = match (&arguments.file, arguments.fd) {
        (Some(path), _) => {
            let file = File::open(path).and_then(|file| read_secret(file, FILE_LENGTH_MAX));
            (path.display().to_string(), file)
        }
        (None, Some(descriptor)) => (
            format!("descriptor {descriptor}"),
            read_descriptor(descriptor, FILE_LENGTH_MAX),
        ),
        // The flags' own rules ask for one of the two.
        (None, None) => return Err(Failure::new(Exit::Usage, "no key file\nhint: name one, or use --fd")),
    };
    bytes.map_err(|error| Failure::new(Exit::Usage, format_args!("read keys from {name}: {error}")))
}

/// Puts what the command line says beside what the file says.
fn with_arguments(keys: Vec<FileKey>, arguments: ImportArgs) -> Result<Vec<ImportedKey>, Failure> {
    let ImportArgs {
        name,
        id,
        kad_text,
        kad_hex,
        description,
        ..
    } = arguments;
    let kad = kad_text.map(String::into_bytes).or(kad_hex.map(|kad| kad.0));
    let for_one_key = name.is_some() || id.is_some() || kad.is_some();
    if for_one_key && keys.len() > 1 {
        let text = format!(
            "--name, --id and the KAD are for a file with one key, this one has {}\nhint: divide the file, or leave them out",
            keys.len()
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    let keys = keys.into_iter().map(|FileKey { key, kad: own, note }| ImportedKey {
        id,
        name: name.clone(),
        description: description.clone().or(note).unwrap_or_default(),
        key,
        foreign_kad: kad.clone().or(own),
    });
    Ok(keys.collect())
}

fn describe(answer: &Answer) -> String {
    let mut table = Table::new(&["key", "what", "id", "kad"]);
    for outcome in &answer.report.keys {
        table.row(row(outcome, answer.report.committed));
    }
    let mut text = table.to_string();
    for note in &answer.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    if !answer.report.committed {
        text.push_str("nothing was changed; --commit does it\n");
    }
    text
}

fn row(outcome: &ImportOutcome, committed: bool) -> [String; 4] {
    let dash = || "-".to_owned();
    match outcome {
        ImportOutcome::New(record) => {
            let what = if committed { "imported" } else { "would be imported" };
            let id = if committed { record.id.to_string() } else { dash() };
            let kad = record.foreign_kad.as_deref().map_or_else(dash, kad_in_words);
            [record.name.to_string(), what.to_owned(), id, kad]
        }
        ImportOutcome::SameKey { group, name } => [
            dash(),
            format!("skipped: the same key is {name} of group {group}"),
            dash(),
            dash(),
        ],
        ImportOutcome::SameId { group, name } => [
            dash(),
            format!("skipped: the id is that of {name} of group {group}"),
            dash(),
            dash(),
        ],
        ImportOutcome::Repeated => [
            dash(),
            "skipped: it came earlier in the file".to_owned(),
            dash(),
            dash(),
        ],
    }
}

/// As text where it is text, else in hex.
fn kad_in_words(kad: &[u8]) -> String {
    match std::str::from_utf8(kad) {
        Ok(text) if !text.chars().any(char::is_control) => format!("\"{text}\""),
        _ => hex::encode(kad),
    }
}
