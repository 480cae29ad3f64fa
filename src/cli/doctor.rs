//! `tapekey doctor`: will it work, and if not, what to change. One finding a line, each with a verdict and a remedy.
//!
//! The configuration, the nodes and the KMS are looked at from here, the drives by the daemon; what cannot be found out is said to be unknown.

mod host;
mod kms;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::config::{CheckError, check};
use super::daemon::{DaemonAt, JOB_MAX, client_failure, unexpected};
use super::output::{Exit, Failure, Output, printable, split_hint};
use crate::clock::Clock;
use crate::config::{Config, DEFAULT_FILE};
use crate::control::client::{ClientError, ask};
use crate::control::messages::report::{DriveExamined, Finding, Verdict};
use crate::control::messages::{Answer, Command};
use crate::kms_client::KmsClient;

/// Find out whether drives, media, permissions and KMS will work, and what to change
///
/// No key is sent, no tape is moved, and a drive that may be in use is left alone. Without a running daemon it says what can be found out without one. Run it as
/// root, or as the daemon's user, so that the files with the daemon's certificate can be read.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Only this drive
    drive: Option<String>,
    /// Configuration file of the daemon
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Report {
    /// The worst of all verdicts.
    verdict: Verdict,
    findings: Vec<Line>,
}

/// A finding and what it is about.
#[derive(Debug, Serialize)]
struct Line {
    object: String,
    #[serde(flatten)]
    finding: Finding,
}

pub(super) async fn run(
    arguments: DoctorArgs,
    daemon: &DaemonAt,
    clock: &Arc<dyn Clock>,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let only = arguments.drive.as_deref();
    let mut lines = Vec::new();
    let configuration = configuration(&arguments, clock, &mut lines);
    if let Some((config, _)) = &configuration {
        let is_meant = |name: &str| only.is_none_or(|only| only == name);
        let drives = config.drives.iter().filter(|drive| is_meant(&drive.name));
        for drive in drives {
            let findings = host::look(drive).into_iter();
            lines.extend(findings.map(|finding| of_drive(&drive.name, finding)));
        }
    }
    drives(
        only,
        daemon,
        configuration.as_ref().map(|(config, _)| config),
        &mut lines,
    )?;
    if let Some((_, client)) = &configuration {
        let findings = kms::look(client.as_ref(), clock).await.into_iter();
        lines.extend(findings.map(|finding| Line {
            object: "KMS".into(),
            finding,
        }));
    }
    let verdict = lines.iter().map(|line| line.finding.verdict).max();
    let report = Report {
        verdict: verdict.unwrap_or(Verdict::Unknown),
        findings: lines,
    };
    output.answer(&report, in_words)?;
    if report.verdict <= Verdict::Warning {
        return Ok(());
    }
    let bad = report
        .findings
        .iter()
        .filter(|line| line.finding.verdict > Verdict::Warning);
    let text = format!(
        "{} of {} findings are wrong or unknown\nhint: the lines above say what to do",
        bad.count(),
        report.findings.len()
    );
    Err(Failure::new(Exit::Failed, text))
}

fn finding(verdict: Verdict, about: &str, text: impl Into<String>, remedy: Option<&str>) -> Finding {
    Finding {
        about: about.into(),
        verdict,
        text: text.into(),
        remedy: remedy.map(str::to_owned),
    }
}

/// An error says in its last line what to do.
fn of_error(verdict: Verdict, about: &str, error: &impl ToString) -> Finding {
    let text = error.to_string();
    let (what, remedy) = split_hint(&text);
    finding(verdict, about, what, remedy)
}

fn of_drive(name: &str, finding: Finding) -> Line {
    Line {
        object: format!("drive {name}"),
        finding,
    }
}

fn configuration(
    arguments: &DoctorArgs,
    clock: &Arc<dyn Clock>,
    lines: &mut Vec<Line>,
) -> Option<(Config, Option<KmsClient>)> {
    let file = arguments.config.display();
    let checked = check(&arguments.config, clock);
    let finding = match &checked {
        Ok(_) => finding(
            Verdict::Ok,
            "file",
            format!("{file} and the files that it names are good"),
            None,
        ),
        Err(error) => unusable(error),
    };
    lines.push(Line {
        object: "configuration".into(),
        finding,
    });
    checked.ok()
}

