//! `tapekey-kms audit list|verify|export DIR`: every record of the local store, the chains checked on the way. Works beside a running service.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::master_key::MasterKeyArguments;
use super::{Done, Machine};
use crate::clock::to_text;
use crate::kms::audit::{AuditError, AuditRecord};
use crate::kms::config::KmsConfig;
use crate::kms::master_key;
use crate::kms::seal::HostMasterKey;
use crate::kms::store::{AuditCheckWith, StorePlace, check_audit, walk_audit};
use crate::kms_api::{AuditEntry, AuditHead, AuditVerdict};

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum AuditVerb {
    /// List every record, one a line: node, number, time, who, what; oldest first. Stops with an error where the chain is broken
    List(ListArguments),
    /// Find records that are missing, altered, moved or cut off at the end; exit code 1 if there are any
    Verify(VerifyArguments),
    /// Write every record as one JSON object a line
    Export(ExportArguments),
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

/// What `audit export` is told.
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// The KMS's folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    given: MasterKeyArguments,
    /// The file to make; without it, standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What `audit verify` is told.
#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// The KMS's folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    given: MasterKeyArguments,
    /// A head that was seen earlier, as NODE:RECORD:MAC: from tapekey kms head list --json on a host, a snapshot or a recovery kit (repeatable)
    #[arg(long = "head", value_name = "HEAD")]
    heads: Vec<AuditHead>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Records between two reports of progress.
const PROGRESS_EVERY: u64 = 100_000;

pub(super) fn run(verb: &AuditVerb, machine: &Machine, out: &mut dyn Write, err: &mut dyn Write) -> Done {
    match verb {
        AuditVerb::List(arguments) => list(arguments, out),
        AuditVerb::Export(arguments) => export(arguments, machine, out, err),
        AuditVerb::Verify(arguments) => verify(arguments, machine, out, err),
    }
}

fn verify(arguments: &VerifyArguments, machine: &Machine, out: &mut dyn Write, err: &mut dyn Write) -> Done {
    let nothing = &mut |_: &AuditEntry| Ok(());
    let store = opened(&arguments.folder, &arguments.given)?;
    let verdict = check(&store, machine, arguments.heads.clone(), err, nothing)?;
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&verdict)?)?;
    } else {
        describe(&verdict, out)?;
    }
    out.flush()?;
    judged(&verdict)
}

fn export(arguments: &ExportArguments, machine: &Machine, out: &mut dyn Write, err: &mut dyn Write) -> Done {
    let store = opened(&arguments.folder, &arguments.given)?;
    let Some(path) = &arguments.out else {
        let verdict = check(&store, machine, Vec::new(), err, &mut |entry| write_line(entry, out));
        return match verdict {
            Err(AuditError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            verdict => {
                out.flush()?;
                judged(&verdict?)
            }
        };
    };
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(|error| {
        format!(
            "make {}: {error}\nhint: name a file that is not there yet, on a disk with room",
            path.display()
        )
    })?;
    let mut file = BufWriter::new(file);
    let verdict = check(&store, machine, Vec::new(), err, &mut |entry| {
        write_line(entry, &mut file)
    })?;
    file.into_inner()?.sync_all()?;
    describe(&verdict, out)?;
    out.flush()?;
    judged(&verdict)
}

fn opened(
    folder: &Path,
    given: &MasterKeyArguments,
) -> Result<(StorePlace, HostMasterKey), Box<dyn std::error::Error>> {
    let config = KmsConfig::read(folder)?;
    let master = master_key::of_kms(&config, &given.given())?;
    Ok((config.store, master))
}

fn check(
    (store, master): &(StorePlace, HostMasterKey),
    machine: &Machine,
    remembered: Vec<AuditHead>,
    err: &mut dyn Write,
    each: &mut dyn FnMut(&AuditEntry) -> io::Result<()>,
) -> Result<AuditVerdict, AuditError> {
    let with = AuditCheckWith {
        master,
        entropy: &*machine.entropy,
        now: machine.clock.now(),
        remembered,
    };
    check_audit(store, with, &mut |entry, seen| {
        if seen.is_multiple_of(PROGRESS_EVERY) {
            // Nobody need listen.
            let _ = writeln!(err, "tapekey-kms: {seen} audit records");
        }
        each(entry)
    })
}

fn write_line(entry: &AuditEntry, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, entry)?;
    writeln!(out)
}

fn describe(verdict: &AuditVerdict, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "records   {}", verdict.records)?;
    for head in &verdict.heads {
        writeln!(out, "head      {head}")?;
    }
    writeln!(out, "compared  {} heads that were seen earlier", verdict.compared)?;
    for problem in &verdict.problems {
        writeln!(out, "PROBLEM   {problem}")?;
    }
    if !verdict.problems.is_empty() {
        return Ok(());
    }
    writeln!(out, "Every record is as it was written, none is missing.")?;
    if verdict.compared == 0 {
        writeln!(
            out,
            "Records that were cut off at the end would not be seen: name a head that was seen earlier, --head."
        )?;
    }
    Ok(())
}

fn judged(verdict: &AuditVerdict) -> Done {
    match verdict.problems.first() {
        None => Ok(()),
        Some(first) => Err(format!(
            "the audit log is not whole, {} problems; the first: {first}\nhint: compare with an export or a snapshot from before; trust nothing from there on",
            verdict.problems.len()
        )
        .into()),
    }
}

fn list(arguments: &ListArguments, out: &mut dyn Write) -> Done {
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
        node,
        sequence,
        time,
        subject,
        action,
        outcome,
        ..
    } = record;
    write!(out, "{node}  {sequence:>8}  {}  {subject}  {action}", to_text(*time))?;
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
