//! `tapekey-kms init DIR`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Done, Machine};
use crate::kms::init::{Made, init};

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
    print_table(&made, out)?;
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

fn print_table(made: &[Made], out: &mut dyn Write) -> std::io::Result<()> {
    let shown: Vec<_> = made
        .iter()
        .map(|one| (one.path.display().to_string(), &one.what))
        .collect();
    let width = shown.iter().map(|(path, _)| path.chars().count()).max().unwrap_or(0);
    shown
        .iter()
        .try_for_each(|(path, what)| writeln!(out, "{path:width$}  {what}"))
}
