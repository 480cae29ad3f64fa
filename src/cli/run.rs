//! `tapekey run`: the key goes in, a program runs, the key comes out with the proof.
//!
//! If the key cannot go in, the program is never started. Once it may be in, everything that ends here takes it out first: an end of the
//! program, a signal, a program that cannot be started. What is not known, such as after the daemon died, is said with what to type.

mod outcome;
mod program;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use nix::errno::Errno;
use nix::sys::signal::Signal;

use self::outcome::{
    CANNOT_START, END_UNKNOWN, KEY_MAY_REMAIN, NO_SUCH_PROGRAM, NOT_PROVEN, NOT_STARTED, Outcome, OutcomeFile, Problem,
};
use self::program::{End, Program, Signals, of_signal};
use super::daemon::{DaemonAt, JOB_MAX, client_failure};
use super::job_failure;
use super::output::{Exit, Failure, Output, printable};
use crate::clock::to_text;
use crate::config::DEFAULT_SOCKET;
use crate::control::client::{ClientError, ask};
use crate::control::messages::job::{JobKind, JobRecord, Outcome as JobOutcome};
use crate::control::messages::{Answer, Command, RefusalCode};

/// How long to wait before the daemon is asked again.
const PAUSE: Duration = Duration::from_secs(1);

const EXIT_CODES: &str = "\
Exit codes:
  The program's own, or 128 and the number of the signal that ended it. Where the program ended with 0:
    0  the key is out of the drive, and its statistics show every block on the volume encrypted
       (--restore and plain pools: the key is out of the drive)
  121  not every block on the volume is encrypted, or the proof could not be taken
  122  the key may still be in the drive; so too where the program was not started
  123  how the program ended is not known
  Where the program was not started:
  125  the key did not go in
  126  the program cannot be started; the key is out again
  127  there is no such program; the key is out again
  128 and the number of the signal that came before the key was in; the key is out again";

/// Run a program with the key of the volume in a drive, and take the key out again
///
/// The program has standard input, output and error for itself but for what tapekey says on standard error. Its environment has TAPEKEY_DRIVE, the
/// drive's name, and TAPEKEY_ST_NODE, the drive's tape node, such as /dev/nst0, if this host has one. SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2
/// are passed on to it, and the key comes out when it has ended. It must not eject the volume, or there is nothing left to take the proof from.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct RunArgs {
    /// The drive's name in the daemon's configuration
    #[arg(long, value_name = "NAME")]
    drive: String,
    /// The volume's pool; needed for a blank volume. With --restore, the pool that the volume must belong to
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// The barcode that the volume must have
    #[arg(long, value_name = "BARCODE", conflicts_with = "restore")]
    barcode: Option<String>,
    /// Load the key that the volume is encrypted under, as tapekey unlock does
    #[arg(long)]
    restore: bool,
    /// Write what came of it to this file as JSON; /dev/fd/N names a descriptor. Needed with --json
    #[arg(long, value_name = "FILE")]
    outcome: Option<PathBuf>,
    /// How long to try to take the key out while the daemon does not answer or the drive is in use
    #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    wait: u32,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) async fn run(arguments: RunArgs, daemon: &DaemonAt, output: &mut Output<'_>) -> Exit {
    let begun = prepare(&arguments, output);
    let (file, signals) = match begun {
        Ok(begun) => begun,
        Err(failure) => {
            output.failure(&failure);
            return failure.exit;
        }
    };
    let mut running = Running {
        daemon,
        output,
        signals,
        stop: None,
        known: Outcome {
            drive: arguments.drive.clone(),
            ..Outcome::default()
        },
        tries_max: arguments.wait,
    };
    let exit = running.go(&arguments).await;
    let Running { output, mut known, .. } = running;
    known.exit = exit;
    if let Some(Err(failure)) = file.map(|file| file.write(&known)) {
        output.failure(&failure);
    }
    Exit::Run(exit)
}

