//! `sg-sim run` from outside: what programs that every system has make of the nodes below `/sim/`.
//!
//! Clients made for tapes are in `tests/real-clients`. Here are the rules that hold for any program, with the shell, dd and cat.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod faults;
mod passing_by;
mod rules;

use std::path::Path;
use std::process::{Command, Output};

/// `sg-sim run` with these switches and this command, not yet started. A command that does not end is killed after a minute.
fn run(switches: &[&str], command: &[&str]) -> Command {
    let mut line = Command::new("timeout");
    line.args(["60", env!("CARGO_BIN_EXE_sg-sim"), "run"])
        .args(switches)
        .arg("--")
        .args(command);
    line
}

/// Runs a shell script and gives what came of it.
fn script(text: &str) -> Output {
    run(&[], &["sh", "-c", text]).output().unwrap()
}

/// The same with cartridges kept in `folder`.
fn script_keeping(folder: &Path, text: &str) -> Output {
    run(&["--keep", folder.to_str().unwrap()], &["sh", "-c", text])
        .output()
        .unwrap()
}

fn standard_output(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn standard_error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
