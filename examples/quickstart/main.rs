//! The quickstart: a simulated drive, the key service and the daemon as they really run; PATH backed up, looked at, and restored.
//!
//! `cargo run --release --example quickstart -- PATH [--keep DIR] [--kms kmip]`. It needs no root, no hardware and no network beyond loopback;
//! with `--kms kmip` python3, and the network once, to install PyKMIP.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "an example talks to a person"
)]

mod archive;
mod kmip;
mod programs;
mod tape;
mod windows;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};

use kmip::KmipServer;
use programs::{Programs, Running};
use tape::Tape;
use windows::Random;

/// Shows the whole of tapekey on this machine: a simulated LTO-8 drive, the key service, the daemon, one backup and one restore.
#[derive(Parser)]
struct Arguments {
    /// The file or folder to back up
    path: PathBuf,
    /// Leave cartridges and logs in this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Repeat the choice of the windows of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Where the group's keys are
    #[arg(long, value_enum, default_value_t = Keys::BuiltIn)]
    kms: Keys,
}

/// Where the group's keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Keys {
    /// In the key service's own store
    BuiltIn,
    /// In an external KMIP server behind the key service: PyKMIP, installed by tests/kmip/venv
    Kmip,
}

const GROUP: &str = "ENCR_quickstart";
const NEXUS: &str = "quickstart-host";
const DRIVE: &str = "drive0";
const SERVER: &str = "pykmip";
const WINDOWS: usize = 1000;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => {
            println!("quickstart: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let path = fs::canonicalize(&arguments.path).map_err(|error| format!("{}: {error}", arguments.path.display()))?;
    let work = tempfile::Builder::new().prefix("tapekey-").tempdir()?;
    let keep = match &arguments.keep {
        Some(folder) => empty_folder(folder)?,
        None => empty_folder(&work.path().join("keep"))?,
    };
    step("build the programs (the first time takes some minutes)");
    let programs = Programs::build()?;
    let stage = Stage::set(programs, work.path().to_owned(), keep, arguments.kms)?;
    let first = stage.cartridge("QS0001L8");
    stage.back_up(&first, &path)?;
    stage.search(&first, &path, arguments.seed)?;
    stage.rotate()?;
    stage.second_volume(&path)?;
    stage.restore(&first, &path)?;
    step("what was done, as the daemon recorded it");
    println!("{}\n", stage.tapekey(&["job", "list"])?);
    println!("the first volume's backup and its restore in full:\n");
    for job in ["1", "4"] {
        println!("{}\n", stage.tapekey(&["job", "show", job])?);
    }
    if let Some(folder) = &arguments.keep {
        println!("cartridges and logs are in {}", folder.display());
    }
    Ok(())
}

fn step(what: &str) {
    println!("\n== {what}");
}

fn empty_folder(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    if fs::read_dir(folder)?.next().is_some() {
        return Err(format!("{} is not empty\nhint: name a new folder with --keep", folder.display()).into());
    }
    Ok(fs::canonicalize(folder)?)
}

/// Everything that runs, and where it is. Dropped from the top: the daemon ends first, the drive last.
struct Stage {
    _daemon: Running,
    _kms: Running,
    _drive: Running,
    external: Option<KmipServer>,
    programs: Programs,
    kms_address: String,
    work: PathBuf,
    keep: PathBuf,
}

impl Stage {
    fn set(programs: Programs, work: PathBuf, keep: PathBuf, keys: Keys) -> Result<Self, Box<dyn Error>> {
        step("start a simulated LTO-8 drive with a blank cartridge");
        let drive = start_drive(&programs, &work, &keep)?;

        step("make and start the key service");
        let store = work.join("kms");
        println!("{}", programs.run("tapekey-kms", &[Path::new("init"), &store])?.trim());
        let mut serve = programs.command("tapekey-kms");
        serve.arg("serve").arg(&store).args(["--listen", "127.0.0.1:0"]);
        let mut kms = Running::start("tapekey-kms", serve, &keep)?;
        let ready = kms.ready_line()?;
        println!("{ready}");
        let address = ready
            .split_whitespace()
            .find(|word| word.starts_with("https://"))
            .ok_or("no address in the ready line")?;

        step("start the daemon");
        let config = work.join("tapekeyd.toml");
        fs::write(&config, daemon_config(&work, address))?;
        println!(
            "{}",
            programs
                .run("tapekey", &[Path::new("config"), Path::new("check"), &config])?
                .trim()
        );
        let mut command = programs.command("tapekeyd");
        command.arg("--config").arg(&config);
        let mut daemon = Running::start("tapekeyd", command, &keep)?;
        daemon.wait_until(|| std::os::unix::net::UnixStream::connect(work.join("control")).is_ok())?;

        let external = match keys {
            Keys::BuiltIn => None,
            Keys::Kmip => {
                step("start a KMIP server that is not ours (the first time PyKMIP is installed)");
                Some(KmipServer::start(&work, &keep)?)
            }
        };
        let stage = Self {
            _daemon: daemon,
            _kms: kms,
            _drive: drive,
            external,
            programs,
            kms_address: address.to_owned(),
            work,
            keep,
        };
        match &stage.external {
            Some(server) => stage.use_external(server)?,
            None => stage.make_first_key()?,
        }
        Ok(stage)
    }

    fn use_external(&self, server: &KmipServer) -> Result<(), Box<dyn Error>> {
        step("add it to the key service, look at it, and have it make a key");
        let (endpoint, bundle) = (server.endpoint(), server.bundle());
        println!(
            "{}\n",
            self.kms(&["server", "add", SERVER, "--endpoint", &endpoint, "--bundle", &bundle])?
        );
        println!(
            "{}\n",
            self.kms(&["key", "create", "--server", SERVER, "--group", GROUP])?
        );
        println!("{}", self.kms(&["server", "check", SERVER, "--group", GROUP])?);
        Ok(())
    }

    fn make_first_key(&self) -> Result<(), Box<dyn Error>> {
        step(&format!("create the key group {GROUP} and its first key"));
        println!(
            "A key becomes active once a snapshot on another disk holds it. This demonstration uses one folder only, so it says --single-copy instead."
        );
        self.kms(&["group", "create", GROUP])?;
        self.kms(&["key", "create", GROUP, "first"])?;
        self.kms(&["key", "activate", GROUP, "first", "--single-copy"])?;
        println!("{}", self.kms(&["key", "list", GROUP])?);
        Ok(())
    }

    fn cartridge(&self, barcode: &str) -> PathBuf {
        self.keep.join(format!("{barcode}.cart"))
    }

    /// `tapekey ...` against our daemon.
    fn tapekey(&self, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
        let socket = self.work.join("control").display().to_string();
        let output = self
            .programs
            .run("tapekey", &[&["--socket", &socket], arguments].concat())?;
        Ok(output.trim_end().to_owned())
    }

    /// `tapekey kms ...` as the first administrator.
    fn kms(&self, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
        let client = self.work.join("kms/clients/admin-1").display().to_string();
        let output = self.programs.run(
            "tapekey",
            &[&["kms", "--client", &client, "--address", &self.kms_address], arguments].concat(),
        )?;
        Ok(output.trim_end().to_owned())
    }

    fn sg_sim(&self, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
        Ok(self.programs.run("sg-sim", arguments)?.trim_end().to_owned())
    }

    /// An order to the simulated drive, as an operator's hand would give it.
    fn order(&self, order: &[&str]) -> Result<(), Box<dyn Error>> {
        let control = self.work.join("drive-control").display().to_string();
        self.sg_sim(&[&["control", "--control", &control], order].concat())?;
        Ok(())
    }

    fn insert(&self, cartridge: &Path) -> Result<(), Box<dyn Error>> {
        println!("{} goes into {DRIVE}", cartridge.display());
        self.order(&["load", &cartridge.display().to_string()])
    }

    fn open(&self) -> Result<Tape, Box<dyn Error>> {
        Ok(Tape::open(&self.work.join("drive"), NEXUS)?)
    }

    fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        let mut tape = self.open()?;
        let blocks = archive::write(&mut tape, path)?;
        let mib = blocks / 4;
        let rate = u128::from(blocks) * 250 / start.elapsed().as_millis().max(1);
        println!(
            "{blocks} blocks of 256 KiB ({mib} MiB) and a filemark written at about {rate} MiB/s; the tape stands at object {}",
            tape.position()?
        );
        Ok(())
    }

    fn back_up(&self, cartridge: &Path, path: &Path) -> Result<(), Box<dyn Error>> {
        step(&format!("load the key for the volume in {DRIVE}"));
        println!("{}", self.tapekey(&["load", DRIVE, "--pool", GROUP])?);
        step(&format!(
            "back up {} as a tar stream, without a word to the daemon",
            path.display()
        ));
        self.write(path)?;
        step("what the drive says, now that no program uses it");
        println!("{}", self.tapekey(&["status", "--look"])?);
        step("take the proof and the key out of the drive");
        println!("{}", self.tapekey(&["clear", DRIVE])?);
        self.order(&["eject"])?;
        step("what the cartridge file really holds");
        println!("{}", self.sg_sim(&["inspect", &cartridge.display().to_string()])?);
        Ok(())
    }

    fn search(&self, cartridge: &Path, path: &Path, seed: Option<u64>) -> Result<(), Box<dyn Error>> {
        let seed = match seed {
            Some(seed) => seed,
            None => SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos().into(),
        };
        step(&format!(
            "search the cartridge file for {WINDOWS} random 32-byte windows of the files (seed {seed})"
        ));
        let mut random = Random::new(seed);
        if !windows::search_works(cartridge, &mut random)? {
            return Err(
                "the search does not find windows taken from the cartridge file itself, so it proves nothing".into(),
            );
        }
        let drawn = windows::draw(path, WINDOWS, &mut random)?;
        let found = windows::count_found(&drawn, cartridge)?;
        println!("found: {found} of {WINDOWS} (20 windows taken from the cartridge file itself were all found)");
        if found == 0 {
            Ok(())
        } else {
            Err("plain data is in the cartridge file".into())
        }
    }

    fn rotate(&self) -> Result<(), Box<dyn Error>> {
        step("rotate the key of the group");
        if self.external.is_some() {
            println!(
                "{}",
                self.kms(&["key", "create", "--server", SERVER, "--group", GROUP])?
            );
            return Ok(());
        }
        self.kms(&["key", "rotate", GROUP, "--single-copy"])?;
        println!("{}", self.kms(&["key", "list", GROUP])?);
        Ok(())
    }

    fn second_volume(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        step("a second volume, under the new key");
        let second = self.cartridge("QS0002L8");
        let file = second.display().to_string();
        self.sg_sim(&[
            "create",
            &file,
            "--medium-serial",
            "QS0002SERIAL",
            "--barcode",
            "QS0002L8",
        ])?;
        self.insert(&second)?;
        println!("{}", self.tapekey(&["load", DRIVE, "--pool", GROUP])?);
        self.write(path)?;
        Ok(())
    }

    fn restore(&self, first: &Path, path: &Path) -> Result<(), Box<dyn Error>> {
        step("restore the first volume: the key is found by the KAD read from its blocks");
        self.order(&["eject"])?;
        self.insert(first)?;
        println!("{}", self.tapekey(&["unlock", DRIVE])?);
        let mut tape = self.open()?;
        tape.rewind()?;
        let amount = archive::compare(&mut tape, path)?;
        println!("{} files, {} bytes: every byte as it was", amount.files, amount.bytes);
        println!("{}", self.tapekey(&["clear", DRIVE])?);
        Ok(())
    }
}

