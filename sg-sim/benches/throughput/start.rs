//! How long it takes from the start of `sg-sim serve`, the program itself, to the answer to its first INQUIRY.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sg_sim::{Cartridge, MediumSpec};

use super::ours::Remote;

/// With what the drive starts.
#[derive(Clone, Copy)]
pub(super) enum Start {
    /// No cartridge.
    Empty,
    /// A cartridge that is there, with 10 000 blocks of 4 KiB on it.
    Written,
    /// A cartridge made for it, which is synced to the disk before the drive listens.
    Created,
}

impl Start {
    pub(super) const ALL: [Self; 3] = [Self::Empty, Self::Written, Self::Created];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "start, empty",
            Self::Written => "start, 10000 blocks",
            Self::Created => "start, new cartridge",
        }
    }

    /// Starts the program in `folder`, sends INQUIRY and ends it again. `turn` names the files.
    pub(super) fn once(self, folder: &Path, turn: usize) -> Duration {
        let socket = folder.join(format!("{turn}.sock"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_sg-sim"));
        command.arg("serve").arg("--socket").arg(&socket).stdout(Stdio::piped());
        match self {
            Self::Empty => &mut command,
            Self::Written => command.arg("--cartridge").arg(written(folder)),
            Self::Created => command
                .arg("--cartridge")
                .arg(folder.join(format!("{turn}.cart")))
                .arg("--create"),
        };
        let began = Instant::now();
        let mut server = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("listening"), "{line:?}");
        let mut inquiry = [0; 36];
        let mut client = Remote::greeted(UnixStream::connect(&socket).unwrap());
        client.execute([0x12, 0, 0, 0, 36, 0], &[], &mut inquiry);
        let took = began.elapsed();
        assert_eq!(&inquiry[8..16], b"IBM     ");
        server.kill().unwrap();
        server.wait().unwrap();
        took
    }
}

/// The written cartridge, made at its first use.
fn written(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("written.cart");
    if !path.exists() {
        let mut drive = super::ours::keyed(Cartridge::create(&path, &MediumSpec::default()).unwrap());
        super::ours::write_blocks(&mut drive, &[0xA5; 4096], 10_000);
    }
    path
}
