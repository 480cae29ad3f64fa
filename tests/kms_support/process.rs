//! The real `tapekey-kms serve`, started in a folder, killed when it is dropped.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::{Connection, OpenFlags};
use tapekey::clock::{Clock, Timestamp};
use tapekey::kms_client::{ClientConfig, KmsClient};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tapekey-kms");

/// The certificates are made by the real program, so they are dated by the real clock.
pub(crate) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now_utc()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Runs a verb that must end well; what it prints.
pub(crate) fn says(words: &[&str]) -> String {
    let ended = Command::new(PROGRAM).args(words).output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{words:?}: {told}");
    String::from_utf8(ended.stdout).unwrap()
}

/// Runs a verb that must fail with a hint; what it says.
pub(crate) fn fails(words: &[&str]) -> String {
    let ended = Command::new(PROGRAM).args(words).output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(
        ended.status.code() == Some(1) && told.contains("hint: "),
        "{words:?}: {told}"
    );
    told
}

pub(crate) struct Process {
    pub(crate) child: Child,
    address: String,
}

impl Process {
    pub(crate) fn serve(folder: &Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(folder);
        Self::start(command)
    }

    /// `command` without where to listen.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .env("TAPEKEY_LOG", "error")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let Some(address) = ready.trim_end().strip_prefix("tapekey-kms: ready on ") else {
            let mut told = String::new();
            child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            panic!("not ready: {ready:?} {told}");
        };
        let address = address.to_owned();
        Self { child, address }
    }

    /// Where it listens, as addresses of clients say it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn client(&self, folder: &Path, name: &str) -> KmsClient {
        Self::client_of(&[self], folder, name)
    }

    /// One that asks `processes` in this order.
    pub(crate) fn client_of(processes: &[&Self], folder: &Path, name: &str) -> KmsClient {
        let mut config = ClientConfig::from_bundle(&folder.join("clients").join(name)).unwrap();
        config.addresses = processes.iter().map(|one| one.address.parse().unwrap()).collect();
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        KmsClient::new(&config, &clock).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: nothing is cleaned up. Also when the test failed, no process outlives it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many records the audit chain has, seen from beside the service.
pub(crate) fn audit_records(database: &Path) -> i64 {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection
        .query_row("SELECT count(*) FROM audit", (), |row| row.get(0))
        .unwrap()
}
