//! `tapekey-kms kit DIR FILE`: the off-line recovery kit. Works beside a running service.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::master_key::given;
use super::{Done, Machine};
use crate::clock::to_text;
use crate::kms::audit::Actor;
use crate::kms::config::KmsConfig;
use crate::kms::kit::make::{CreateKit, MadeKit};
use crate::kms::master_key;
use crate::kms::service::Kms;
use crate::kms::store::StoreFile;
use crate::terminal::passphrase::{Source, ask_new};

/// What `kit` is told.
#[derive(Debug, Args)]
pub(super) struct KitArguments {
    /// The KMS's folder; its service may be running
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The file to make, on another disk than the store's; a text to keep and to print
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Read the kit's passphrase from this file descriptor instead of the terminal
    #[arg(long, value_name = "N")]
    passphrase_fd: Option<u32>,
    /// Accept a passphrase that is weaker than the proposal; audited
    #[arg(long)]
    weak: bool,
    /// Accept that FILE lies on the store's file system: it then counts for no key; audited
    #[arg(long)]
    same_filesystem: bool,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &KitArguments, machine: Machine, out: &mut dyn Write) -> Done {
    let config = KmsConfig::read(&arguments.folder)?;
    let master = master_key::of_kms(&config, &given(None))?;
    let file = StoreFile::open_beside(&config.store, &master)?;
    drop(master);
    let path = std::path::absolute(&arguments.file)?;
    let path = path
        .to_str()
        .ok_or("the path of the kit is not UTF-8\nhint: choose another name")?;
    let wanted = CreateKit {
        path: path.to_owned(),
        same_filesystem: arguments.same_filesystem,
    };
    let from = Source::descriptor_or_terminal(arguments.passphrase_fd);
    let passphrase = ask_new(from, arguments.weak, &*machine.entropy)?;
    let entropy = machine.entropy.clone();
    let kms = Kms::start(file, machine.clock, machine.entropy)?;
    // It waits for the store's thread, which a task must not.
    let made = tokio::task::spawn_blocking(move || kms.create_kit(&Actor::local(), &wanted, &passphrase, &*entropy));
    let made = made.await??;
    if arguments.json {
        serde_json::to_writer_pretty(&mut *out, &made)?;
        writeln!(out)?;
    } else {
        print(&made, out)?;
    }
    out.flush()?;
    Ok(())
}

fn print(made: &MadeKit, out: &mut dyn Write) -> std::io::Result<()> {
    let record = &made.record;
    let (pages, lines) = (made.extent.pages, made.extent.lines);
    writeln!(out, "kit       {} (mark {})", record.id, made.mark)?;
    writeln!(out, "made      {}", to_text(record.made))?;
    writeln!(out, "path      {}", record.path)?;
    writeln!(out, "holds     {} groups, {} keys", record.groups, record.keys)?;
    writeln!(out, "on paper  {pages} pages, {lines} lines of the kit among them")?;
    writeln!(out, "audit     {}", record.audit_head)?;
    writeln!(out, "sha256    {}", record.sha256)?;
    if !record.counts {
        writeln!(out, "It lies on the store's file system and counts for no key.")?;
    }
    writeln!(
        out,
        "It was read back and opened. Print it (a page has at most 62 lines of 80 characters), and keep it apart from its passphrase."
    )
}
