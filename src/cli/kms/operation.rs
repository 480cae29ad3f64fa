//! `tapekey kms snapshot|status|quiesce|unquiesce`: the KMS as a whole.

use clap::Subcommand;

use super::failure;
use crate::cli::output::{Exit, Failure, Output, Table};
use crate::clock::to_text;
use crate::kms_api::{CreateSnapshot, ServiceStatus, SnapshotRecord};
use crate::kms_client::KmsClient;

/// Verbs for snapshots.
#[derive(Debug, Subcommand)]
pub(super) enum SnapshotVerb {
    /// Make a snapshot of the store, in a file on the KMS's host, while it serves
    Create {
        /// The file to make: an absolute path on the KMS's host, on another disk than the store's
        #[arg(value_name = "FILE")]
        path: String,
        /// Accept that FILE lies on the store's file system: it then counts for no key; audited
        #[arg(long)]
        same_filesystem: bool,
    },
    /// List the newest snapshots and recovery kits
    List,
}

/// Snapshots.
pub(super) async fn on_snapshots(
    client: &KmsClient,
    verb: SnapshotVerb,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match verb {
        SnapshotVerb::Create { path, same_filesystem } => {
            let wanted = CreateSnapshot { path, same_filesystem };
            let made = client.create_snapshot(&wanted).await.map_err(failure)?;
            output.answer(&made, |made| snapshot_table(std::slice::from_ref(made)))
        }
        SnapshotVerb::List => {
            let snapshots = client.snapshots().await.map_err(failure)?;
            output.answer(&snapshots, |snapshots| snapshot_table(snapshots))
        }
    }
}

/// The status, with exit code 1 if a key is on one disk only.
pub(super) async fn on_status(client: &KmsClient, output: &mut Output<'_>) -> Result<(), Failure> {
    let status = client.status().await.map_err(failure)?;
    output.answer(&status, describe)?;
    match status.keys_in_no_snapshot {
        0 => Ok(()),
        keys => Err(Failure::new(
            Exit::Failed,
            format_args!(
                "{keys} of {} keys are in no snapshot on another file system and are lost if the store's disk dies\nhint: tapekey kms snapshot create /ON/ANOTHER/DISK/FILE",
                status.keys
            ),
        )),
    }
}

/// One quiesce more, or one less.
pub(super) async fn on_quiesce(client: &KmsClient, more: bool, output: &mut Output<'_>) -> Result<(), Failure> {
    let status = if more {
        client.quiesce().await
    } else {
        client.unquiesce().await
    };
    output.answer(&status.map_err(failure)?, describe)
}

fn describe(status: &ServiceStatus) -> String {
    let mut table = Table::without_headings();
    table.row(["store", &status.store]);
    table.row(["keys", &status.keys.to_string()]);
    let mut uncovered = status.keys_in_no_snapshot.to_string();
    if !status.examples.is_empty() {
        uncovered = format!("{uncovered}: {}", status.examples.join(" "));
    }
    table.row(["in no snapshot", &uncovered]);
    let last = match &status.last_snapshot {
        Some(last) => format!("{} {}", to_text(last.made), last.path),
        None => "none on another file system".to_owned(),
    };
    table.row(["last snapshot", &last]);
    let changes = match status.quiesces {
        0 => "allowed".to_owned(),
        count => format!("refused, {count} outstanding quiesces"),
    };
    table.row(["changes", &changes]);
    for quiesce in &status.quiesced_by {
        table.row([
            "quiesced",
            &format!("{} by {}", to_text(quiesce.since), quiesce.subject),
        ]);
    }
    table.to_string()
}

fn snapshot_table(snapshots: &[SnapshotRecord]) -> String {
    let mut table = Table::new(&["made", "form", "id", "groups", "keys", "counts", "path"]);
    for snapshot in snapshots {
        table.row([
            to_text(snapshot.made),
            snapshot.form.name().to_owned(),
            snapshot.id.clone(),
            snapshot.groups.to_string(),
            snapshot.keys.to_string(),
            if snapshot.counts { "yes" } else { "no" }.to_owned(),
            snapshot.path.clone(),
        ]);
    }
    table.to_string()
}
