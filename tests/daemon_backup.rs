//! The main job, end to end, with the programs as they really run: key in, cipher text on tape, key found again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use support::stage::{NEXUS, Stage};
use support::tape::Tape;

const BLOCK: &[u8] = b"a block that nobody may find in the cartridge file, whoever looks for it";

fn write_blocks(tape: &mut Tape, count: usize) {
    for _ in 0..count {
        tape.write(BLOCK).unwrap();
    }
    tape.filemark();
}

fn holds(file: &std::path::Path, needle: &[u8]) -> bool {
    std::fs::read(file)
        .unwrap()
        .windows(needle.len())
        .any(|window| window == needle)
}

#[test]
fn a_backup_is_cipher_text_and_its_key_is_found_again() {
    let stage = Stage::new(1);
    let sim = &stage.sims[0];

    let load = stage.good(&["load", "d1", "--pool", "ENCR_a", "--barcode", "A00001L8"]);
    assert_eq!(load["outcome"], "key_loaded");
    assert_eq!(load["volume"]["serial"], "MEDIUM0001");
    assert_eq!(load["volume"]["barcode"], "A00001L8");
    assert_eq!(load["drive"]["serial"], "1013000101");
    assert_eq!(
        (&load["key"]["group"], &load["key"]["name"]),
        (&"ENCR_a".into(), &"first".into())
    );
    assert_eq!(
        (&load["in_force"]["encryption"], &load["in_force"]["decryption"]),
        (&"ENCRYPT".into(), &"DECRYPT".into())
    );
    assert_eq!(
        (&load["kms"]["name"], &load["kms"]["address"]),
        (&"built-in".into(), &stage.kms_address.as_str().into())
    );
    let kad = load["key"]["kad"].as_str().unwrap().to_owned();
    assert!(kad.starts_with("544b11") && kad.len() == 60, "{kad}");

    let mut tape = Tape::open(&sim.socket(), NEXUS);
    write_blocks(&mut tape, 5);
    let status = stage.status("d1");
    assert_eq!(status["modes"]["known"]["encryption"], "ENCRYPT");
    assert_eq!(status["modes"]["known"]["key_id"], load["key"]["id"]);
    assert_eq!(status["loaded_by"], load["id"]);
    assert_eq!(status["alarms"], serde_json::json!([]));

    let clear = stage.good(&["clear", "d1"]);
    assert_eq!(clear["outcome"], "cleared");
    assert_eq!(clear["proof"]["verdict"], "all encrypted");
    assert_eq!(
        (&clear["related_job"], &clear["key"]["id"]),
        (&load["id"], &load["key"]["id"])
    );
    let load_now = stage.good(&["job", "show", "1"]);
    assert_eq!(
        (&load_now["related_job"], &load_now["proof"]),
        (&clear["id"], &clear["proof"])
    );
    assert!(load_now["not_proven"].is_null());
    assert_eq!(stage.status("d1")["modes"]["known"]["encryption"], "DISABLE");

    tape.rewind();
    assert_eq!(
        &tape.read().unwrap_err()[12..14],
        [0x74, 0x01],
        "unreadable without the key"
    );
    let cartridge = sim.first_cartridge();
    sim.swap(&sim.blank_cartridge("A00009L8"));
    assert!(!holds(&cartridge, &BLOCK[..32]), "plain text in the cartridge file");
    sim.swap(&cartridge);

    let unlock = stage.good(&["unlock", "d1"]);
    assert_eq!(
        (&unlock["outcome"], &unlock["key"]["kad"]),
        (&"key_loaded".into(), &kad.as_str().into())
    );
    assert_eq!(
        unlock["in_force"]["encryption"], "ENCRYPT",
        "a stray write must not go plain"
    );
    let mut tape = Tape::open(&sim.socket(), NEXUS);
    for _ in 0..5 {
        assert_eq!(tape.read().unwrap(), BLOCK);
    }
}

#[test]
fn a_volume_keeps_its_key_after_a_rotation_and_a_new_volume_gets_the_new_one() {
    let stage = Stage::new(1);
    let sim = &stage.sims[0];
    let first = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    write_blocks(&mut Tape::open(&sim.socket(), NEXUS), 1);
    stage
        .kms_command(&["key", "rotate", "ENCR_a", "--name", "second", "--single-copy"])
        .well();
    let cartridge = sim.first_cartridge();
    sim.swap(&sim.blank_cartridge("A00002L8"));

    let second = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    assert_eq!(second["key"]["name"], "second");
    assert_ne!(second["key"]["kad"], first["key"]["kad"]);
    write_blocks(&mut Tape::open(&sim.socket(), NEXUS), 1);

    sim.swap(&cartridge);
    let again = stage.good(&["load", "d1"]);
    assert_eq!(
        (&again["key"]["kad"], &again["pool"]),
        (&first["key"]["kad"], &"ENCR_a".into())
    );
    assert_eq!(
        (&again["key"]["name"], &again["key"]["state"]),
        (&"first".into(), &"inactive".into())
    );
    let mut tape = Tape::open(&sim.socket(), NEXUS);
    assert_eq!(tape.read().unwrap(), BLOCK);
    write_blocks(&mut tape, 2);
    assert_eq!(stage.good(&["clear", "d1"])["proof"]["verdict"], "all encrypted");
}

#[test]
fn a_plain_pool_gets_no_key_and_loses_ours() {
    let stage = Stage::new(1);
    let plain = stage.good(&["load", "d1", "--pool", "Scratch"]);
    assert_eq!(plain["outcome"], "plain");
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    assert_eq!(stage.good(&["load", "d1", "--pool", "Scratch"])["outcome"], "plain");
    assert_eq!(stage.status("d1")["modes"]["known"]["encryption"], "DISABLE");
}

#[test]
fn a_pool_that_allows_plain_blocks_goes_on_in_cipher_text_under_one_key() {
    let stage = Stage::without_daemon(1);
    stage.kms_command(&["group", "create", "ENCR_m"]).well();
    stage.kms_command(&["key", "rotate", "ENCR_m", "--single-copy"]).well();
    let stage = stage.with_daemon("[[pool]]\nname = \"ENCR_m\"\nplain_blocks = \"allow\"\n");
    let sim = &stage.sims[0];
    let mut tape = Tape::open(&sim.socket(), NEXUS);
    tape.write(b"a plain label").unwrap();
    tape.rewind();
    let load = stage.good(&["load", "d1", "--pool", "ENCR_m"]);
    assert_eq!(load["in_force"]["decryption"], "MIXED");
    assert_eq!(tape_after_attentions(sim).read().unwrap(), b"a plain label");
    let mut tape = tape_after_attentions(sim);
    tape.write(BLOCK).unwrap();
    tape.filemark();
    assert_eq!(
        stage.good(&["clear", "d1"])["proof"]["verdict"],
        "plain before object 1"
    );
    tape.rewind();
    let again = stage.good(&["load", "d1", "--pool", "ENCR_m"]);
    assert_eq!(again["key"]["kad"], load["key"]["kad"], "never a second key");
    stage.good(&["clear", "d1"]);
    let unlock = stage.good(&["unlock", "d1"]);
    assert_eq!(unlock["in_force"]["decryption"], "MIXED");
    let mut tape = tape_after_attentions(sim);
    assert_eq!(tape.read().unwrap(), b"a plain label");
    assert_eq!(tape.read().unwrap(), BLOCK);
    assert!(!holds(&sim.first_cartridge(), &BLOCK[..32]));
}

fn tape_after_attentions(sim: &support::stage::Sim) -> Tape {
    Tape::open(&sim.socket(), NEXUS)
}
