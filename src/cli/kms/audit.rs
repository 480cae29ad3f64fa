//! `tapekey kms audit`: the audit log of a running KMS, streamed however long it is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::failure;
use crate::cli::output::{Exit, Failure, Output, Table, printable};
use crate::clock::to_text;
use crate::kms_api::{AuditEntry, AuditHead, AuditVerdict, AuditWalk};
use crate::kms_client::KmsClient;
use crate::kms_client::heads::HeadBook;

/// Records between two reports of progress.
const PROGRESS_EVERY: u64 = 10_000;

/// Verbs for the audit log.
#[derive(Debug, Subcommand)]
pub(super) enum AuditVerb {
    /// Show every record, one a line: node, number, time, who, what; oldest first, one node's after the other's
    List,
    /// Write every record as one JSON object a line
    Export {
        /// The file to make; without it, standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    Verify(VerifyArgs),
}

/// Find records that are missing, altered, moved or cut off at the end; exit code 1 if there are any
///
/// The KMS checks each record against the one before it. What is missing at the end shows only against heads that were remembered: those in
/// the client bundle and of snapshots are taken by themselves.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A head that was seen earlier, as NODE:RECORD:MAC: from tapekey kms head list --json, a snapshot or a recovery kit (repeatable)
    #[arg(long = "head", value_name = "HEAD")]
    heads: Vec<AuditHead>,
}

/// Carries out `verb`; `own` is what the client bundle remembers.
pub(super) async fn run(
    client: &KmsClient,
    verb: AuditVerb,
    own: Vec<AuditHead>,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match verb {
        AuditVerb::List => {
            let json = output.is_json();
            let show = |entry: &AuditEntry| if json { json_line(entry) } else { Ok(line(entry)) };
            let mut write = |entry: &AuditEntry, output: &mut Output<'_>| output.line(&show(entry)?);
            let verdict = walk(client, own, output, &mut write).await?;
            judged(&verdict)
        }
        AuditVerb::Export { out: None } => {
            let mut write = |entry: &AuditEntry, output: &mut Output<'_>| output.line(&json_line(entry)?);
            let verdict = walk(client, own, output, &mut write).await?;
            judged(&verdict)
        }
        AuditVerb::Export { out: Some(path) } => export(client, own, path, output).await,
        AuditVerb::Verify(arguments) => {
            let remembered = [own, arguments.heads].concat();
            let verdict = walk(client, remembered, output, &mut |_, _| Ok(true)).await?;
            output.answer(&verdict, describe)?;
            judged(&verdict)
        }
    }
}

/// The heads that a book of heads has no doubt of.
pub(super) fn trusted(heads: &HeadBook) -> Vec<AuditHead> {
    let known = heads.report().chains.into_iter();
    known
        .filter(|known| known.doubt.is_none())
        .map(|known| known.head)
        .collect()
}

async fn export(
    client: &KmsClient,
    own: Vec<AuditHead>,
    path: PathBuf,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let shown = path.display();
        Failure::new(
            Exit::Failed,
            format_args!("write {shown}: {error}\nhint: name a file that is not there yet, on a disk with room"),
        )
    };
    let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = BufWriter::new(file.map_err(failed)?);
    let mut write = |entry: &AuditEntry, _: &mut Output<'_>| {
        writeln!(file, "{}", json_line(entry)?).map_err(failed)?;
        Ok(true)
    };
    let verdict = walk(client, own, output, &mut write).await?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    output.answer(&verdict, describe)?;
    judged(&verdict)
}

/// Takes a record; false once nobody wants more.
type Taker<'a> = dyn FnMut(&AuditEntry, &mut Output<'_>) -> Result<bool, Failure> + 'a;

async fn walk(
    client: &KmsClient,
    mut remembered: Vec<AuditHead>,
    output: &mut Output<'_>,
    take: &mut Taker<'_>,
) -> Result<AuditVerdict, Failure> {
    let heads = client.audit_heads().await.map_err(failure)?;
    remembered.extend(heads.of_snapshots);
    let in_all: i64 = heads.heads.iter().map(|head| head.sequence).sum();
    let mut walk = AuditWalk::new(remembered);
    for head in heads.heads {
        let mut after = None;
        loop {
            let page = client.audit_page(head.node, after).await.map_err(failure)?;
            for entry in &page.records {
                walk.see(entry);
                if !take(entry, output)? {
                    return Ok(walk.end());
                }
                if walk.records().is_multiple_of(PROGRESS_EVERY) {
                    output.progress(&format!("{} of {in_all} audit records", walk.records()));
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(walk.end())
}

fn judged(verdict: &AuditVerdict) -> Result<(), Failure> {
    match verdict.problems.first() {
        None => Ok(()),
        Some(first) => Err(Failure::new(
            Exit::Failed,
            format_args!(
                "the audit log is not whole, {} problems; the first: {first}\nhint: compare with an export or a snapshot from before; trust nothing from there on",
                verdict.problems.len()
            ),
        )),
    }
}

fn describe(verdict: &AuditVerdict) -> String {
    let mut table = Table::without_headings();
    table.row(["records", &verdict.records.to_string()]);
    for head in &verdict.heads {
        table.row(["head", &head.to_string()]);
    }
    let compared = match verdict.compared {
        0 => "0: records that were cut off at the end would not be seen; name a head that was seen earlier, --head"
            .to_owned(),
        compared => compared.to_string(),
    };
    table.row(["heads compared", &compared]);
    for problem in &verdict.problems {
        table.row(["PROBLEM", problem]);
    }
    let whole = "Every record is as it was written, none is missing.\n";
    format!("{table}{}", if verdict.problems.is_empty() { whole } else { "" })
}

fn json_line(entry: &AuditEntry) -> Result<String, Failure> {
    serde_json::to_string(entry).map_err(|error| Failure::new(Exit::Failed, format_args!("print: {error}")))
}

fn line(entry: &AuditEntry) -> String {
    let named = [
        ("group ", &entry.group),
        ("key ", &entry.key_id),
        ("volume ", &entry.volume),
        ("", &entry.detail),
    ];
    let named = named
        .iter()
        .filter_map(|(name, value)| Some(format!("  {name}{}", value.as_ref()?)));
    let (node, sequence, time) = (entry.node, entry.sequence, to_text(entry.time));
    let doubt = if entry.fits { "" } else { "  DOES NOT FIT" };
    printable(&format!(
        "{node}  {sequence:>8}  {time}  {}  {}{}  {}{doubt}",
        entry.subject,
        entry.action,
        named.collect::<String>(),
        entry.outcome
    ))
}