fn start_drive(programs: &Programs, work: &Path, keep: &Path) -> Result<Running, Box<dyn Error>> {
    let mut command = programs.command("sg-sim");
    command
        .arg("serve")
        .arg("--socket")
        .arg(work.join("drive"))
        .arg("--control")
        .arg(work.join("drive-control"));
    command.arg("--cartridge").arg(keep.join("QS0001L8.cart"));
    command.args([
        "--create",
        "--barcode",
        "QS0001L8",
        "--medium-serial",
        "QS0001SERIAL",
        "--serial",
        "QS00000001",
    ]);
    let mut drive = Running::start("sg-sim", command, keep)?;
    println!("{}", drive.ready_line()?);
    Ok(drive)
}

fn daemon_config(work: &Path, address: &str) -> String {
    let client = work.join("kms/clients/media-server-1");
    format!(
        r#"state_directory = "{state}"
allow_simulated_drives = true

[control]
socket = "{control}"

[kms]
addresses = ["{address}"]
ca = "{client}/ca.pem"
certificate = "{client}/certificate.pem"
key = "{client}/key.pem"

[[drive]]
name = "{DRIVE}"
socket = "{drive}"
nexus = "{NEXUS}"
serial = "QS00000001"
"#,
        state = work.join("state").display(),
        control = work.join("control").display(),
        client = client.display(),
        drive = work.join("drive").display(),
    )
}
