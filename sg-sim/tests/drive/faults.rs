//! Each fault of the model, set up by a script and met by an initiator, and the promise that a run can be repeated.

use crate::initiator::{Initiator, KEY};
use proptest::prelude::*;
use sg_sim::{
    ItNexus, Reply, Status,
    fault::{FaultScript, Faults, Outcome},
};

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const STATUS_PAGE: [u8; 12] = [0xA2, 0x20, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0];

/// Faults of a script, written as TOML.
fn script(text: &str, seed: u64) -> Faults {
    let script: FaultScript = toml::from_str(text).unwrap();
    let mut faults = Faults::new(seed);
    for rule in script.fault {
        rule.check(1).unwrap();
        faults.arm(rule);
    }
    faults
}

/// One fault at the next command.
fn once(fault: &str) -> Faults {
    script(&format!("[[fault]]\ndo = {{ {fault} }}"), 1)
}

/// What a command comes to behind these faults.
fn send(host: &mut Initiator, faults: &mut Faults, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Outcome {
    let position = host.drive.status(None).medium.map_or(0, |medium| medium.object);
    let plan = faults.plan(0, &host.nexus, cdb, position);
    plan.carry_out(&mut host.drive, &host.nexus, cdb, data_out, data_in)
}

#[track_caller]
fn reply(outcome: Outcome) -> Reply {
    match outcome {
        Outcome::Reply(reply) => reply,
        Outcome::Transport(host_status) => panic!("host status {host_status}"),
    }
}

fn code(reply: &Reply) -> (u8, u8, u8) {
    (reply.sense[2] & 0x0F, reply.sense[12], reply.sense[13])
}

#[test]
fn sense_comes_instead_of_the_command_or_after_it() {
    for (executed, position) in [(false, 0), (true, 1)] {
        let mut host = Initiator::with_blank_tape();
        let mut faults = once(&format!(
            r#"what = "sense", sense = "04/44/00", information = 3, executed = {executed}"#
        ));
        let answer = reply(send(&mut host, &mut faults, &[0x0A, 0, 0, 0, 3, 0], b"abc", &mut []));
        assert_eq!(
            (code(&answer), answer.sense[0], answer.sense[6]),
            ((4, 0x44, 0), 0xF0, 3)
        );
        assert_eq!(host.position(), position);
        assert_eq!(faults.armed(), 0);
    }
}

#[test]
fn a_deferred_error_belongs_to_an_earlier_command() {
    let mut host = Initiator::with_blank_tape();
    let mut faults = once(r#"what = "deferred", sense = "03/0C/00""#);
    let answer = reply(send(&mut host, &mut faults, &[0x0A, 0, 0, 0, 3, 0], b"abc", &mut []));
    assert_eq!((answer.sense[0], code(&answer)), (0x71, (3, 0x0C, 0)));
    assert_eq!(host.position(), 0, "the command itself was not executed");
}

#[test]
fn a_deferred_error_comes_in_descriptors_too() {
    let mut host = Initiator::with_blank_tape();
    let mut list = vec![0, 0, 0x10, 0, 0x0A, 0x0A, 0x04];
    list.resize(16, 0);
    host.exchange(&[0x15, 0x10, 0, 0, 16, 0], &list, 0).good();
    let mut faults = once(r#"what = "deferred", sense = "03/0C/00""#);
    let answer = reply(send(&mut host, &mut faults, &TEST_UNIT_READY, &[], &mut []));
    assert_eq!(answer.sense[..4], [0x73, 3, 0x0C, 0]);
}

#[test]
fn a_status_comes_without_sense() {
    let mut host = Initiator::with_blank_tape();
    let mut faults = once(r#"what = "status", status = 0x28"#);
    let answer = reply(send(&mut host, &mut faults, &TEST_UNIT_READY, &[], &mut []));
    assert_eq!((answer.status, answer.sense.len()), (Status(0x28), 0));
    let answer = reply(send(&mut host, &mut faults, &TEST_UNIT_READY, &[], &mut []));
    assert_eq!(answer.status, Status::GOOD);
}

#[test]
fn a_lost_command_was_executed_or_not() {
    for (executed, position) in [(false, 0), (true, 1)] {
        let mut host = Initiator::with_blank_tape();
        let mut faults = once(&format!(
            r#"what = "transport", host_status = 7, executed = {executed}"#
        ));
        let outcome = send(&mut host, &mut faults, &[0x0A, 0, 0, 0, 3, 0], b"abc", &mut []);
        assert_eq!(outcome, Outcome::Transport(7.try_into().unwrap()));
        assert_eq!(host.position(), position);
    }
}

#[test]
fn a_plan_says_how_long_to_wait_and_whether_the_drive_hangs() {
    let nexus = ItNexus::new("host1").unwrap();
    let mut faults = script(
        r#"
        [[fault]]
        do = { what = "slow", milliseconds = 300 }
        [[fault]]
        do = { what = "slow", milliseconds = 40 }
        [[fault]]
        at = { command = 2 }
        do = { what = "hang" }
        "#,
        1,
    );
    let plan = faults.plan(0, &nexus, &TEST_UNIT_READY, 0);
    assert_eq!((plan.delay().as_millis(), plan.hangs()), (340, false));
    assert!(faults.plan(0, &nexus, &TEST_UNIT_READY, 0).hangs());
}

#[test]
fn events_happen_before_the_command_which_then_reports_them() {
    for (fault, told) in [
        ("reset", (6, 0x29, 3)),
        ("nexus-loss", (6, 0x29, 7)),
        ("power-cycle", (6, 0x29, 0)),
        ("key-dropped", (6, 0x2A, 0x12)),
        ("key-changed", (6, 0x2A, 0x11)),
        ("library-takes-over", (6, 0x2A, 0x12)),
    ] {
        let mut host = Initiator::with_blank_tape();
        host.encrypt_with(&KEY, &[]);
        let mut faults = once(&format!(r#"what = "{fault}""#));
        let answer = reply(send(&mut host, &mut faults, &[0x0A, 0, 0, 0, 3, 0], b"abc", &mut []));
        assert_eq!(code(&answer), told, "{fault}");
        assert_eq!(host.position(), 0, "{fault}");
    }
}

#[test]
fn a_library_that_takes_over_leaves_no_key_and_takes_no_other() {
    let mut host = Initiator::with_blank_tape();
    host.encrypt_with(&KEY, &[]);
    let mut faults = once(r#"what = "library-takes-over", mode = "protocol-hidden""#);
    reply(send(&mut host, &mut faults, &TEST_UNIT_READY, &[], &mut []));
    assert_eq!(host.security_page(0x20, 0x20).sense_code(), (5, 0x24, 0));
    assert_eq!(host.load_key(0x40, 0x40, [2, 2], &KEY, &[]).sense_code(), (5, 0x24, 0));
}

#[test]
fn a_bad_block_stops_a_read_behind_the_good_ones() {
    let mut host = Initiator::with_blank_tape();
    for block in [b"0123", b"4567", b"89ab", b"cdef"] {
        host.write(block).good();
    }
    host.rewind();
    host.exchange(&[0x15, 0x10, 0, 0, 12, 0], &[0, 0, 0x10, 8, 0, 0, 0, 0, 0, 0, 0, 4], 0)
        .good();
    let mut faults = script(
        "[[fault]]\nat = { block = 2 }\ndo = { what = \"medium-error\" }\nalways = true",
        1,
    );
    for (count, moved) in [(4, 2), (2, 0)] {
        let mut data_in = [0xA5; 16];
        let answer = reply(send(
            &mut host,
            &mut faults,
            &[0x08, 1, 0, 0, count, 0],
            &[],
            &mut data_in,
        ));
        assert_eq!((code(&answer), answer.data_in), ((3, 0x11, 0), moved * 4));
        assert_eq!((answer.sense[0], answer.sense[6]), (0xF0, 2), "two blocks are missing");
        assert_eq!(data_in[..answer.data_in], b"01234567"[..answer.data_in]);
        assert_eq!(host.position(), 2);
    }
    let alerts = host.ask(&[0x4D, 0, 0x52, 0, 0, 0, 0, 1, 0, 0]).good();
    assert_eq!(alerts[8], 0b0011_1000, "TapeAlert 3, 4 and 5");
    host.locate(3);
    let mut data_in = [0; 4];
    assert_eq!(
        reply(send(&mut host, &mut faults, &[0x08, 1, 0, 0, 1, 0], &[], &mut data_in)).status,
        Status::GOOD
    );
}

#[test]
fn a_bad_block_stops_a_write() {
    let mut host = Initiator::with_blank_tape();
    let mut faults = script("[[fault]]\nat = { block = 1 }\ndo = { what = \"medium-error\" }", 1);
    let write = [0x0A, 0, 0, 0, 3, 0];
    assert_eq!(
        reply(send(&mut host, &mut faults, &write, b"abc", &mut [])).status,
        Status::GOOD
    );
    let answer = reply(send(&mut host, &mut faults, &write, b"def", &mut []));
    assert_eq!((code(&answer), answer.sense[6], host.position()), ((3, 0x0C, 0), 3, 1));
    assert_eq!(
        reply(send(&mut host, &mut faults, &write, b"def", &mut [])).status,
        Status::GOOD
    );
}

#[test]
fn pages_come_short_long_and_wrong() {
    for (fault, expected) in [
        (r#"what = "short-page", bytes = 5"#, vec![0x00, 0x20, 0x00, 0x14, 0x42]),
        (r#"what = "short-page", bytes = 999"#, vec![0; 24]),
        (r#"what = "page-length", value = 0xFFFF"#, vec![0x00, 0x20, 0xFF, 0xFF]),
        (r#"what = "page-code", value = 0x0021"#, vec![0x00, 0x21, 0x00, 0x14]),
        (r#"what = "long-page", extra = 3"#, vec![0; 27]),
        (r#"what = "long-page", extra = 999"#, vec![0; 64]),
    ] {
        let mut host = Initiator::with_blank_tape();
        host.encrypt_with(&KEY, &[]);
        let mut faults = once(fault);
        let mut data_in = [0xA5; 64];
        let answer = reply(send(&mut host, &mut faults, &STATUS_PAGE, &[], &mut data_in));
        assert_eq!(answer.status, Status::GOOD);
        if expected.len() > 5 {
            assert_eq!(answer.data_in, expected.len(), "{fault}");
            assert!(data_in[24..answer.data_in].iter().all(|byte| *byte == 0xEE), "{fault}");
        } else {
            assert_eq!(data_in[..expected.len()], expected, "{fault}");
        }
        assert!(answer.data_in > 5 || answer.data_in == expected.len());
    }
}

#[test]
fn several_faults_of_one_command_happen_and_the_first_answer_counts() {
    let mut host = Initiator::with_blank_tape();
    host.encrypt_with(&KEY, &[]);
    let mut faults = script(
        r#"
        [[fault]]
        do = { what = "status", status = 8 }
        [[fault]]
        do = { what = "key-dropped" }
        [[fault]]
        do = { what = "sense", sense = "04/44/00" }
        "#,
        1,
    );
    let answer = reply(send(&mut host, &mut faults, &TEST_UNIT_READY, &[], &mut []));
    assert_eq!(answer.status, Status::BUSY);
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (6, 0x2A, 0x12));
}

#[test]
fn a_script_with_a_mistake_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faults.toml");
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        FaultScript::read(&path, 1).unwrap_err().to_string()
    };
    let unknown = refused("seed = 1\n\n[[fault]]\ndo = { what = \"rest\" }\n");
    assert!(unknown.contains("line 4") && unknown.contains("rest"), "{unknown}");
    let zero = refused("[[fault]]\ndo = { what = \"reset\" }\n[[fault]]\ntimes = 0\ndo = { what = \"reset\" }\n");
    assert!(zero.contains("fault 2") && zero.contains("times is 0"), "{zero}");
    std::fs::remove_file(&path).unwrap();
    assert!(
        FaultScript::read(&path, 1)
            .unwrap_err()
            .to_string()
            .contains("faults.toml")
    );
}

/// Every kind of fault, each with a chance: what a run with this seed came to, command by command.
fn run(seed: u64) -> (Vec<Outcome>, Vec<String>) {
    let faults = [
        r#"what = "sense", sense = "04/44/00""#,
        r#"what = "deferred", sense = "03/0C/00""#,
        r#"what = "status", status = 8"#,
        r#"what = "transport", host_status = 7"#,
        r#"what = "transport", host_status = 7, executed = true"#,
        r#"what = "reset""#,
        r#"what = "nexus-loss""#,
        r#"what = "power-cycle""#,
        r#"what = "key-dropped""#,
        r#"what = "key-changed""#,
        r#"what = "short-page", bytes = 5"#,
        r#"what = "long-page", extra = 5"#,
    ];
    let text: String = faults
        .iter()
        .map(|fault| format!("[[fault]]\nat = {{ chance = 0.05 }}\ndo = {{ {fault} }}\nalways = true\n"))
        .collect();
    let mut faults = script(&text, seed);
    let mut host = Initiator::with_blank_tape();
    let (mut outcomes, mut struck) = (vec![], vec![]);
    for number in 0..60_u8 {
        let cdb: &[u8] = match number % 4 {
            0 => &[0x0A, 0, 0, 0, 3, 0],
            1 => &STATUS_PAGE,
            2 => &[0x01, 0, 0, 0, 0, 0],
            _ => &[0x08, 0, 0, 0, 3, 0],
        };
        let position = host.drive.status(None).medium.map_or(0, |medium| medium.object);
        let plan = faults.plan(0, &host.nexus, cdb, position);
        struck.extend(plan.struck().iter().map(ToString::to_string));
        let data_out: &[u8] = if number % 4 == 0 { b"abc" } else { b"" };
        outcomes.push(plan.carry_out(&mut host.drive, &host.nexus, cdb, data_out, &mut [0; 64]));
    }
    (outcomes, struck)
}

#[test]
fn the_same_seed_brings_the_same_faults() {
    let first = run(11);
    assert_eq!(first, run(11));
    assert_ne!(first.1, run(12).1);
    assert!(first.1.iter().any(|line| line.contains("at command")), "{:?}", first.1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_wrong_answers_are_well_formed(seed in any::<u64>()) {
        for outcome in run(seed).0 {
            if let Outcome::Reply(reply) = outcome {
                prop_assert!(reply.data_in <= 64);
                prop_assert_eq!(reply.sense.is_empty(), reply.status != Status::CHECK_CONDITION);
            }
        }
    }
}
