//! `tapekey-kms reseal DIR --master-key …`: another host master key. Works beside a running service.
//!
//! The configuration first names both keys, then the store is sealed under the new one in one transaction, then the configuration names the new
//! one alone. Whoever opens the store in between takes the key that the store names, so a kill at any moment harms nothing.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::master_key::{MasterKeyArguments, given};
use super::{Done, Machine};
use crate::kms::audit::Actor;
use crate::kms::config::KmsConfig;
use crate::kms::master_key::{MasterKeySource, of_kms_or_former, provide};
use crate::kms::model::ServiceError;
use crate::kms::service::Kms;
use crate::kms::store::{StoreFile, StorePlace};

/// What `reseal` is told.
#[derive(Debug, Args)]
pub(super) struct ResealArguments {
    /// The KMS's folder; its service may be running
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Where the new host master key comes from; a FILE that is not there is made
    #[arg(long, value_name = "FILE|passphrase|credential:NAME")]
    master_key: MasterKeySource,
    #[command(flatten)]
    given: MasterKeyArguments,
    /// Read the new passphrase from this file descriptor instead of the terminal
    #[arg(long, value_name = "N")]
    new_passphrase_fd: Option<u32>,
    /// Accept a new passphrase that is weaker than the proposal
    #[arg(long)]
    weak: bool,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &ResealArguments, machine: Machine, out: &mut dyn Write) -> Done {
    let folder = &arguments.folder;
    let written = KmsConfig::as_written(folder)?;
    let config = written.clone().below(folder);
    let (old, is_former) = of_kms_or_former(&config, &arguments.given.given())?;
    // A wrong passphrase shows here, before a new one is asked for.
    let file = StoreFile::open_beside(&config.store, &old)?;
    let source = arguments.master_key.clone().below(&std::env::current_dir()?);
    let new_given = given(arguments.new_passphrase_fd);
    let new = provide(&source, (&new_given, arguments.weak), &*machine.entropy)?;
    let source = relative_to(source, folder)?;
    let (old_id, new_id) = (old.id(), new.id());
    let mut resealed = Resealed {
        changed: false,
        host_master_key: new_id.to_string(),
        before: old_id.to_string(),
        master_key: source.to_string(),
        shared: matches!(config.store, StorePlace::Postgresql(_)),
        former_master_key: None,
    };
    if old_id == new_id {
        // An earlier try got as far as the store.
        KmsConfig::name_master_key(folder, &source, None)?;
        return print(&resealed, &source, arguments.json, out);
    }
    let former = if is_former {
        written.former_master_key
    } else {
        Some(written.master_key)
    };
    let former = former.filter(|former| *former != source);
    KmsConfig::name_master_key(folder, &source, former.as_ref())?;
    let kms = Kms::start(file, machine.clock, machine.entropy)?;
    match kms.reseal(&Actor::local(), new).await {
        Ok(()) => {}
        Err(ServiceError::Refused(refusal)) => {
            KmsConfig::name_master_key(folder, former.as_ref().unwrap_or(&source), None)?;
            return Err(format!("{refusal}\nhint: {}", refusal.hint()).into());
        }
        // Whether it came too late is not known: the file goes on naming both.
        Err(error) => return Err(error.into()),
    }
    KmsConfig::name_master_key(folder, &source, None)?;
    resealed.changed = true;
    resealed.former_master_key = former.as_ref().map(ToString::to_string);
    print(&resealed, &source, arguments.json, out)
}

/// What was done.
#[derive(Debug, Serialize)]
struct Resealed {
    /// False if the store was under that key already.
    changed: bool,
    /// Id of the key that the store is sealed under.
    host_master_key: String,
    /// Id of the one that it was under before this run.
    before: String,
    /// Where the key comes from, as `kms.toml` says it now.
    master_key: String,
    /// Whether the store has nodes beside this one, or may have: each of them needs the new key.
    shared: bool,
    /// Where the one before came from, which snapshots made until now open with.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_master_key: Option<String>,
}

fn print(resealed: &Resealed, source: &MasterKeySource, json: bool, out: &mut dyn Write) -> Done {
    let Resealed {
        changed,
        host_master_key,
        before,
        master_key,
        shared,
        former_master_key,
    } = resealed;
    if json {
        serde_json::to_writer_pretty(&mut *out, resealed)?;
        writeln!(out)?;
        return Ok(out.flush()?);
    }
    if !changed {
        writeln!(
            out,
            "the store is sealed under host master key {host_master_key} already, and kms.toml names it alone"
        )?;
        return Ok(out.flush()?);
    }
    writeln!(out, "sealed    under host master key {host_master_key}")?;
    writeln!(out, "before    under {before}")?;
    writeln!(out, "kms.toml  master_key = {master_key}")?;
    writeln!(out, "What to do next:")?;
    writeln!(out, "  1. {}", keep(source))?;
    let file = former_master_key
        .as_ref()
        .map_or_else(String::new, |former| format!(" ({former})"));
    writeln!(
        out,
        "  2. Take a snapshot: those made until now open under the former key alone. The store needs it no more{file}; it can go when they go."
    )?;
    writeln!(
        out,
        "  3. A running service goes on. Restart it before the next tapekey kms seal rotate."
    )?;
    if *shared {
        writeln!(
            out,
            "  4. Bring the new host master key to every other node of this PostgreSQL, name it in kms.toml there, and restart that node too, before\n     the next seal rotate: from then on a node with the former key serves nothing."
        )?;
    }
    Ok(out.flush()?)
}

/// As `kms.toml` spells it: a file in the KMS's folder by its name there, so that the folder can be moved.
fn relative_to(source: MasterKeySource, folder: &Path) -> std::io::Result<MasterKeySource> {
    let MasterKeySource::File(path) = source else {
        return Ok(source);
    };
    let (path, folder) = (std::path::absolute(path)?, std::path::absolute(folder)?);
    let path = path.strip_prefix(&folder).map(Path::to_owned).unwrap_or(path);
    Ok(MasterKeySource::File(path))
}

fn keep(source: &MasterKeySource) -> &'static str {
    match source {
        MasterKeySource::Passphrase => "Keep the passphrase: without it the store and its snapshots cannot be opened.",
        MasterKeySource::File(_) | MasterKeySource::Credential(_) => {
            "Keep a copy of the new host master key apart from copies of the store: together they are all keys."
        }
    }
}
