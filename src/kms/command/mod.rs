//! The program `tapekey-kms`: its verbs, and what they print. All of them work on the local folder, none through the web service.

mod audit;
mod certificate;
mod init;
mod kit;
mod master_key;
mod node;
mod postgresql;
mod recover;
mod reseal;
mod serve;
mod snapshot;
mod store;
mod verify;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::kms::init::Made;
use crate::secret::keep_in_this_process;

/// The key management service of tapekey.
#[derive(Debug, Parser)]
#[command(name = "tapekey-kms", version, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a KMS in an empty folder: CAs, certificates, host master key, store
    Init(init::InitArguments),
    /// Serve keys over HTTPS until SIGTERM or SIGINT
    ///
    /// It logs to standard error. The environment variable TAPEKEY_LOG chooses what, as in TAPEKEY_LOG=debug.
    Serve(serve::ServeArguments),
    /// Write a consistent copy of the store into a file on another disk, while the service runs
    Snapshot(snapshot::SnapshotArguments),
    /// Make a KMS in an empty folder from a snapshot and the host master key
    Restore(snapshot::RestoreArguments),
    /// Write all keys, sealed under a passphrase of its own, into one text to print: the off-line recovery kit
    Kit(kit::KitArguments),
    /// Give a drive the key of one volume, from a kit or a passphrase, without a KMS
    Recover(recover::RecoverArguments),
    /// Seal the store under another host master key, also while the service runs
    Reseal(reseal::ResealArguments),
    /// Check that every record of a KMS or a snapshot opens and that everything fits
    Verify(verify::VerifyArguments),
    /// Certificates of clients
    #[command(subcommand)]
    Certificate(certificate::CertificateVerb),
    /// Nodes of a KMS that share one store
    #[command(subcommand)]
    Node(node::NodeVerb),
    /// The store as a whole
    #[command(subcommand)]
    Store(store::StoreVerb),
    /// The audit log of the local store
    #[command(subcommand)]
    Audit(audit::AuditVerb),
}

/// What the program has from the machine.
pub struct Machine {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// A verb's end: done, or an error that ends with a hint.
type Done = Result<(), Box<dyn std::error::Error>>;

/// Runs what the command line asks for: answers to `out`, errors to `err`. Exit codes: 0 done, 1 refused or failed, 2 usage (by clap).
pub async fn run(arguments: Arguments, machine: Machine, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    match carry_out(arguments.verb, machine, out, err).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without standard error there is nobody left to tell; the exit code remains.
            let _ = writeln!(err, "tapekey-kms: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(verb: Verb, machine: Machine, out: &mut dyn Write, err: &mut dyn Write) -> Done {
    // Every verb opens keys of the store, or makes them.
    keep_in_this_process()?;
    match verb {
        Verb::Init(arguments) => init::run(&arguments, &machine, out),
        Verb::Serve(arguments) => serve::run(&arguments, machine, out).await,
        Verb::Snapshot(arguments) => snapshot::snapshot(&arguments, machine, out).await,
        Verb::Restore(arguments) => snapshot::run_restore(&arguments, &machine, out, err),
        Verb::Kit(arguments) => kit::run(&arguments, machine, out).await,
        Verb::Recover(arguments) => recover::run(&arguments, machine, out, err).await,
        Verb::Reseal(arguments) => reseal::run(&arguments, machine, out).await,
        Verb::Verify(arguments) => verify::run(&arguments, &machine, out, err),
        Verb::Certificate(verb) => certificate::run(verb, &machine, out),
        Verb::Node(verb) => node::run(&verb, &machine, out),
        Verb::Store(verb) => store::run(&verb, &machine, out, err),
        Verb::Audit(verb) => audit::run(&verb, &machine, out, err),
    }
}

/// Says on `err` how far long work is.
fn progress(err: &mut dyn Write) -> impl FnMut(&str, u64, u64) {
    move |what, done, of| {
        // Nobody need listen.
        let _ = writeln!(err, "tapekey-kms: {done} of {of} {what}");
    }
}

/// A table of what was made in a folder.
fn print_made(made: &[Made], out: &mut dyn Write) -> std::io::Result<()> {
    let shown: Vec<_> = made
        .iter()
        .map(|one| (one.path.display().to_string(), &one.what))
        .collect();
    let width = shown.iter().map(|(path, _)| path.chars().count()).max().unwrap_or(0);
    shown
        .iter()
        .try_for_each(|(path, what)| writeln!(out, "{path:width$}  {what}"))
}
