//! `tapekey-kms audit list DIR`: every record of the local store, the chain checked on the way. Works beside a running service.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Done;
use super::master_key::MasterKeyArguments;
use crate::clock::to_text;
use crate::kms::audit::{AuditError, AuditRecord};
use crate::kms::config::KmsConfig;
use crate::kms::master_key;
use crate::kms::store::walk_audit;

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum AuditVerb {
    /// List every record, oldest first; stops with an error where the chain is broken
    List(ListArguments),
}

/// What `audit list` is told.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// The KMS's folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    given: MasterKeyArguments,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(verb: &AuditVerb, out: &mut dyn Write) -> Done {
    let AuditVerb::List(arguments) = verb;
    let config = KmsConfig::read(&arguments.folder)?;
    let master = master_key::of_kms(&config, &arguments.given.given())?;
    match walk_audit(&config.store, &master, |record| print(record, arguments.json, out)) {
        // A reader that has seen enough, such as head(1), closes its end.
        Err(AuditError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        walked => walked?,
    };
    out.flush()?;
    Ok(())
}

fn print(record: &AuditRecord, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, record)?;
        return writeln!(out);
    }
    let AuditRecord {
        sequence,
        time,
        subject,
        action,
        outcome,
        ..
    } = record;
    write!(out, "{sequence:>8}  {}  {subject}  {action}", to_text(*time))?;
    let named = [
        ("group", &record.group),
        ("key", &record.key_id),
        ("volume", &record.volume),
        ("", &record.detail),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            write!(out, "  {name}{}{value}", if name.is_empty() { "" } else { " " })?;
        }
    }
    writeln!(out, "  {outcome}")
}
