//! `tapekey job`: what was done, and how it went.

use clap::Subcommand;

use super::daemon::{DaemonAt, unexpected};
use super::output::{Failure, Output};
use super::show;
use crate::control::messages::{Answer, Command};

/// Show what was done, and how it went
#[derive(Debug, Subcommand)]
pub(super) enum JobVerb {
    /// List the newest jobs, newest first
    List {
        /// Only jobs of this drive
        #[arg(long, value_name = "NAME")]
        drive: Option<String>,
        /// At most this many
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Show everything about one job
    Show {
        /// Its number
        job: u64,
    },
    /// Have a running scan end where it is; the tape is rewound
    Cancel {
        /// Its number
        job: u64,
    },
}

pub(super) fn run(verb: JobVerb, daemon: &DaemonAt, output: &mut Output<'_>) -> Result<(), Failure> {
    match verb {
        JobVerb::List { drive, limit } => match daemon.ask(Command::JobList {
            drive,
            limit: limit.into(),
        })? {
            Answer::Jobs(jobs) => output.answer(&jobs, |jobs| show::jobs(jobs)),
            other => Err(unexpected(&other)),
        },
        JobVerb::Cancel { job } => match daemon.ask(Command::JobCancel { job })? {
            Answer::Job(job) => output.answer(&job, |job| {
                format!(
                    "job {} on {} ends; see tapekey job show {}",
                    job.id, job.drive.name, job.id
                )
            }),
            other => Err(unexpected(&other)),
        },
        JobVerb::Show { job } => match daemon.ask(Command::JobShow { job })? {
            Answer::Job(job) => output.answer(&job, |job| show::job(job)),
            other => Err(unexpected(&other)),
        },
    }
}
