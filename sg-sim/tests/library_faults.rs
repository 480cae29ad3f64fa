//! Faults of a library: each strikes the unit that it is for, the changer as well as a drive, and leaves the others alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod library_support;

use std::sync::Arc;
use std::time::Duration;

use library_support::{CHANGER, Stand};
use sg_sim::fault::FaultScript;
use sg_sim::front::machine::{Client, Command, Machine, NoDrive, Outcome};
use sg_sim::{ItNexus, Pace, Status};

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const LIMIT: Duration = Duration::from_secs(10);

/// The small library behind a machine with these faults, its time virtual; the folder goes with the second value.
fn machine(faults: &str) -> (Machine, tempfile::TempDir) {
    let Stand { library, folder, .. } = Stand::small();
    let script: FaultScript = toml::from_str(faults).unwrap();
    for rule in &script.fault {
        rule.check(3).unwrap();
    }
    let machine = Machine::new(Arc::new(library)).with_faults(script.fault, 1, Box::new(|_| ()));
    (machine.with_pace(Pace::Virtual, || Duration::ZERO), folder)
}

fn test_unit_ready(machine: &Machine, unit: usize) -> Outcome {
    let command = Command {
        unit,
        nexus: &ItNexus::new("host1").unwrap(),
        cdb: &TEST_UNIT_READY,
        data_out: &[],
    };
    machine.execute(&command, &mut [], &mut Client::new(&mut || true).no_longer_than(LIMIT))
}

/// Sense key, ASC and ASCQ; `None` for GOOD.
fn sense(machine: &Machine, unit: usize) -> Option<(u8, u8, u8)> {
    match test_unit_ready(machine, unit) {
        Outcome::Reply(reply) if reply.status == Status::GOOD => None,
        Outcome::Reply(reply) => {
            let byte = |at: usize| reply.sense.get(at).copied().unwrap();
            Some((byte(2) & 0x0F, byte(12), byte(13)))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn sense_and_events_strike_the_changer() {
    let (machine, _folder) = machine(
        r#"fault = [
            { at = { unit = 2 }, do = { what = "sense", sense = "04/15/01" } },
            { at = { unit = 2, nth = 2 }, do = { what = "reset" } },
            { at = { unit = 2, nth = 3 }, do = { what = "power-cycle" } },
            { at = { unit = 2, nth = 4 }, do = { what = "nexus-loss" } },
            { at = { unit = 2, nth = 5 }, do = { what = "deferred", sense = "04/15/01" } },
        ]"#,
    );
    let wanted = [
        (4, 0x15, 0x01),
        (6, 0x29, 0x03),
        (6, 0x29, 0x00),
        (6, 0x29, 0x07),
        (4, 0x15, 0x01),
    ];
    for wanted in wanted {
        assert_eq!(sense(&machine, CHANGER), Some(wanted));
    }
    assert_eq!(sense(&machine, CHANGER), None);
}

#[test]
fn what_concerns_keys_blocks_and_time_passes_the_changer_by() {
    let (machine, _folder) = machine(
        r#"fault = [
            { at = { unit = 2 }, do = { what = "key-dropped" } },
            { at = { unit = 2 }, do = { what = "key-changed" } },
            { at = { unit = 2 }, do = { what = "library-takes-over" } },
            { at = { unit = 2 }, do = { what = "slow", milliseconds = 5000 } },
        ]"#,
    );
    assert_eq!(sense(&machine, CHANGER), None);
    assert_eq!(
        machine.with_drive(CHANGER, |_| ()),
        Err(NoDrive::Changer { unit: CHANGER })
    );
}

#[test]
fn a_drive_that_hangs_keeps_no_other_unit_waiting() {
    let (machine, _folder) = machine(r#"fault = [{ at = { unit = 0 }, do = { what = "hang" } }]"#);
    let no_answer = test_unit_ready(&machine, 0);
    assert!(matches!(no_answer, Outcome::Transport(host_status) if host_status.get() == 3));
    assert_eq!(sense(&machine, 1), Some((2, 0x3A, 0x00)));
    assert_eq!(sense(&machine, CHANGER), None);
    assert_eq!((machine.hang(0), machine.hang(1)), ((true, 0), (false, 0)));
    machine.reset(0).unwrap();
    assert_eq!(sense(&machine, 0), Some((6, 0x29, 0x03)));
}

#[test]
fn a_lost_command_is_that_of_one_unit() {
    let (machine, _folder) = machine("");
    machine.set_transport(1, std::num::NonZeroU8::new(1), 1, false);
    assert_eq!(sense(&machine, 0), Some((2, 0x3A, 0x00)));
    assert!(matches!(test_unit_ready(&machine, 1), Outcome::Transport(_)));
    assert_eq!(sense(&machine, 1), Some((2, 0x3A, 0x00)));
}
