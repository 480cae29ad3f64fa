//! The stage of these stories: one drive, KMS and daemon as processes, wires between them, and the look at everything after each moment.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::gate::Verdict;
use crate::support::kms_wire::KmsWire;
use crate::support::programs::{Ended, PATIENCE, sg_sim};
use crate::support::stage::{NEXUS, Stage};
use crate::support::tape::Tape;
use crate::support::wire::Wire;
use crate::tape_data::{Random, block, plain_windows};

pub(crate) const LOAD: &[&str] = &["load", "d1", "--pool", "ENCR_a"];
pub(crate) const UNLOCK: &[&str] = &["unlock", "d1"];
pub(crate) const CLEAR: &[&str] = &["clear", "d1"];

/// Something that happens in another thread.
pub(crate) struct Awaited<T>(Receiver<T>);

impl<T: Send + 'static> Awaited<T> {
    fn of(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (to, from) = channel();
        // A test that has failed meanwhile wants no answer.
        std::thread::spawn(move || drop(to.send(work())));
        Self(from)
    }

    /// Its end.
    #[track_caller]
    pub(crate) fn end(self) -> T {
        self.0.recv_timeout(PATIENCE).expect("it never ended")
    }

    /// Its end, if `gate` does not hold it first.
    pub(crate) fn end_unless_held(&self, wire: &Wire) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        while !wire.gate().holds_within(Duration::from_millis(20)) {
            if let Ok(end) = self.0.try_recv() {
                return Some(end);
            }
            assert!(Instant::now() < deadline, "neither held nor ended");
        }
        None
    }
}

/// What a program that writes a tape knows when it stops.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    /// Blocks that the drive acknowledged.
    pub(crate) acknowledged: usize,
    /// Whether all blocks and the filemark were.
    pub(crate) complete: bool,
}

/// A volume with data.
struct Volume {
    cartridge: PathBuf,
    seed: u64,
    /// From the first key that a job named for it.
    kad: Option<String>,
    written: Written,
}

pub(crate) struct Play {
    pub(crate) stage: Stage,
    pub(crate) wire: Wire,
    pub(crate) kms_wire: KmsWire,
    pub(crate) random: Random,
    seed: u64,
    volume: Volume,
    earlier: Vec<Volume>,
}

impl Play {
    pub(crate) fn new() -> Self {
        let seed = match std::env::var("TAPEKEY_KILL_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => RandomState::new().hash_one("kill") % 1_000_000,
        };
        println!("seed: TAPEKEY_KILL_SEED={seed}");
        let mut stage = Stage::without_daemon(1);
        stage.kms_command(&["group", "create", "ENCR_a"]).well();
        stage.kms_command(&["key", "rotate", "ENCR_a", "--single-copy"]).well();
        let direct = stage.sims[0].socket();
        let wire = Wire::lay(&direct, stage.path("wire"));
        let kms_wire = KmsWire::lay(&stage.kms_address);
        let config = stage
            .config_text()
            .replace(&direct.display().to_string(), &wire.socket().display().to_string())
            .replace(&stage.kms_address, kms_wire.address());
        std::fs::write(stage.config(), config).unwrap();
        stage.start_daemon();
        let volume = Volume {
            cartridge: stage.sims[0].first_cartridge(),
            seed,
            kad: None,
            written: Written::default(),
        };
        Self {
            stage,
            wire,
            kms_wire,
            random: Random::new(seed),
            seed,
            volume,
            earlier: Vec::new(),
        }
    }

    /// Begins a story of its own on a blank volume.
    pub(crate) fn moment(&mut self, moment: &str) {
        println!("moment: {moment}");
        let number = self.earlier.len() + 1;
        let cartridge = self.stage.sims[0].blank_cartridge(&format!("K{number:05}L8"));
        let seed = self.seed.wrapping_add(u64::try_from(number).unwrap() << 20);
        let volume = Volume {
            cartridge,
            seed,
            kad: None,
            written: Written::default(),
        };
        self.earlier.push(std::mem::replace(&mut self.volume, volume));
        self.stage.sims[0].swap(&self.volume.cartridge);
    }

