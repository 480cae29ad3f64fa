//! `tapekey unlock --scan`: which KADs stand where on a tape, with progress while the daemon walks over it, and an end whenever a person wants it.

use std::io::IsTerminal;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::daemon::{DaemonAt, client_failure, unexpected};
use super::output::{Exit, Failure, Output, printable};
use super::{job_failure, show};
use crate::control::client::ask;
use crate::control::messages::job::{JobKind, JobRecord, Outcome};
use crate::control::messages::{Answer, Command};

/// How long a scan may take: the daemon's own limit, and a rewind.
const SCAN_MAX: Duration = Duration::from_secs(26 * 3600);

/// How often its progress is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(drive: String, daemon: &DaemonAt, output: &mut Output<'_>) -> Result<(), Failure> {
    let no_signals = |error: std::io::Error| Failure::new(Exit::Failed, format_args!("catch signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut answer = tokio::task::spawn_blocking({
        let (socket, drive) = (daemon.0.clone(), drive.clone());
        move || ask(&socket, Command::Scan { drive }, SCAN_MAX)
    });
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shown = Shown::default();
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            _ = interrupt.recv() => cancel(&drive, daemon, output)?,
            _ = terminate.recv() => cancel(&drive, daemon, output)?,
            _ = looks.tick() => shown.look(&drive, daemon, output),
        }
    };
    shown.end(output);
    let answer = answer.map_err(|error| Failure::new(Exit::Failed, error))?;
    match answer.map_err(client_failure)? {
        Answer::Job(job) => {
            output.answer(&job, |job| show::job(job))?;
            job_failure(&job)
        }
        other => Err(unexpected(&other)),
    }
}

/// The scan that is running on `drive`.
fn running(drive: &str, daemon: &DaemonAt) -> Option<JobRecord> {
    let command = Command::JobList {
        drive: Some(drive.to_owned()),
        limit: 1,
    };
    let Ok(Answer::Jobs(jobs)) = daemon.ask(command) else {
        return None;
    };
    let mut jobs = jobs.into_iter();
    jobs.find(|job| job.kind == JobKind::Scan && job.outcome == Outcome::Running)
}

fn cancel(drive: &str, daemon: &DaemonAt, output: &mut Output<'_>) -> Result<(), Failure> {
    let Some(job) = running(drive, daemon) else {
        return Ok(());
    };
    daemon.ask(Command::JobCancel { job: job.id })?;
    output.progress(&format!("job {} ends when the tape is rewound", job.id));
    Ok(())
}

/// What a person has seen of the progress.
#[derive(Default)]
struct Shown(Option<String>);

impl Shown {
    /// Only a terminal is told: nobody reads it elsewhere.
    fn look(&mut self, drive: &str, daemon: &DaemonAt, output: &mut Output<'_>) {
        if output.is_json() || !std::io::stderr().is_terminal() {
            return;
        }
        let Some(job) = running(drive, daemon) else { return };
        let text = progress(&job);
        if self.0.as_ref() != Some(&text) {
            output.progress_in_place(&text);
            self.0 = Some(text);
        }
    }

    fn end(&self, output: &mut Output<'_>) {
        if self.0.is_some() {
            output.progress_in_place("");
        }
    }
}

fn progress(job: &JobRecord) -> String {
    let name = job.volume.barcode.as_ref().or(job.volume.serial.as_ref());
    let volume = name.map_or_else(|| "the volume".to_owned(), |name| printable(name));
    match &job.scan {
        None => format!("job {}: {volume} is rewound", job.id),
        Some(scan) => {
            let object = scan
                .object
                .map(|object| format!(", object {object}"))
                .unwrap_or_default();
            format!("job {}: {volume}: {} files{object}; Ctrl-C ends it", job.id, scan.files)
        }
    }
}
