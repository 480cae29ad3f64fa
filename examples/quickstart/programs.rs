//! The programs that the quickstart runs: built first, started with their log in a file, ended when the quickstart ends.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to say that it is ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The folder with the four programs.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds all programs with the cargo that runs this example, in that cargo's target folder.
    pub(crate) fn build() -> Result<Self, Box<dyn Error>> {
        let cargo = env::var_os("CARGO")
            .ok_or("CARGO is not set\nhint: start this with `cargo run --release --example quickstart -- PATH`")?;
        let example = env::current_exe()?;
        // target/PROFILE/examples/quickstart
        let folder = example
            .ancestors()
            .nth(2)
            .ok_or("this program is not in a target folder")?;
        let target = folder.parent().ok_or("this program is not in a target folder")?;
        let mut build = Command::new(cargo);
        build
            .args([
                "build",
                "--quiet",
                "--locked",
                "--workspace",
                "--bins",
                // The example itself is up to date; named here, it makes cargo choose the features it was built with, so that nothing is built twice.
                "--example",
                "quickstart",
                "--target-dir",
            ])
            .arg(target);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        if !build.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
            return Err("the programs could not be built; see above".into());
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// A command that runs `name`.
    pub(crate) fn command(&self, name: &str) -> Command {
        Command::new(self.folder.join(name))
    }

    /// Runs `name` to its end and returns what it printed; fails with what it said on standard error.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, name: &str, arguments: &[S]) -> Result<String, Box<dyn Error>> {
        let output = self.command(name).args(arguments).stdin(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        Err(format!(
            "{name} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )
        .into())
    }
}

/// A program that runs in the background. It is asked to end when this is dropped, and killed if it does not.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command`; what it says on standard error goes to NAME.log in `logs`.
    pub(crate) fn start(name: &'static str, mut command: Command, logs: &Path) -> Result<Self, Box<dyn Error>> {
        let log = logs.join(format!("{name}.log"));
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        Ok(Self { name, child, log })
    }

    /// Waits for the one line that a program prints when it is ready, and returns it.
    pub(crate) fn ready_line(&mut self) -> Result<String, Box<dyn Error>> {
        let stdout = self.child.stdout.take().ok_or("asked for the ready line twice")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            Err(self.describe("ended before it was ready").into())
        } else {
            Ok(line.trim().to_owned())
        }
    }

    /// Waits until `ready` holds.
    pub(crate) fn wait_until(&mut self, ready: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        while !ready() {
            if self.child.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                return Err(self.describe("did not become ready").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn describe(&self, what: &str) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        format!("{} {what}; its log says:\n{}", self.name, log.trim())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let asked = i32::try_from(self.child.id())
            .map(|id| nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM));
        let start = Instant::now();
        while asked.is_ok() && start.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // It was asked and did not end; nothing is left to do if this fails too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
