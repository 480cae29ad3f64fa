//! The two services as their manager sees them: ready, alive, stopping (sd_notify(3)); their logs in the journal; their memory out of swap.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::io::pipe;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::stat::fstat;
use support::programs::{Ended, PATIENCE, Running};
use support::stage::Stage;
use tempfile::TempDir;

/// A datagram socket in a folder of its own, where systemd or its journal would listen.
struct Listener {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Listener {
    fn at(place: &str) -> Self {
        let folder = TempDir::with_prefix("tk").unwrap();
        let path = folder.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { folder, socket }
    }

    /// What a service is told of its manager, which waits that long for a sign of life.
    fn manages(&self, mut service: Command, watchdog: Duration) -> Command {
        service
            .env("NOTIFY_SOCKET", self.folder.path().join("notify"))
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string());
        service
    }

    fn hears(&self) -> String {
        let mut message = vec![0; 1 << 16];
        let length = self.socket.recv(&mut message).expect("the service says something");
        message.truncate(length);
        String::from_utf8_lossy(&message).into_owned()
    }

    fn hears_of(&self, words: &str) -> String {
        loop {
            let message = self.hears();
            if message.contains(words) {
                return message;
            }
        }
    }
}

fn new_kms() -> TempDir {
    let folder = TempDir::with_prefix("tk").unwrap();
    let store = folder.path().join("kms");
    Ended::of(Command::new(env!("CARGO_BIN_EXE_tapekey-kms")).arg("init").arg(store)).well();
    folder
}

fn serve(folder: &Path) -> Command {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_tapekey-kms"));
    serve
        .arg("serve")
        .arg(folder.join("kms"))
        .args(["--listen", "127.0.0.1:0"]);
    serve
}

/// Three signs of life, then SIGTERM and the last word.
fn lives_and_stops(manager: &Listener, service: &mut Running) {
    for _ in 0..3 {
        assert_eq!(manager.hears(), "WATCHDOG=1\n");
    }
    assert!(service.terminate());
    manager.hears_of("STOPPING=1");
}

#[test]
fn the_key_service_says_ready_when_it_answers_then_that_it_lives_and_that_it_stops() {
    let (folder, manager) = (new_kms(), Listener::at("notify"));
    let mut service = Running::start(manager.manages(serve(folder.path()), Duration::from_millis(100)));
    let ready = manager.hears();
    let (_, address) = ready.split_once("STATUS=serving on https://").unwrap();
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    TcpStream::connect(address.trim_end()).unwrap();
    lives_and_stops(&manager, &mut service);
}

#[test]
fn the_daemon_says_ready_when_it_answers_then_that_it_lives_and_that_it_stops() {
    let (stage, manager) = (Stage::without_daemon(1), Listener::at("notify"));
    fs::write(stage.config(), stage.config_text()).unwrap();
    let mut daemon = Running::start(manager.manages(stage.daemon_command(), Duration::from_millis(100)));
    // It is alive before it is ready: drives are held first.
    manager.hears_of("READY=1\nSTATUS=drives configured: 1");
    stage.tapekey(&["status"]).well();
    lives_and_stops(&manager, &mut daemon);
}

#[test]
fn a_manager_that_does_not_listen_stops_no_service() {
    let (folder, manager) = (new_kms(), Listener::at("elsewhere"));
    let mut service = Running::start(manager.manages(serve(folder.path()), Duration::from_secs(60)));
    service.wait_for("systemd cannot be told how this service is; see NOTIFY_SOCKET");
    assert!(service.terminate());
}

#[test]
fn the_journal_gets_every_field_by_its_name() {
    let (folder, journal) = (new_kms(), Listener::at("systemd/journal/socket"));
    let (_kept, stderr) = pipe().unwrap();
    let is = fstat(&stderr).unwrap();
    // In a mount namespace of its own, the journal's place is ours. Root may make one, others in a user namespace.
    let mut service = Command::new("unshare");
    service.args(["--map-root-user", "--mount", "--", "sh", "-c"]);
    service
        .arg(r#"mount --bind "$0" /run && exec "$@""#)
        .arg(journal.folder.path());
    let serve = serve(folder.path());
    service.arg(serve.get_program()).args(serve.get_args());
    service
        .env("JOURNAL_STREAM", format!("{}:{}", is.st_dev, is.st_ino))
        .stderr(stderr);
    let mut service = service.spawn().unwrap();
    let entry = journal.hears_of("TAPEKEY_ADDRESS");
    service.kill().unwrap();
    service.wait().unwrap();
    assert!(
        entry.contains("ready") && entry.contains("TAPEKEY_ADDRESS\n") || entry.contains("TAPEKEY_ADDRESS="),
        "{entry:?}"
    );
    assert!(entry.contains("SYSLOG_IDENTIFIER"), "{entry:?}");
}

/// A number of kilobytes in `/proc/PID/status`.
fn kilobytes(process: &Running, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|there| there.strip_prefix(line)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// `command` with 64 KiB of memory that it may lock, and no power to lift that.
fn limited(command: &Command) -> Command {
    let mut limited = Command::new("prlimit");
    limited.args(["--memlock=65536:65536", "--"]);
    if nix::unistd::geteuid().is_root() {
        limited.args(["setpriv", "--bounding-set=-sys_resource,-ipc_lock", "--"]);
    }
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap());
    }
    limited
}

#[test]
fn the_memory_of_both_stays_out_of_swap_where_the_limit_allows_it() {
    let stage = Stage::without_daemon(1);
    fs::write(stage.config(), stage.config_text()).unwrap();
    let daemon = Running::start(stage.daemon_command());
    daemon.wait_for("tapekeyd is ready");
    for service in [&daemon, &stage.kms] {
        let said = String::from_utf8_lossy(&service.said()).into_owned();
        let complains = said.contains("lock the memory of this process");
        let root = nix::unistd::geteuid().is_root();
        assert!(!complains || !root, "root may lock what it likes: {said}");
        // Not every page can be locked, [vvar] for one, but those that hold data are.
        let (locked, data) = (kilobytes(service, "VmLck:"), kilobytes(service, "VmData:"));
        assert_eq!(locked >= data, !complains, "{locked} of {data}: {said}");
    }
}

#[test]
fn a_service_that_may_not_lock_its_memory_says_what_to_do_and_serves() {
    let folder = new_kms();
    let mut service = Running::start(limited(&serve(folder.path())));
    service.wait_for("lock the memory of this process: its limit is 65536 bytes");
    service.wait_for("hint: LimitMEMLOCK=infinity");
    service.wait_for("ready on https://");
    assert!(service.terminate());
}
