//! `tapekey-kms snapshot DIR FILE` and `tapekey-kms restore SNAPSHOT DIR`. A snapshot works beside a running service.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::master_key::MasterKeyArguments;
use super::{Done, Machine, print_made, progress};
use crate::clock::to_text;
use crate::kms::audit::Actor;
use crate::kms::config::KmsConfig;
use crate::kms::master_key::{self, MasterKeySource};
use crate::kms::service::Kms;
use crate::kms::snapshot::restore::{RestoreWith, restore};
use crate::kms::store::{StoreFile, copy_sealed_under};
use crate::kms_api::CreateSnapshot;

/// What `snapshot` is told.
#[derive(Debug, Args)]
pub(super) struct SnapshotArguments {
    /// The KMS's folder; its service may be running
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The file to make, on another disk than the store's
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Accept that FILE lies on the store's file system: it then counts for no key; audited
    #[arg(long)]
    same_filesystem: bool,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    given: MasterKeyArguments,
}

/// What `restore` is told.
#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// The snapshot
    #[arg(value_name = "SNAPSHOT")]
    snapshot: PathBuf,
    /// Folder to make the KMS in; it must be empty or not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The host master key that the store is sealed under
    #[arg(long, value_name = "FILE|passphrase|credential:NAME")]
    master_key: MasterKeySource,
    #[command(flatten)]
    given: MasterKeyArguments,
    /// A name or address under which hosts reach this KMS (repeatable); it goes into the new server certificate
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
}

pub(super) async fn snapshot(arguments: &SnapshotArguments, machine: Machine, out: &mut dyn Write) -> Done {
    let config = KmsConfig::read(&arguments.folder)?;
    let master = master_key::of_kms(&config, &arguments.given.given())?;
    let file = StoreFile::open_beside(&config.store, &master)?;
    drop(master);
    let kms = Arc::new(Kms::start(file, machine.clock, machine.entropy)?);
    let path = std::path::absolute(&arguments.file)?;
    let path = path
        .to_str()
        .ok_or("the path of the snapshot is not UTF-8\nhint: choose another name")?;
    let wanted = CreateSnapshot {
        path: path.to_owned(),
        same_filesystem: arguments.same_filesystem,
    };
    let made = kms.create_snapshot(&Actor::local(), wanted).await?;
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &made)?;
        writeln!(out)?;
    } else {
        writeln!(out, "snapshot  {}", made.id)?;
        writeln!(out, "made      {}", to_text(made.made))?;
        writeln!(out, "path      {}", made.path)?;
        writeln!(out, "holds     {} groups, {} keys", made.groups, made.keys)?;
        writeln!(out, "audit     {}", made.audit_head)?;
        writeln!(out, "sha256    {}", made.sha256)?;
        if !made.counts {
            writeln!(out, "It lies on the store's file system and counts for no key.")?;
        }
    }
    out.flush()?;
    Ok(())
}

pub(super) fn run_restore(
    arguments: &RestoreArguments,
    machine: &Machine,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Done {
    let master = master_key::of_source(&arguments.master_key, &arguments.given.given(), || {
        copy_sealed_under(&arguments.snapshot)
    })?;
    let with = RestoreWith {
        master: &master,
        hosts: &arguments.hosts,
        clock: &*machine.clock,
        entropy: &*machine.entropy,
        progress: &mut progress(err),
    };
    let folder: &Path = &arguments.folder;
    let (manifest, made) = restore(&arguments.snapshot, folder, with)?;
    print_made(&made, out)?;
    let made_at = to_text(manifest.made);
    let folder = folder.display();
    writeln!(
        out,
        "\nRestored {} groups and {} keys as of {made_at}; every record was opened.",
        manifest.groups, manifest.keys
    )?;
    writeln!(out, "What to do next:")?;
    writeln!(out, "  1. Set `listen` in {folder}/kms.toml if hosts are to reach it.")?;
    writeln!(out, "  2. Start the service: tapekey-kms serve {folder}")?;
    writeln!(
        out,
        "  3. Take a snapshot on another disk: those of the old store count no longer."
    )?;
    writeln!(
        out,
        "  4. Activate a key in each group that has none: prelive keys became inactive, since they may have been used after the snapshot."
    )?;
    writeln!(
        out,
        "  5. Revoke again what was revoked after the snapshot, and take groups away again: those changes are undone. tapekey kms certificate list"
    )?;
    out.flush()?;
    Ok(())
}
