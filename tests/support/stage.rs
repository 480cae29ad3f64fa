//! A host with simulated drives, a KMS and the daemon.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::programs::{Ended, PATIENCE, Running, sg_sim};

/// The nexus of this host: of the daemon and of the programs that read and write.
pub const NEXUS: &str = "host1";

/// A simulated drive.
pub struct Sim {
    folder: PathBuf,
    number: usize,
    pub process: Running,
}

impl Sim {
    fn start(folder: &Path, name: &str, number: usize) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        let mut command = serve_command(&folder, number);
        command.args(["--create", "--cartridge"]).arg(folder.join("first.cart"));
        command.arg("--barcode").arg(format!("A0000{number}L8"));
        command.arg("--medium-serial").arg(format!("MEDIUM000{number}"));
        let process = Running::start(command);
        process.wait_for("listening on");
        Self {
            folder,
            number,
            process,
        }
    }

    /// `kill -9` if it still runs, and starts it again on the same sockets with `cartridge` in it: what a power loss is to a drive.
    pub fn restart(&mut self, cartridge: &Path) {
        self.process.kill();
        let mut command = serve_command(&self.folder, self.number);
        command.arg("--cartridge").arg(cartridge);
        self.process = Running::start(command);
        self.process.wait_for("listening on");
    }

    /// Its SCSI socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("scsi")
    }

    /// The cartridge that it was started with.
    pub fn first_cartridge(&self) -> PathBuf {
        self.folder.join("first.cart")
    }

    /// Makes another blank cartridge, which is not loaded yet.
    pub fn blank_cartridge(&self, barcode: &str) -> PathBuf {
        let path = self.folder.join(format!("{barcode}.cart"));
        let mut create = Command::new(sg_sim());
        create
            .arg("create")
            .arg(&path)
            .args(["--barcode", barcode, "--medium-serial", &format!("SERIAL{barcode}")]);
        Ended::of(&mut create).well();
        path
    }

    /// Sends one line to its control socket.
    #[track_caller]
    pub fn order(&self, order: &Value) -> Value {
        let mut stream = UnixStream::connect(self.folder.join("control")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{order}\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["ok"], true, "{order}: {answer}");
        answer
    }

    /// Takes the cartridge out and puts `cartridge` in.
    pub fn swap(&self, cartridge: &Path) {
        self.order(&serde_json::json!({ "verb": "eject" }));
        self.order(&serde_json::json!({ "verb": "load", "file": cartridge }));
    }
}

fn serve_command(folder: &Path, number: usize) -> Command {
    let mut command = Command::new(sg_sim());
    command.arg("serve").arg("--serial").arg(serial(number));
    command.arg("--socket").arg(folder.join("scsi"));
    command.arg("--control").arg(folder.join("control"));
    command
}

/// The serial number of the drive with this number.
pub fn serial(number: usize) -> String {
    format!("101300010{number}")
}

/// A host with simulated drives `d1`, `d2`, … , a KMS and the daemon.
pub struct Stage {
    pub sims: Vec<Sim>,
    pub kms: Running,
    pub kms_address: String,
    pub daemon: Option<Running>,
    pub folder: TempDir,
}

impl Stage {
    /// All of it, with `drives` drives, each with a blank volume, and the group `ENCR_a` with an active key.
    pub fn new(drives: usize) -> Self {
        let stage = Self::without_daemon(drives);
        stage.kms_command(&["group", "create", "ENCR_a"]).well();
        stage.kms_command(&["key", "create", "ENCR_a", "first"]).well();
        stage
            .kms_command(&["key", "activate", "ENCR_a", "first", "--single-copy"])
            .well();
        stage.with_daemon("")
    }

    /// The same without groups, and the daemon not started.
    pub fn without_daemon(drives: usize) -> Self {
        let folder = TempDir::with_prefix("tk").unwrap();
        let sims = (1..=drives)
            .map(|number| Sim::start(folder.path(), &format!("d{number}"), number))
            .collect();
        let store = folder.path().join("kms");
        Ended::of(Command::new(env!("CARGO_BIN_EXE_tapekey-kms")).arg("init").arg(&store)).well();
        let (kms, kms_address) = start_kms(&store, "127.0.0.1:0");
        Self {
            sims,
            kms,
            kms_address,
            daemon: None,
            folder,
        }
    }

    /// Starts the daemon with `more` at the end of its configuration.
    pub fn with_daemon(mut self, more: &str) -> Self {
        std::fs::write(self.config(), self.config_text() + more).unwrap();
        self.start_daemon();
        self
    }

    /// The daemon's configuration.
    pub fn config(&self) -> PathBuf {
        self.path("tapekeyd.toml")
    }

