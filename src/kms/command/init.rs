//! `tapekey-kms init DIR`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::master_key::MasterKeyArguments;
use super::postgresql::PostgresqlArguments;
use super::{Done, Machine, print_made};
use crate::kms::init::{Made, STORE, init_at, init_under};
use crate::kms::master_key::{MasterKeySource, provide};
use crate::kms::store::StorePlace;

/// What `init` is told.
#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Folder to make the KMS in; it must be empty or not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// A name or address under which hosts reach this KMS (repeatable); it goes into the server's certificate
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Where the host master key comes from; without it from a new file in the folder. A FILE that is not there is made
    #[arg(long, value_name = "FILE|passphrase|credential:NAME")]
    master_key: Option<MasterKeySource>,
    #[command(flatten)]
    given: MasterKeyArguments,
    /// Accept a passphrase that is weaker than the proposal
    #[arg(long)]
    weak: bool,
    #[command(flatten)]
    postgresql: PostgresqlArguments,
}

pub(super) fn run(arguments: &InitArguments, machine: &Machine, out: &mut dyn Write) -> Done {
    let store = arguments.postgresql.place(&*machine.entropy)?;
    let store = store.unwrap_or(StorePlace::Folder(STORE.into()));
    let shared = match &store {
        StorePlace::Folder(_) => None,
        StorePlace::Postgresql(place) => Some(place.to_string()),
    };
    let made = make(store, arguments, machine)?;
    let folder = arguments.folder.display();
    print_made(&made, out)?;
    if let Some(place) = &shared {
        writeln!(out, "\nThe store is in {place}.")?;
    }
    writeln!(out, "\nWhat to do next:")?;
    writeln!(
        out,
        "  1. Move {folder}/root-ca/key.pem off-line: only new issuing CAs need it."
    )?;
    writeln!(out, "  2. {}", keep(arguments.master_key.as_ref()))?;
    writeln!(
        out,
        "  3. Give each bundle under {folder}/clients to its holder, by a way that nobody else can read."
    )?;
    writeln!(out, "  4. Start the service: tapekey-kms serve {folder}")?;
    if shared.is_some() {
        writeln!(
            out,
            "  5. Make further nodes on other hosts, each with a copy of the host master key: tapekey-kms node join"
        )?;
    }
    out.flush()?;
    Ok(())
}

fn make(
    store: StorePlace,
    arguments: &InitArguments,
    machine: &Machine,
) -> Result<Vec<Made>, Box<dyn std::error::Error>> {
    let (clock, entropy) = (&*machine.clock, &*machine.entropy);
    let Some(source) = &arguments.master_key else {
        return Ok(init_at(store, &arguments.folder, &arguments.hosts, (clock, entropy))?);
    };
    let source = source.clone().below(&std::env::current_dir()?);
    let master = provide(&source, (&arguments.given.given(), arguments.weak), entropy)?;
    let file = match &source {
        MasterKeySource::File(path) => Some(path.as_path()),
        MasterKeySource::Passphrase | MasterKeySource::Credential(_) => None,
    };
    let (folder, hosts) = (&arguments.folder, &arguments.hosts);
    Ok(init_under(store, (&master, file), folder, hosts, (clock, entropy))?)
}

fn keep(source: Option<&MasterKeySource>) -> &'static str {
    match source {
        Some(MasterKeySource::Passphrase) => {
            "Keep the passphrase of the host master key: without it the store and its snapshots cannot be opened."
        }
        _ => "Keep a copy of the host master key apart from copies of the store: together they are all keys.",
    }
}
