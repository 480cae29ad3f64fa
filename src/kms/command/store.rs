//! `tapekey-kms store copy DIR TO`: the store of a KMS moved to another place, from SQLite to PostgreSQL and back.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::master_key::MasterKeyArguments;
use super::postgresql::PostgresqlArguments;
use super::{Done, Machine, progress};
use crate::kms::config::KmsConfig;
use crate::kms::master_key;
use crate::kms::store::StorePlace;
use crate::kms::store::check::CheckWith;
use crate::kms::store::transfer::copy_store;

/// What can be done with a store as a whole.
#[derive(Debug, Subcommand)]
pub(super) enum StoreVerb {
    /// Copy the store into a new SQLite file or an empty PostgreSQL database, and look at every record of the copy
    Copy(CopyArguments),
}

/// What `store copy` is told.
#[derive(Debug, Args)]
pub(super) struct CopyArguments {
    /// The KMS whose store is to be copied; its service must be stopped, and those of other nodes with it
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Folder to make the new SQLite store in; it must be empty or not exist
    #[arg(value_name = "TO", required_unless_present = "host", conflicts_with = "host")]
    to: Option<PathBuf>,
    #[command(flatten)]
    given: MasterKeyArguments,
    #[command(flatten)]
    postgresql: PostgresqlArguments,
}

#[derive(Serialize)]
struct Setting {
    store: StorePlace,
}

pub(super) fn run(verb: &StoreVerb, machine: &Machine, out: &mut dyn Write, err: &mut dyn Write) -> Done {
    let StoreVerb::Copy(arguments) = verb;
    let config = KmsConfig::read(&arguments.folder)?;
    let master = master_key::of_kms(&config, &arguments.given.given())?;
    let to = match (arguments.postgresql.place(&*machine.entropy)?, &arguments.to) {
        (Some(place), _) => place,
        (None, Some(folder)) => StorePlace::Folder(std::path::absolute(folder)?),
        (None, None) => {
            return Err("there is nowhere to copy to\nhint: name a folder, or a server with --postgresql".into());
        }
    };
    let with = CheckWith {
        master: &master,
        entropy: &*machine.entropy,
        now: machine.clock.now(),
        progress: &mut progress(err),
        manifest: None,
    };
    let seen = copy_store(&config.store, &to, with)?;
    let facts = &seen.facts;
    writeln!(
        out,
        "Copied {} groups, {} keys and {} audit records; every record of the copy was opened.",
        facts.groups, facts.keys, seen.audit_records
    )?;
    writeln!(out, "What to do next:")?;
    let folder = arguments.folder.display();
    writeln!(
        out,
        "  1. In {folder}/kms.toml, put this in place of `store`, a table at the end of the file:\n"
    )?;
    let node = to.continuing(facts.store);
    for line in toml::to_string(&Setting { store: node })?.lines() {
        writeln!(out, "       {line}")?;
    }
    writeln!(out, "\n  2. Start the service: tapekey-kms serve {folder}")?;
    writeln!(
        out,
        "  3. Take a snapshot: those made before may lie on the disk on which the store is now."
    )?;
    writeln!(
        out,
        "  4. Remove the old store, {}, once the new one has served.",
        config.store
    )?;
    out.flush()?;
    Ok(())
}
