//! `kill -9` of the daemon, the KMS or the drive at ten moments each: no plain block on the volume, and every key is found again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::stage::{NEXUS, Stage};
use support::tape::Tape;

const BLOCK: &[u8] = b"a block that must never be on the tape as it stands here, whatever is killed";

/// Moments at which something is killed: before the n-th command that the daemon sends to the drive. A load takes about eighteen, a
/// clear seven.
const MOMENTS: [u64; 10] = [1, 3, 6, 9, 12, 15, 18, 20, 22, 24];

/// Kills a process before a certain command reaches the drive.
#[derive(Default)]
struct Trap {
    commands: u64,
    set: Option<(u64, Pid)>,
}

impl Trap {
    fn command_passes(&mut self) {
        self.commands += 1;
        if let Some((_, victim)) = self.set.take_if(|(moment, _)| *moment == self.commands) {
            kill(victim, Signal::SIGKILL).unwrap();
        }
    }
}

/// Stands between the daemon and the drive's socket.
fn stand_between(listen: &Path, drive: &Path) -> Arc<Mutex<Trap>> {
    let trap = Arc::new(Mutex::new(Trap::default()));
    let (listener, drive, shared) = (UnixListener::bind(listen).unwrap(), drive.to_owned(), trap.clone());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            // No drive: the client finds its connection closed.
            let Ok(server) = UnixStream::connect(&drive) else {
                continue;
            };
            let (mut from, mut to, trap) = (client.try_clone().unwrap(), server.try_clone().unwrap(), shared.clone());
            std::thread::spawn(move || {
                let _ = pass_requests(&mut from, &mut to, &trap);
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
            let (mut from, mut to) = (server, client);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    trap
}

/// Passes on the hello and then request after request (`sg-sim/PROTOCOL.md`, 1.2 and 1.4).
fn pass_requests(from: &mut UnixStream, to: &mut UnixStream, trap: &Mutex<Trap>) -> std::io::Result<()> {
    let mut hello = [0; 8];
    from.read_exact(&mut hello)?;
    pass(from, to, &hello, u64::from(u16::from_be_bytes([hello[6], hello[7]])))?;
    loop {
        let mut head = [0; 16];
        from.read_exact(&mut head)?;
        trap.lock().unwrap().command_passes();
        let cdb = u64::from(u16::from_be_bytes([head[4], head[5]]));
        let data = u64::from(u32::from_be_bytes([head[8], head[9], head[10], head[11]]));
        pass(from, to, &head, cdb + data)?;
    }
}

fn pass(from: &mut UnixStream, to: &mut UnixStream, head: &[u8], more: u64) -> std::io::Result<()> {
    let mut frame = head.to_vec();
    from.take(more).read_to_end(&mut frame)?;
    to.write_all(&frame)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Daemon,
    Kms,
    Drive,
}

/// Kills `victim` at every moment in turn, each time with a fresh volume, and looks at what is left.
fn kill_at_every_moment(victim: Victim) {
    let mut stage = Stage::without_daemon(1);
    stage.kms_command(&["group", "create", "ENCR_a"]).well();
    stage.kms_command(&["key", "rotate", "ENCR_a", "--single-copy"]).well();
    let between = stage.path("between");
    let trap = stand_between(&between, &stage.sims[0].socket());
    let config = stage.config_text().replace(
        &stage.sims[0].socket().display().to_string(),
        &between.display().to_string(),
    );
    std::fs::write(stage.config(), config).unwrap();
    stage.start_daemon();
    let mut written = 0;
    for moment in MOMENTS {
        let cartridge = stage.sims[0].blank_cartridge(&format!("A{moment:05}L8"));
        stage.sims[0].swap(&cartridge);
        let pid = match victim {
            Victim::Daemon => stage.daemon().pid(),
            Victim::Kms => stage.kms.pid(),
            Victim::Drive => stage.sims[0].process.pid(),
        };
        *trap.lock().unwrap() = Trap {
            commands: 0,
            set: Some((moment, Pid::from_raw(i32::try_from(pid).unwrap()))),
        };
        let blocks = back_up(&stage);
        let sprung = std::mem::take(&mut *trap.lock().unwrap());
        assert!(
            sprung.set.is_none(),
            "only {} commands, none at moment {moment}",
            sprung.commands
        );
        revive(&mut stage, victim, &cartridge);
        look(&stage, &cartridge, blocks, moment);
        written += blocks;
    }
    assert!(written >= 6, "late moments leave time to write: {written}");
}

/// A backup: load, write, clear. The program stops at any error.
fn back_up(stage: &Stage) -> usize {
    let (code, job, _) = stage.ask(&["load", "d1", "--pool", "ENCR_a"]);
    if code != 0 {
        return 0;
    }
    assert_eq!(job["outcome"], "key_loaded");
    let Some(mut tape) = Tape::try_open(&stage.sims[0].socket(), NEXUS) else {
        return 0;
    };
    let blocks = (0..3).take_while(|_| tape.write(BLOCK).is_ok()).count();
    if blocks == 3 {
        tape.filemark();
    }
    stage.ask(&["clear", "d1"]);
    blocks
}

/// Starts again what was killed, and makes sure that it was.
fn revive(stage: &mut Stage, victim: Victim, cartridge: &Path) {
    match victim {
        Victim::Daemon => {
            stage.daemon().kill();
            stage.start_daemon();
        }
        Victim::Kms => stage.restart_kms(),
        Victim::Drive => stage.sims[0].restart(cartridge),
    }
}

/// Nothing plain on the volume, and what is on it can be read.
fn look(stage: &Stage, cartridge: &Path, blocks: usize, moment: u64) {
    let status = stage.sims[0].order(&serde_json::json!({ "verb": "status" }))["status"].clone();
    assert_eq!(status["plain_blocks"], 0, "moment {moment}: {status}");
    assert_eq!(status["encrypted_blocks"], blocks, "moment {moment}: {status}");
    let file = std::fs::read(cartridge).unwrap();
    assert!(
        !file.windows(32).any(|window| window == &BLOCK[..32]),
        "moment {moment}: plain text in the file"
    );
    // Out and in again: at the beginning, and without a key.
    stage.sims[0].swap(cartridge);
    if blocks > 0 {
        let unlock = stage.good(&["unlock", "d1"]);
        assert_eq!(unlock["outcome"], "key_loaded", "moment {moment}");
        let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
        for _ in 0..blocks {
            assert_eq!(tape.read().unwrap(), BLOCK, "moment {moment}");
        }
    }
    stage.good(&["clear", "d1"]);
}

#[test]
fn killing_the_daemon_leaves_no_plain_block_and_loses_no_key() {
    kill_at_every_moment(Victim::Daemon);
}

#[test]
fn killing_the_kms_leaves_no_plain_block_and_loses_no_key() {
    kill_at_every_moment(Victim::Kms);
}

#[test]
fn killing_the_drive_leaves_no_plain_block_and_loses_no_key() {
    kill_at_every_moment(Victim::Drive);
}