/// What we may not read, the daemon may.
fn unusable(error: &CheckError) -> Finding {
    let text = error.to_string();
    if text.contains("Permission denied") {
        let text = printable(text.lines().next().unwrap_or_default());
        let remedy = "run it as root, or as the daemon's user: nodes and KMS were not looked at";
        return finding(Verdict::Unknown, "file", text, Some(remedy));
    }
    of_error(Verdict::Wrong, "file", error)
}

/// What the daemon finds.
fn drives(
    only: Option<&str>,
    daemon: &DaemonAt,
    config: Option<&Config>,
    lines: &mut Vec<Line>,
) -> Result<(), Failure> {
    let command = Command::Doctor {
        drive: only.map(str::to_owned),
    };
    match ask(&daemon.0, command, JOB_MAX) {
        Ok(Answer::Examined(drives)) => {
            lines.push(Line {
                object: "daemon".into(),
                finding: finding(Verdict::Ok, "reached", "tapekeyd answers", None),
            });
            let configured = config.into_iter().flat_map(|config| &config.drives);
            let meant = configured.filter(|drive| only.is_none_or(|only| only == drive.name));
            for drive in meant.filter(|drive| drives.iter().all(|examined| examined.name != drive.name)) {
                let text = "not asked: the running daemon does not know it";
                let remedy = "restart tapekeyd, so that it reads its configuration again";
                lines.push(of_drive(
                    &drive.name,
                    finding(Verdict::Unknown, "reached", text, Some(remedy)),
                ));
            }
            for DriveExamined { name, findings, .. } in drives {
                lines.extend(findings.into_iter().map(|finding| of_drive(&name, finding)));
            }
            Ok(())
        }
        Ok(other) => Err(unexpected(&other)),
        Err(error @ ClientError::Refused(_)) => Err(client_failure(error)),
        Err(error) => {
            lines.push(Line {
                object: "daemon".into(),
                finding: of_error(Verdict::Wrong, "reached", &error),
            });
            let configured = config.into_iter().flat_map(|config| &config.drives);
            let names = configured.map(|drive| drive.name.as_str());
            for name in names.filter(|name| only.is_none_or(|only| only == *name)) {
                let text = "not asked: only the daemon speaks to drives";
                let remedy = "start tapekeyd and run it again";
                lines.push(of_drive(name, finding(Verdict::Unknown, "reached", text, Some(remedy))));
            }
            Ok(())
        }
    }
}

fn in_words(report: &Report) -> String {
    let mut text = String::new();
    for Line { object, finding } in &report.findings {
        let word = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "WARNING",
            Verdict::Unknown => "UNKNOWN",
            Verdict::Wrong => "WRONG",
        };
        let (about, found) = (printable(&finding.about), printable(&finding.text));
        text.push_str(&format!("{word:<8} {}: {about}: {found}\n", printable(object)));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!("{:<8} remedy: {}\n", "", printable(remedy)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_with_its_verdict_and_what_came_from_a_drive_cannot_move_the_cursor() {
        let lines = vec![
            of_drive("d1", finding(Verdict::Ok, "reached", "IBM \u{1b}[2J", None)),
            of_drive("d1", finding(Verdict::Wrong, "medium", "too old", Some("use another"))),
        ];
        let verdict = lines.iter().map(|line| line.finding.verdict).max().unwrap();
        assert_eq!(verdict, Verdict::Wrong);
        let text = in_words(&Report {
            verdict,
            findings: lines,
        });
        let expected = "ok       drive d1: reached: IBM \u{FFFD}[2J\nWRONG    drive d1: medium: too old\n         remedy: use another\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn unknown_is_worse_than_a_warning_and_wrong_is_worst() {
        let order = [Verdict::Ok, Verdict::Warning, Verdict::Unknown, Verdict::Wrong];
        assert!(order.is_sorted());
    }
}
