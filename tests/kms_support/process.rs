//! The real `tapekey-kms serve`, started in a folder, killed when it is dropped. Nothing of it is waited for without an end.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;
use tapekey::clock::{Clock, Timestamp};
use tapekey::kad::KeyId;
use tapekey::kms::store::StorePlace;
use tapekey::kms_client::{ClientConfig, KmsClient};

use super::{on_postgresql, postgresql};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tapekey-kms");

/// Longer than any verb takes that is to end by itself, on a machine that has much else to do.
const LONGEST: Duration = Duration::from_secs(120);

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

/// Runs it to its end and takes what it prints, as `Command::output` does; but one that does not end is killed, and the test with it.
pub(crate) fn ended(command: &mut Command) -> Output {
    finished(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

/// The same with standard output and standard error as they are in `command`.
pub(crate) fn finished(command: &mut Command) -> Output {
    let child = command.spawn().unwrap();
    let pid = pid_of(&child);
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(child.wait_with_output()));
    receive.recv_timeout(LONGEST).map_or_else(
        |_| {
            kill(pid, Signal::SIGKILL).unwrap();
            panic!("{command:?} does not end")
        },
        Result::unwrap,
    )
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// What `init` is told besides `words`, so that a story on PostgreSQL has its store there.
pub(crate) fn where_the_store_is(words: &[&str]) -> Vec<String> {
    if !on_postgresql() || words.first() != Some(&"init") {
        return Vec::new();
    }
    let StorePlace::Postgresql(place) = postgresql::shared().new_store(KeyId([0; 16])) else {
        unreachable!()
    };
    postgresql::options(&place)
}

/// Runs a verb.
pub(crate) fn told(words: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(words).args(where_the_store_is(words)).stdin(Stdio::null());
    ended(&mut command)
}

/// Runs a verb that must end well; what it prints.
#[track_caller]
pub(crate) fn says(words: &[&str]) -> String {
    let ended = told(words);
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{words:?}: {told}");
    String::from_utf8(ended.stdout).unwrap()
}

/// Runs a verb that must fail with a hint; what it says.
#[track_caller]
pub(crate) fn fails(words: &[&str]) -> String {
    let ended = told(words);
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
        command.arg("serve").arg(folder).env("TAPEKEY_LOG", "error");
        Self::start(command)
    }

    /// `command` without where to listen.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, receive) = mpsc::channel();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut ready = String::new();
            out.read_line(&mut ready).unwrap();
            send.send((ready, out.into_inner()))
        });
        let Ok((ready, out)) = receive.recv_timeout(LONGEST) else {
            child.kill().unwrap();
            panic!("{command:?} does not say that it is ready")
        };
        child.stdout = Some(out);
        let Some(address) = ready.trim_end().strip_prefix("tapekey-kms: ready on ") else {
            let mut told = String::new();
            child.kill().unwrap();
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
        let addresses: Vec<_> = processes.iter().map(|one| one.address()).collect();
        Self::client_by(&addresses, folder, name)
    }

    /// One that reaches the service by these addresses.
    pub(crate) fn client_by(addresses: &[&str], folder: &Path, name: &str) -> KmsClient {
        let mut config = ClientConfig::from_bundle(&folder.join("clients").join(name)).unwrap();
        config.addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        KmsClient::new(&config, &clock).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(pid_of(&self.child), signal).unwrap();
    }

    /// Asks it to stop, and waits until it has; what it wrote since it was ready, to standard output and standard error.
    pub(crate) fn stop(mut self) -> (String, String) {
        self.signal(Signal::SIGTERM);
        let (mut out, mut err) = (self.child.stdout.take().unwrap(), self.child.stderr.take().unwrap());
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let mut texts = (String::new(), String::new());
            out.read_to_string(&mut texts.0).unwrap();
            err.read_to_string(&mut texts.1).unwrap();
            send.send(texts)
        });
        let texts = receive.recv_timeout(LONGEST).expect("it ends");
        assert!(self.child.wait().unwrap().success(), "{texts:?}");
        texts
    }

    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
    }

    /// From now on the kernel kills it as it writes beyond that many bytes of any file (SIGXFSZ): in the middle of a commit, at a byte of our choice.
    pub(crate) fn limit_files_to(&self, bytes: u64) {
        let mut limit = Command::new("prlimit");
        let limited = limit.args([format!("--pid={}", self.child.id()), format!("--fsize={bytes}:{bytes}")]);
        assert!(
            limited.status().unwrap().success(),
            "prlimit (util-linux) limits a process of ours"
        );
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(mut self) -> ExitStatus {
        end_of(&mut self.child)
    }
}

/// Waits until a process has ended, with an end.
pub(crate) fn end_of(child: &mut Child) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            return ended;
        }
        assert!(began.elapsed() < LONGEST, "it never ended");
        thread::yield_now();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL: nothing is cleaned up. Also when the test failed, no process outlives it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kills a process once `reached`, some turns later.
pub(crate) fn kill_when(mut child: Child, mut turns: u32, reached: impl Fn() -> bool) {
    while child.try_wait().unwrap().is_none() {
        if reached() {
            if turns == 0 {
                break;
            }
            turns -= 1;
        }
        thread::yield_now();
    }
    let _ = child.kill();
    child.wait().unwrap();
}

/// `tapekey-kms verify`: every record opens, every index agrees, the audit chain is whole.
pub(crate) fn verified(folder: &Path, seed: u32) {
    let ended = ended(Command::new(PROGRAM).arg("verify").arg(folder));
    assert!(
        ended.status.success(),
        "seed {seed}: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// A pseudo-random number that follows from a seed.
pub(crate) fn drawn(seed: u32) -> u32 {
    (seed ^ 0x5BD1_E995).wrapping_mul(0x9E37_79B1).rotate_left(13) >> 8
}

/// Empties the write-ahead log into the database, also while a service works on it; its next commit begins at the log's first byte.
pub(crate) fn empty_log(database: &Path) {
    let connection = Connection::open(database).unwrap();
    let left: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0, "a reader keeps the log");
}

/// Bytes of the write-ahead log.
pub(crate) fn log_length(database: &Path) -> u64 {
    std::fs::metadata(database.with_extension("sqlite-wal")).map_or(0, |log| log.len())
}
