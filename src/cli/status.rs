//! `tapekey status`: what the drives do now.

use clap::Args;

use super::daemon::{DaemonAt, unexpected};
use super::output::{Exit, Failure, Output};
use super::show;
use crate::control::messages::report::{DriveStatus, Reading};
use crate::control::messages::{Answer, Command};

/// Show what the drives do now, as just read from them
///
/// A drive in which a job left a key is not asked, since a program may be writing on it: a unit attention that our command met would not be
/// reported to that program again, and after a reset it would go on writing, plain. It shows as "not asked"; --look asks it all the same.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only this drive
    drive: Option<String>,
    /// Ask also drives that hold a key: only while no program writes on them
    #[arg(long)]
    look: bool,
}

pub(super) fn run(arguments: StatusArgs, daemon: &DaemonAt, output: &mut Output<'_>) -> Result<(), Failure> {
    let report = match daemon.ask(Command::Status {
        drive: arguments.drive,
        look: arguments.look,
    })? {
        Answer::Status(report) => report,
        other => return Err(unexpected(&other)),
    };
    output.answer(&report, show::status)?;
    let bad: Vec<&str> = report
        .drives
        .iter()
        .filter(|drive| needs_a_look(drive))
        .map(|drive| drive.name.as_str())
        .collect();
    let mut what = Vec::new();
    if !bad.is_empty() {
        what.push(format!(
            "look at drive {}: an alarm, or its state is unknown",
            bad.join(", ")
        ));
    }
    if !report.kms_alarms.is_empty() {
        what.push("look at the KMS: an alarm".to_owned());
    }
    if what.is_empty() {
        return Ok(());
    }
    let text = format!("{}\nhint: the lines above say what to do", what.join("; "));
    Err(Failure::new(Exit::Failed, text))
}

fn needs_a_look(drive: &DriveStatus) -> bool {
    let unread = drive.job.is_none() && matches!(drive.modes, Reading::Unknown(_));
    unread || !drive.alarms.is_empty() || drive.command.as_ref().is_some_and(|command| command.overdue)
}