fn prepare(arguments: &RunArgs, output: &Output<'_>) -> Result<(Option<OutcomeFile>, Signals), Failure> {
    if output.is_json() && arguments.outcome.is_none() {
        let text = "--json: the program has standard output for itself\nhint: add --outcome FILE, or --outcome /dev/fd/N for a descriptor";
        return Err(Failure::new(Exit::Usage, text));
    }
    let file = arguments.outcome.as_deref().map(OutcomeFile::open).transpose()?;
    let signals = Signals::catch().map_err(|error| {
        let text = format!("catch signals: {error}\nhint: the program was not started");
        Failure::new(Exit::Run(NOT_STARTED), text)
    })?;
    Ok((file, signals))
}

struct Running<'a, 'b> {
    daemon: &'a DaemonAt,
    output: &'a mut Output<'b>,
    signals: Signals,
    /// The first signal that came while no program was there to be told.
    stop: Option<Signal>,
    known: Outcome,
    tries_max: u32,
}

impl Running<'_, '_> {
    async fn go(&mut self, arguments: &RunArgs) -> u8 {
        let job = match self.put_key_in(arguments).await {
            Ok(job) => job,
            Err(exit) => return exit,
        };
        if job.outcome == JobOutcome::Plain && !asks_for_plain(arguments.pool.as_deref()) {
            let text = "the volume is a plain one, and nobody asked for that: the program was not started\nhint: name the plain pool with --pool if the program is to write plain blocks";
            return self.problem(NOT_STARTED, text);
        }
        if let Some(why) = wrong_pool(arguments, &job) {
            self.problem(NOT_STARTED, &why);
            return self.without_program(&job, NOT_STARTED).await;
        }
        if let Some(signal) = self.stop {
            let exit = of_signal(signal as i32);
            self.problem(exit, &format!("{signal} came before the program was started"));
            return self.without_program(&job, exit).await;
        }
        let name = arguments
            .command
            .first()
            .map(|name| name.to_string_lossy().into_owned());
        let name = printable(&name.unwrap_or_default());
        let environment = [
            ("TAPEKEY_DRIVE", Some(arguments.drive.clone())),
            ("TAPEKEY_ST_NODE", job.drive.st_node.clone()),
        ];
        self.note(&format!(
            "job {}: {} is in drive {} for {}; {name} begins",
            job.id,
            outcome::key(&job),
            job.drive.name,
            outcome::volume(&job),
        ));
        match Program::start(&arguments.command, &environment, &self.signals) {
            Ok(program) => {
                let end = program.end(&self.signals).await;
                self.known.program = Some(end);
                self.after_program(&job, arguments.restore, (&name, end)).await
            }
            Err(error) => {
                let exit = match error {
                    Errno::ENOENT | Errno::ENOTDIR => NO_SUCH_PROGRAM,
                    _ => CANNOT_START,
                };
                let text = format!("start {name}: {}\nhint: the command stands behind --", error.desc());
                self.problem(exit, &text);
                self.without_program(&job, exit).await
            }
        }
    }

    /// Has the key put in; the error is what to exit with, once no key is in any more.
    async fn put_key_in(&mut self, arguments: &RunArgs) -> Result<Box<JobRecord>, u8> {
        let drive = arguments.drive.clone();
        let command = if arguments.restore {
            Command::Unlock {
                drive,
                key_by_descriptor: false,
                for_program: true,
            }
        } else {
            Command::Load {
                drive,
                pool: arguments.pool.clone(),
                barcode: arguments.barcode.clone(),
                for_program: true,
            }
        };
        let job = match self.ask(command).await {
            Ok(job) => job,
            Err(error @ (ClientError::NoAnswer { .. } | ClientError::NotAReply { .. })) => {
                self.problem(NOT_STARTED, &client_failure(error).text);
                return Err(match self.newest_job(&arguments.drive).await {
                    Some(job) => self.without_program(&job, NOT_STARTED).await,
                    None => {
                        let line = self.command_line("clear", &arguments.drive);
                        let text = format!(
                            "whether a key went into drive {} is not known\nhint: see that tapekeyd runs, then: {line}",
                            arguments.drive
                        );
                        self.problem(KEY_MAY_REMAIN, &text)
                    }
                });
            }
            Err(error) => return Err(self.problem(NOT_STARTED, &client_failure(error).text)),
        };
        self.known.key_in = Some(job.clone());
        let Err(failure) = job_failure(&job) else {
            return Ok(job);
        };
        self.problem(NOT_STARTED, &failure.text);
        if job.outcome == JobOutcome::Refused {
            return Err(NOT_STARTED);
        }
        Err(self.without_program(&job, NOT_STARTED).await)
    }