    /// `tapekey ARGUMENTS`, not waited for.
    pub(crate) fn ask(&self, arguments: &'static [&'static str]) -> Awaited<Ended> {
        let mut command = self.stage.tapekey_command();
        command.arg("--json").args(arguments);
        Awaited::of(move || Ended::of(&mut command))
    }

    /// `tapekey load`, which must end well.
    pub(crate) fn load(&mut self) -> Value {
        let job = self.stage.good(LOAD);
        self.loaded(&job);
        job
    }

    /// A load ended well, so the writer may begin.
    pub(crate) fn loaded(&mut self, job: &Value) {
        assert_eq!(job["outcome"], "key_loaded", "{job:#}");
        let kad = job["key"]["kad"].as_str().unwrap().to_owned();
        if self.volume.written.acknowledged > 0 {
            assert_eq!(Some(&kad), self.volume.kad.as_ref(), "a second key on a volume");
        }
        self.volume.kad = Some(kad);
    }

    /// A program writes blocks and a filemark where the tape stands, and stops at the first surprise.
    pub(crate) fn writer(&self, blocks: usize) -> Awaited<Written> {
        let (socket, seed) = (self.wire.socket().to_owned(), self.volume.seed);
        let from = self.volume.written.acknowledged;
        let mut tape = Tape::open(&socket, NEXUS);
        Awaited::of(move || {
            let mut written = Written {
                acknowledged: from,
                complete: false,
            };
            while written.acknowledged < from + blocks {
                if let Err(why) = tape.try_write(&block(seed, written.acknowledged)) {
                    println!("the writer stopped at block {}: {why}", written.acknowledged);
                    return written;
                }
                written.acknowledged += 1;
            }
            written.complete = tape.try_filemark().is_ok();
            written
        })
    }

    /// The same, to its end, whatever that is.
    pub(crate) fn written(&mut self, writer: Awaited<Written>) -> Written {
        self.volume.written = writer.end();
        self.volume.written
    }

    /// A whole backup without a disturbance.
    pub(crate) fn back_up(&mut self) {
        let blocks = 2 + self.random.below(6);
        let writer = self.writer(blocks);
        assert!(self.written(writer).complete, "an undisturbed backup");
    }

    pub(crate) fn rewind(&self) {
        Tape::open(self.wire.socket(), NEXUS).rewind();
    }

    /// What the drive itself does for programs of this host.
    pub(crate) fn drive(&self) -> Value {
        self.stage.sims[0].order(&json!({ "verb": "status", "nexus": NEXUS }))["status"].clone()
    }

    /// Whether the drive holds a key.
    pub(crate) fn holds_key(&self) -> bool {
        let drive = self.drive();
        assert_eq!(drive["plain_blocks"], 0, "{drive:#}");
        drive["encryption"] != "disable" || drive["decryption"] != "disable"
    }

    pub(crate) fn kill_daemon(&mut self) {
        self.stage.daemon().kill();
    }

    /// Power comes back to the drive, with the volume in it.
    pub(crate) fn restart_drive(&mut self) {
        self.stage.sims[0].restart(&self.volume.cartridge);
        assert!(!self.holds_key(), "a power loss leaves no key");
    }

    /// What is held on the wire goes no further, and its connection ends.
    pub(crate) fn cut(&self) {
        self.wire.gate().decide(Verdict::Cut);
    }

    pub(crate) fn go_on(&self) {
        self.wire.gate().decide(Verdict::GoOn);
    }

    /// The status of the drive, as soon as the daemon could read it.
    pub(crate) fn known_status(&self) -> Value {
        self.until("the daemon reads the drive", || {
            let status = self.stage.status("d1");
            status["modes"]["known"].is_object().then_some(status)
        })
    }

    /// The last job, which the restarted daemon marked, with what it then found in the drive.
    pub(crate) fn interrupted_job(&self) -> Value {
        let job = self.until("the restarted daemon tells of its drive", || {
            let job = self.stage.good(&["job", "list"])[0].clone();
            let told = job["messages"].to_string().contains("when the daemon started again: ");
            told.then_some(job)
        });
        assert_eq!(job["outcome"], "interrupted", "{job:#}");
        let no_key = job["messages"].to_string().contains("no key of ours");
        assert_eq!(no_key, !self.holds_key(), "{job:#}");
        job
    }

    /// All audit records of the KMS, the chain checked.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let mut list = Command::new(env!("CARGO_BIN_EXE_tapekey-kms"));
        list.args(["audit", "list", "--json"]).arg(self.stage.path("kms"));
        let lines = Ended::of(&mut list).well();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for one more record of `action` than there were before.
    pub(crate) fn audited(&self, action: &str, before: &[Value]) {
        let count = |records: &[Value]| records.iter().filter(|record| record["action"] == action).count();
        let before = count(before);
        self.until("the audit record is on disk", || {
            (count(&self.audit()) > before).then_some(())
        });
    }

    #[track_caller]
    fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(Instant::now() < deadline, "it never came to this: {what}");
        }
    }

    /// After each moment: whatever key is in the drive is one that can be found again, a backup goes on, and the volume is as promised.
    pub(crate) fn finish(&mut self) {
        if self.drive()["objects"] == 0 {
            if self.holds_key() {
                // Nobody was told to write, but somebody may: that must be cipher text under a key that is found again.
                let stray = self.writer(1);
                assert!(self.written(stray).complete);
            } else {
                self.load();
                self.back_up();
            }
        }
        self.look_at_volume();
    }

    /// The key of the volume in the drive is found, every acknowledged block reads back, and its cartridge holds cipher text alone.
    fn look_at_volume(&mut self) {
        self.rewind();
        let unlock = self.stage.good(UNLOCK);
        let kad = unlock["key"]["kad"].as_str().unwrap();
        if let Some(loaded) = &self.volume.kad {
            assert_eq!(kad, loaded, "the KAD on the tape is that of the load");
        }
        let on_tape = self.read_back();
        let clear = self.stage.good(CLEAR);
        assert_eq!(
            (&clear["outcome"], &clear["proof"]["verdict"]),
            (&json!("cleared"), &json!("all encrypted")),
            "{clear:#}"
        );
        self.stage.sims[0].order(&json!({ "verb": "eject" }));
        let report = inspect(&self.volume.cartridge);
        assert_eq!(
            (&report["plain_blocks"], &report["damaged"], &report["encrypted_blocks"]),
            (&json!(0), &json!(0), &json!(on_tape)),
            "{report:#}"
        );
        for object in report["objects"].as_array().unwrap() {
            let own = object["sealed"]["kads"][0]["hex"] == kad.to_uppercase();
            assert!(own || object["kind"] == "filemark", "{kad}: {object:#}");
        }
        let file = std::fs::read(&self.volume.cartridge).unwrap();
        // One more than acknowledged may have been sent.
        let blocks = self.volume.written.acknowledged + 1;
        assert_eq!(
            plain_windows(&file, self.volume.seed, blocks),
            0,
            "plain data in the cartridge file"
        );
        self.stage.sims[0].order(&json!({ "verb": "load", "file": self.volume.cartridge }));
    }

    /// Reads the volume to its end and compares; returns how many blocks there are.
    fn read_back(&self) -> usize {
        const FILEMARK: u8 = 0x80;
        const BLANK_CHECK: u8 = 0x08;
        let mut tape = Tape::open(self.wire.socket(), NEXUS);
        tape.rewind();
        let Written { acknowledged, complete } = self.volume.written;
        for number in 0.. {
            match tape.read() {
                Ok(data) => assert!(
                    data == block(self.volume.seed, number),
                    "block {number} reads back otherwise"
                ),
                Err(sense) if sense[2] & (FILEMARK | 0x0F) == FILEMARK || sense[2] & 0x0F == BLANK_CHECK => {
                    let more = usize::from(!complete);
                    assert!(
                        (acknowledged..=acknowledged + more).contains(&number),
                        "{acknowledged} blocks were acknowledged, {number} are there"
                    );
                    return number;
                }
                Err(sense) => panic!("block {number}: sense {sense:02X?}"),
            }
        }
        unreachable!()
    }

    /// Every volume of this play, once more: the keys of all of them are still found.
    pub(crate) fn look_at_all_volumes(&mut self) {
        println!("moment: after all of them");
        for volume in std::mem::take(&mut self.earlier) {
            if volume.written.acknowledged > 0 {
                self.stage.sims[0].swap(&volume.cartridge);
                self.volume = volume;
                self.look_at_volume();
            }
        }
    }
}

pub(crate) fn inspect(cartridge: &Path) -> Value {
    let mut inspect = Command::new(sg_sim());
    inspect.args(["inspect", "--json"]).arg(cartridge);
    serde_json::from_str(&Ended::of(&mut inspect).well()).unwrap()
}

#[test]
fn a_plain_volume_does_not_pass_for_an_encrypted_one() {
    let mut play = Play::new();
    play.back_up();
    play.stage.sims[0].order(&json!({ "verb": "eject" }));
    let written = play.volume.written.acknowledged;
    assert_eq!(inspect(&play.volume.cartridge)["plain_blocks"], written);
    let file = std::fs::read(&play.volume.cartridge).unwrap();
    let pieces = written * crate::tape_data::BLOCK_LENGTH / 32;
    assert_eq!(plain_windows(&file, play.volume.seed, written + 1), pieces);
}
