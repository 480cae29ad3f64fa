//! `tapekey-kms init DIR`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Done, Machine, print_made};
use crate::kms::init::init;

/// What `init` is told.
#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Folder to make the KMS in; it must be empty or not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// A name or address under which hosts reach this KMS (repeatable); it goes into the server's certificate
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
}

pub(super) fn run(arguments: &InitArguments, machine: &Machine, out: &mut dyn Write) -> Done {
    let made = init(&arguments.folder, &arguments.hosts, &*machine.clock, &*machine.entropy)?;
    let folder = arguments.folder.display();
    print_made(&made, out)?;
    writeln!(out, "\nWhat to do next:")?;
    writeln!(
        out,
        "  1. Move {folder}/root-ca/key.pem off-line: only new issuing CAs need it."
    )?;
    writeln!(
        out,
        "  2. Keep a copy of the host master key apart from copies of the store: together they are all keys."
    )?;
    writeln!(
        out,
        "  3. Give each bundle under {folder}/clients to its holder, by a way that nobody else can read."
    )?;
    writeln!(out, "  4. Start the service: tapekey-kms serve {folder}")?;
    out.flush()?;
    Ok(())
}
