//! `tapekey-kms verify DIR|SNAPSHOT`: whether every record opens and everything fits. Works beside a running service.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::master_key::MasterKeyArguments;
use super::{Done, Machine, progress};
use crate::kms::master_key::MasterKeySource;
use crate::kms::verify::{Report, verify};

/// What `verify` is told.
#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    /// The KMS's folder, or a snapshot
    #[arg(value_name = "DIR|SNAPSHOT")]
    path: PathBuf,
    /// The host master key, where it is not the folder's own
    #[arg(long, value_name = "FILE|passphrase|credential:NAME")]
    master_key: Option<MasterKeySource>,
    #[command(flatten)]
    given: MasterKeyArguments,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &VerifyArguments, machine: &Machine, out: &mut dyn Write, err: &mut dyn Write) -> Done {
    let report = verify(
        &arguments.path,
        (arguments.master_key.as_ref(), &arguments.given.given()),
        (&*machine.clock, &*machine.entropy),
        &mut progress(err),
    )?;
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        print(&report, out)?;
    }
    out.flush()?;
    match report.problems.len() {
        0 => Ok(()),
        problems => Err(format!(
            "{} {}: {problems} problems\nhint: restore what does not open from a snapshot that verifies",
            report.what, report.store
        )
        .into()),
    }
}

fn print(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{:8}  {} (version {})", report.what, report.store, report.schema)?;
    writeln!(out, "groups    {}", report.groups)?;
    writeln!(out, "keys      {}", report.keys)?;
    writeln!(
        out,
        "audit     {} records, head {}",
        report.audit_records, report.audit_head
    )?;
    if report.problems.is_empty() {
        return writeln!(out, "Every record opens, every index agrees, the audit chain is whole.");
    }
    report
        .problems
        .iter()
        .try_for_each(|problem| writeln!(out, "problem   {problem}"))
}