    /// The job whose answer was lost: the newest one of the drive, if it is one of ours that puts a key in.
    async fn newest_job(&mut self, drive: &str) -> Option<JobRecord> {
        let own = nix::unistd::geteuid().as_raw();
        for _ in 0..self.tries_max {
            let command = Command::JobList {
                drive: Some(drive.to_owned()),
                limit: 1,
            };
            if let Ok(Answer::Jobs(jobs)) = self.daemon.ask(command) {
                let is_it =
                    |job: &JobRecord| matches!(job.kind, JobKind::Load | JobKind::Unlock) && job.requested_by == own;
                return jobs.into_iter().find(is_it);
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    /// Sends `command` and waits for the job. A signal that comes meanwhile is kept.
    async fn ask(&mut self, command: Command) -> Result<Box<JobRecord>, ClientError> {
        let socket = self.daemon.0.clone();
        let mut answer = tokio::task::spawn_blocking({
            let socket = socket.clone();
            move || ask(&socket, command, JOB_MAX)
        });
        let answer = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                caught = self.signals.next() => {
                    self.stop.get_or_insert(caught.signal);
                    self.note(&format!("{}: waiting for the drive, so that no key stays in it", caught.signal));
                }
            }
        };
        let not_a_reply = |what: String| ClientError::NotAReply { socket, what };
        match answer {
            Ok(Ok(Answer::Job(job))) => Ok(job),
            Ok(Ok(_)) => Err(not_a_reply("something else than a job came".into())),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(not_a_reply(error.to_string())),
        }
    }

    /// Takes the key out where the program was not started: `exit` says why not.
    async fn without_program(&mut self, job: &JobRecord, exit: u8) -> u8 {
        match self.take_key_out(job).await {
            Ok(Some(out)) => self.note(&format!(
                "job {}: the key is out of drive {} again",
                out.id, job.drive.name
            )),
            Ok(None) => {}
            Err(text) => return self.problem(KEY_MAY_REMAIN, &known_of(job, None, &text)),
        }
        exit
    }

    async fn after_program(&mut self, job: &JobRecord, restore: bool, (name, end): (&str, End)) -> u8 {
        let code = end.exit_code(END_UNKNOWN);
        let or = |own: u8| if code == 0 { own } else { code };
        let ended = format!("{name} {end}");
        let out = match self.take_key_out(job).await {
            Err(text) => return self.problem(or(KEY_MAY_REMAIN), &known_of(job, Some(&ended), &text)),
            Ok(None) => {
                self.note(&ended);
                return code;
            }
            Ok(Some(out)) => out,
        };
        let (id, drive, volume) = (out.id, &job.drive.name, outcome::volume(job));
        match outcome::doubt(&out) {
            None => self.note(&format!(
                "job {id}: {ended}; the key is out of drive {drive}; {volume}: all encrypted"
            )),
            Some(why) if restore => self.note(&format!(
                "job {id}: {ended}; the key is out of drive {drive}; {volume}: {why}"
            )),
            Some(why) => {
                let text = format!(
                    "{ended}; the key is out of drive {drive}, but that every block on {volume} is encrypted is not shown: {why}\nhint: see {}",
                    self.command_line("job show", &id.to_string())
                );
                return self.problem(or(NOT_PROVEN), &text);
            }
        }
        code
    }

    /// Takes the key of `job` out, unless that job left none; the error says what is known and what to type.
    async fn take_key_out(&mut self, job: &JobRecord) -> Result<Option<Box<JobRecord>>, String> {
        if job.outcome == JobOutcome::Plain {
            return Ok(None);
        }
        let drive = &job.drive.name;
        let mut tries = 0;
        let answer = loop {
            let command = Command::Clear {
                drive: drive.clone(),
                loaded_by: Some(job.id),
            };
            match self.ask(command).await {
                Err(error) if tries < self.tries_max && may_pass(&error) => {
                    if tries == 0 {
                        let text = error.to_string();
                        let what = text.lines().next().unwrap_or_default().to_owned();
                        self.note(&format!(
                            "the key has to come out of drive {drive}, trying for {} s more: {what}",
                            self.tries_max
                        ));
                    }
                    // Such an answer is waited for an hour by itself.
                    let is_long = matches!(error, ClientError::NoAnswer { .. });
                    tries = tries.saturating_add(if is_long { self.tries_max / 2 + 1 } else { 1 });
                    tokio::time::sleep(PAUSE).await;
                }
                answer => break answer,
            }
        };
        let line = self.command_line("clear", drive);
        let out = answer.map_err(|error| match &error {
            ClientError::Refused(refusal) if refusal.code == RefusalCode::NotItsKey => error.to_string(),
            _ => {
                let text = error.to_string();
                let what = text.split("\nhint: ").next().unwrap_or_default();
                format!("{what}\nhint: see that tapekeyd runs, then: {line}")
            }
        })?;
        self.known.key_out = Some(out.clone());
        match job_failure(&out) {
            Ok(()) => Ok(Some(out)),
            Err(failure) => Err(failure.text),
        }
    }

    /// A command line of ours that a person may type.
    fn command_line(&self, verb: &str, object: &str) -> String {
        match self.daemon.0.to_str() {
            Some(DEFAULT_SOCKET) | None => format!("tapekey {verb} {object}"),
            Some(socket) => format!("tapekey --socket {socket} {verb} {object}"),
        }
    }

    fn note(&mut self, text: &str) {
        if !self.output.is_json() {
            self.output.progress(text);
        }
    }

    fn problem(&mut self, exit: u8, text: &str) -> u8 {
        self.known.problems.push(Problem::of(text));
        self.output.failure(&Failure::new(Exit::Run(exit), text));
        exit
    }
}

/// Whether the same question may have another answer in a moment. To take out the key of one job is asked as often as one likes.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::NotAReply { .. } | ClientError::NoAnswer { .. } => true,
        ClientError::Refused(refusal) => matches!(
            refusal.code,
            RefusalCode::Busy | RefusalCode::TooManyClients | RefusalCode::State | RefusalCode::DriveHangs
        ),
    }
}

