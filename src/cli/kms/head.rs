//! `tapekey kms head`: what the daemon, or an administrator's bundle, remembers of the KMS's audit chains, and clearing an alarm about it.

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;

use super::passphrase::key_id;
use crate::cli::daemon::{DaemonAt, unexpected};
use crate::cli::output::{Exit, Failure, Output, Table, printable};
use crate::clock::{Clock, to_text};
use crate::control::messages::{Answer, Command};
use crate::kad::KeyId;
use crate::kms_client::heads::{HeadBook, HeadBookError, HeadReport};

/// Verbs for heads.
#[derive(Debug, Subcommand)]
pub(super) enum HeadVerb {
    /// Show the remembered heads; exit code 1 if one does not fit what the KMS shows now
    List {
        /// Those remembered in the client bundle instead of by this host's daemon
        #[arg(long)]
        own: bool,
    },
    /// Clear an alarm: the store was rolled back on purpose, as by a restore
    Accept {
        /// The node of the KMS, as the alarm names it
        #[arg(value_name = "NODE", value_parser = key_id)]
        node: KeyId,
        /// Why it is all right; kept with who said it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// The one remembered in the client bundle instead of by this host's daemon
        #[arg(long)]
        own: bool,
    },
}

/// The heads remembered in the client bundle at `folder`.
pub(super) fn of_bundle(folder: &Path, clock: &Arc<dyn Clock>) -> Arc<HeadBook> {
    Arc::new(HeadBook::open(&folder.join("heads.json"), clock.clone()))
}

/// Lists or accepts; `bundle` is the client bundle, where one is named.
pub(super) async fn run(
    verb: HeadVerb,
    bundle: Option<&Path>,
    daemon: &DaemonAt,
    clock: &Arc<dyn Clock>,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let own = match verb {
        HeadVerb::List { own } | HeadVerb::Accept { own, .. } => own,
    };
    let report = if own {
        let bundle = bundle.ok_or_else(super::no_bundle)?;
        in_bundle(verb, &of_bundle(bundle, clock)).await?
    } else {
        of_daemon(verb, daemon)?
    };
    output.answer(&report, describe)?;
    match report.alarms.len() {
        0 => Ok(()),
        alarms => Err(Failure::new(
            Exit::Failed,
            format_args!("alarms about the KMS's audit chains: {alarms}\nhint: the lines above say what to do"),
        )),
    }
}

fn of_daemon(verb: HeadVerb, daemon: &DaemonAt) -> Result<HeadReport, Failure> {
    let command = match verb {
        HeadVerb::List { .. } => Command::KmsHeads {},
        HeadVerb::Accept { node, reason, .. } => Command::AcceptKmsHead {
            node: node.to_string(),
            reason,
        },
    };
    match daemon.ask(command)? {
        Answer::KmsHeads(report) => Ok(report),
        other => Err(unexpected(&other)),
    }
}

async fn in_bundle(verb: HeadVerb, heads: &HeadBook) -> Result<HeadReport, Failure> {
    match verb {
        HeadVerb::List { .. } => Ok(heads.report()),
        HeadVerb::Accept { node, reason, .. } => {
            let by = format!("uid {}", nix::unistd::getuid());
            heads.accept(node, &by, &reason).await.map_err(failure)
        }
    }
}

fn failure(error: HeadBookError) -> Failure {
    let exit = match error {
        HeadBookError::NoAlarm { .. } | HeadBookError::Reason => Exit::Usage,
        HeadBookError::Unwritable { .. } => Exit::Failed,
    };
    Failure::new(exit, error)
}

fn describe(report: &HeadReport) -> String {
    let mut table = Table::new(&["node", "record", "seen", "at", "now"]);
    for known in &report.chains {
        let now = known.doubt.as_ref().map(|doubt| doubt.last.sequence.to_string());
        table.row([
            known.head.node.to_string(),
            known.head.sequence.to_string(),
            to_text(known.seen),
            known.address.clone(),
            now.map_or_else(
                || "as remembered, or further".to_owned(),
                |record| format!("DOES NOT FIT: {record}"),
            ),
        ]);
    }
    let mut text = table.to_string();
    for alarm in &report.alarms {
        let (what, hint) = (printable(&alarm.text), printable(&alarm.hint));
        text.push_str(&format!("ALARM {}: {what}\nhint: {hint}\n", to_text(alarm.at)));
    }
    for accepted in &report.accepted {
        let mut lines = Table::without_headings();
        let heads = format!("{} after {}", accepted.head, accepted.instead_of.sequence);
        lines.row([
            "accepted",
            &to_text(accepted.at),
            &accepted.by,
            &heads,
            &accepted.reason,
        ]);
        text.push_str(&lines.to_string());
    }
    text
}
