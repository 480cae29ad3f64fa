//! The command line `tapekey`: flags once, one file per subcommand.
//!
//! It speaks to the daemon over the control socket and to the KMS as any other client does; it never touches a drive itself.

mod clear;
pub mod config;
mod daemon;
mod doctor;
mod drive;
mod job;
pub mod kms;
mod library;
mod load;
pub mod output;
mod run;
mod scan;
mod show;
mod status;
pub mod tapekeyd;
mod unlock;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use self::daemon::DaemonAt;
use self::output::{Exit, Failure, Output};
use crate::clock::Clock;
use crate::config::DEFAULT_SOCKET;
use crate::entropy::Entropy;

const EXIT_CODES: &str = "\
Exit codes:
  0  done as asked
  1  refused or failed; the error says why and what to do
     (status: a drive has an alarm, or what it does could not be read;
      library show: a library does not answer;
      doctor: something will not work, or could not be found out;
      kms status: keys are in no snapshot)
  2  the command line, or a file named on it, is wrong
  3  the daemon or the KMS did not answer
  4  the drive is busy with another job
tapekey run ends with the code of its program, or one of its own: tapekey run --help";

/// Puts the right key into a tape drive, takes it out again, and says what is in it
#[derive(Debug, Parser)]
#[command(name = "tapekey", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Arguments {
    /// Control socket of tapekeyd
    #[arg(long, global = true, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Load(load::LoadArgs),
    Unlock(unlock::UnlockArgs),
    Clear(clear::ClearArgs),
    Run(run::RunArgs),
    Status(status::StatusArgs),
    Doctor(doctor::DoctorArgs),
    #[command(subcommand)]
    Drive(drive::DriveVerb),
    #[command(subcommand)]
    Library(library::LibraryVerb),
    #[command(subcommand)]
    Job(job::JobVerb),
    #[command(subcommand)]
    Config(config::ConfigVerb),
    Kms(kms::KmsArgs),
}

/// Does what `arguments` ask for, prints to `out` and `err`, and says what to exit with.
pub async fn run(
    arguments: Arguments,
    clock: Arc<dyn Clock>,
    entropy: &dyn Entropy,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let Arguments { socket, json, verb } = arguments;
    let mut output = Output::new(json, out, err);
    let daemon = DaemonAt(socket);
    let done = match verb {
        Verb::Load(arguments) => load::run(arguments, &daemon, &mut output),
        Verb::Unlock(arguments) => unlock::run(arguments, &daemon, &mut output).await,
        Verb::Clear(arguments) => clear::run(arguments, &daemon, &mut output),
        Verb::Run(arguments) => return run::run(arguments, &daemon, &mut output).await,
        Verb::Doctor(arguments) => doctor::run(arguments, &daemon, &clock, &mut output).await,
        Verb::Status(arguments) => status::run(arguments, &daemon, &mut output),
        Verb::Drive(verb) => drive::run(&verb, &daemon, &mut output),
        Verb::Library(verb) => library::run(verb, &daemon, &mut output),
        Verb::Job(verb) => job::run(verb, &daemon, &mut output),
        Verb::Config(verb) => config::run(verb, &clock, &mut output),
        Verb::Kms(mut arguments) => {
            arguments.socket = daemon.0;
            kms::run(arguments, &clock, entropy, &mut output).await
        }
    };
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    }
}

/// The failure that a job which did not do what was asked stands for.
fn job_failure(job: &crate::control::messages::job::JobRecord) -> Result<(), Failure> {
    use crate::control::messages::job::Level;
    if job.outcome.is_success() {
        return Ok(());
    }
    let said = job.messages.iter().filter(|message| message.level != Level::Note);
    let lines = said.map(|message| match &message.hint {
        Some(hint) => format!("{}\nhint: {hint}", output::printable(&message.text)),
        None => output::printable(&message.text),
    });
    let reasons = lines.collect::<Vec<_>>().join("\n");
    Err(Failure::new(
        Exit::Failed,
        format_args!("{} on {}: {}: {reasons}", job.kind, job.drive.name, job.outcome),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent_and_help_names_every_exit_code() {
        let mut command = Arguments::command();
        command.clone().debug_assert();
        let help = command.render_long_help().to_string();
        for exit in [Exit::Done, Exit::Failed, Exit::Usage, Exit::Unreachable, Exit::Busy] {
            assert!(help.contains(&format!("\n  {}  ", exit.code())), "{exit:?}: {help}");
        }
    }

    #[test]
    fn socket_and_json_may_stand_before_or_behind_the_verb() {
        for line in [
            "tapekey --json --socket /s load d1 --pool ENCR_a",
            "tapekey load d1 --pool ENCR_a --json --socket /s",
        ] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert!(arguments.json && arguments.socket.as_os_str() == "/s", "{line}");
        }
        for wrong in [
            "tapekey",
            "tapekey load",
            "tapekey job list --limit 0",
            "tapekey job show x",
            "tapekey format d1",
        ] {
            assert!(Arguments::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
    }
}