    /// What stands in it.
    pub fn config_text(&self) -> String {
        let (folder, address) = (self.folder.path().display(), &self.kms_address);
        let client = format!("{folder}/kms/clients/media-server-1");
        let mut text = format!(
            "state_directory = \"{folder}/state\"\nallow_simulated_drives = true\n\
             [control]\nsocket = \"{folder}/tapekeyd\"\n\
             [kms]\naddresses = [\"{address}\"]\nca = \"{client}/ca.pem\"\n\
             certificate = \"{client}/certificate.pem\"\nkey = \"{client}/key.pem\"\ntimeout_ms = 20000\n"
        );
        for (index, sim) in self.sims.iter().enumerate() {
            let (number, socket, serial) = (index + 1, sim.socket(), serial(index + 1));
            text.push_str(&format!(
                "[[drive]]\nname = \"d{number}\"\nsocket = \"{}\"\nnexus = \"{NEXUS}\"\nserial = \"{serial}\"\n",
                socket.display()
            ));
        }
        text
    }

    /// Starts the daemon with the configuration as it is.
    pub fn start_daemon(&mut self) {
        let daemon = Running::start(self.daemon_command());
        daemon.wait_for("tapekeyd is ready");
        // Its first look at the drives is over; what they are asked from here on, a test has asked for.
        for _ in &self.sims {
            daemon.wait_for("at start: ");
        }
        self.daemon = Some(daemon);
    }

    /// The daemon's command line.
    pub fn daemon_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapekeyd"));
        command.arg("--config").arg(self.config()).env("TAPEKEY_LOG", "trace");
        command
    }

    /// The daemon.
    pub fn daemon(&mut self) -> &mut Running {
        self.daemon.as_mut().unwrap()
    }

    /// A path in the stage's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `tapekey ARGUMENTS` against the daemon.
    pub fn tapekey(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.tapekey_command().args(arguments))
    }

    /// The beginning of a `tapekey` command line.
    pub fn tapekey_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapekey"));
        command.arg("--socket").arg(self.path("tapekeyd"));
        command
    }

    /// `tapekey --json ARGUMENTS`: exit code, answer, and what stands on standard error.
    #[track_caller]
    pub fn ask(&self, arguments: &[&str]) -> (i32, Value, String) {
        let ended = Ended::of(self.tapekey_command().arg("--json").args(arguments));
        let answer = serde_json::from_str(&ended.out).unwrap_or(Value::Null);
        (ended.code, answer, ended.err)
    }

    /// As [`Stage::ask`], for what must succeed.
    #[track_caller]
    pub fn good(&self, arguments: &[&str]) -> Value {
        let (code, answer, err) = self.ask(arguments);
        assert_eq!(code, 0, "{arguments:?}: {answer:#}\n{err}");
        answer
    }

    /// As [`Stage::ask`], for what must be refused or fail: the job, which says `reason` with a remedy.
    #[track_caller]
    pub fn bad(&self, arguments: &[&str], reason: &str) -> Value {
        let (code, answer, err) = self.ask(arguments);
        assert_eq!(code, 1, "{arguments:?}: {answer:#}\n{err}");
        let said: Value = serde_json::from_str(&err).unwrap_or_else(|_| panic!("{err}"));
        let text = format!(
            "{} {}",
            said["error"].as_str().unwrap(),
            said["hint"].as_str().expect("a remedy")
        );
        assert!(text.contains(reason), "{reason:?} is not in:\n{text}");
        answer
    }

    /// What the drive says through the daemon, asked even if it holds a key.
    #[track_caller]
    pub fn status(&self, drive: &str) -> Value {
        self.ask(&["status", drive, "--look"]).1["drives"][0].clone()
    }

    /// `tapekey kms ARGUMENTS` as an administrator.
    pub fn kms_command(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapekey"));
        command.arg("kms").arg("--client").arg(self.path("kms/clients/admin-1"));
        Ended::of(command.args(["--address", &self.kms_address]).args(arguments))
    }

    /// Stops the KMS and starts it again at the same address.
    pub fn restart_kms(&mut self) {
        self.kms.kill();
        let address = self.kms_address.trim_start_matches("https://").to_owned();
        (self.kms, _) = start_kms(&self.path("kms"), &address);
    }
}

fn start_kms(store: &Path, address: &str) -> (Running, String) {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_tapekey-kms"));
    serve
        .arg("serve")
        .arg(store)
        .args(["--listen", address])
        .env("TAPEKEY_LOG", "trace");
    let kms = Running::start(serve);
    let ready = kms.wait_for("ready on https://");
    let address = ready
        .split_whitespace()
        .find(|word| word.starts_with("https://"))
        .unwrap()
        .to_owned();
    (kms, address)
}