/// Whether it was a plain pool that was named.
fn asks_for_plain(pool: Option<&str>) -> bool {
    pool.is_some_and(|pool| !pool.to_ascii_uppercase().starts_with("ENCR"))
}

/// A restore names a pool only so that no volume of another one is read.
fn wrong_pool(arguments: &RunArgs, job: &JobRecord) -> Option<String> {
    let wanted = arguments.pool.as_ref().filter(|_| arguments.restore)?;
    let found = match &job.pool {
        Some(pool) if pool == wanted => return None,
        Some(pool) => format!("pool {}", printable(pool)),
        None => "no pool of ours".to_owned(),
    };
    let volume = outcome::volume(job);
    Some(format!(
        "volume {volume} belongs to {found}, not to pool {wanted}: the program was not started\nhint: load the right cartridge, or leave --pool out"
    ))
}

/// What is known where the key could not be taken out, before the reason and what to do.
fn known_of(job: &JobRecord, program: Option<&str>, text: &str) -> String {
    let (what, hint) = super::output::split_hint(text);
    let program = program.unwrap_or("the program was not started");
    let known = format!(
        "known: job {} put {} for {} into drive {} ({}), read back; {program}; not known: whether the key is still there, and whether every block is encrypted",
        job.id,
        outcome::key(job),
        outcome::volume(job),
        job.drive.name,
        to_text(job.ended.unwrap_or(job.begun)),
    );
    let hint = hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!(
        "the key was not taken out of drive {}: {what}\n{known}{hint}",
        job.drive.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_pool_that_was_named_lets_a_program_write_plain_blocks() {
        assert!(asks_for_plain(Some("Scratch")));
        for pool in [None, Some("ENCR_a"), Some("encr_a")] {
            assert!(!asks_for_plain(pool), "{pool:?}");
        }
    }
}
