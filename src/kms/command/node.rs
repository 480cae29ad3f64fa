//! `tapekey-kms node join DIR --postgresql HOST --master-key FILE`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::master_key::MasterKeyArguments;
use super::postgresql::PostgresqlArguments;
use super::{Done, Machine, print_made};
use crate::kms::join::join;
use crate::kms::master_key::{MasterKeySource, of_source};
use crate::kms::store::sealed_under;

/// Verbs for the nodes of a KMS that share one store.
#[derive(Debug, Subcommand)]
pub(super) enum NodeVerb {
    /// Make one more node in an empty folder, on a PostgreSQL server that has a store
    Join(JoinArguments),
}

/// What `join` is told.
#[derive(Debug, Args)]
pub(super) struct JoinArguments {
    /// Folder to make the node in; it must be empty or not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The host master key that the store is sealed under
    #[arg(long, value_name = "FILE|passphrase|credential:NAME")]
    master_key: MasterKeySource,
    #[command(flatten)]
    given: MasterKeyArguments,
    /// A name or address under which hosts reach this node (repeatable); it goes into the server's certificate
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    #[command(flatten)]
    postgresql: PostgresqlArguments,
}

pub(super) fn run(NodeVerb::Join(arguments): &NodeVerb, machine: &Machine, out: &mut dyn Write) -> Done {
    let store = arguments.postgresql.place(&*machine.entropy)?;
    let store = store.ok_or("node join needs the server that has the store\nhint: name it with --postgresql HOST")?;
    let master = of_source(&arguments.master_key, &arguments.given.given(), || sealed_under(&store))?;
    let made = join(store, &master, &arguments.folder, &arguments.hosts, &*machine.clock)?;
    print_made(&made, out)?;
    let folder = arguments.folder.display();
    writeln!(out, "\nWhat to do next:")?;
    writeln!(out, "  1. Set `listen` in {folder}/kms.toml if hosts are to reach it.")?;
    writeln!(out, "  2. Start the service: tapekey-kms serve {folder}")?;
    writeln!(
        out,
        "  3. Add its address to `addresses` in the client.toml of every client."
    )?;
    out.flush()?;
    Ok(())
}
