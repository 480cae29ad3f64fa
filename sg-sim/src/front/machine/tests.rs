//! What a client of a machine gets when its unit does not answer as it should, at each pace of time.

use std::sync::mpsc::channel;

use super::*;
use crate::fault::FaultScript;
use crate::{Profile, SeededRandomness, Status};

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const TEN_SECONDS: Duration = Duration::from_secs(10);

fn machine(faults: &str, pace: Pace) -> Machine {
    let script: FaultScript = toml::from_str(faults).unwrap();
    let drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(1)));
    Machine::new(Arc::new(Mutex::new(drive)))
        .with_faults(script.fault, 1, Box::new(|_| ()))
        .with_pace(pace, || Duration::ZERO)
}

fn ask(machine: &Machine, client: &mut Client<'_>) -> Outcome {
    let command = Command {
        unit: 0,
        nexus: &ItNexus::new("host").unwrap(),
        cdb: &TEST_UNIT_READY,
        data_out: &[],
    };
    machine.execute(&command, &mut [], client)
}

fn ask_for(machine: &Machine, limit: Duration) -> Outcome {
    ask(machine, &mut Client::new(&mut || true).no_longer_than(limit))
}

fn host_status(outcome: &Outcome) -> Option<u8> {
    match outcome {
        Outcome::Transport(host_status) => Some(host_status.get()),
        Outcome::Reply(_) | Outcome::Gone => None,
    }
}

const HANG: &str = r#"fault = [{ do = { what = "hang" } }]"#;

#[test]
fn a_hang_is_over_for_its_client_when_its_time_is_up_at_once_where_time_is_not_real() {
    for pace in [Pace::Instant, Pace::Virtual] {
        let machine = machine(HANG, pace);
        for _ in 0..2 {
            assert_eq!(host_status(&ask_for(&machine, TEN_SECONDS)), Some(3), "{pace:?}");
        }
        assert_eq!(machine.hang(0), (true, 0));
        let elapsed = machine.with_drive(0, |drive| drive.elapsed()).unwrap();
        assert_eq!(elapsed.as_secs(), if pace == Pace::Virtual { 20 } else { 0 });
    }
}

#[test]
fn in_real_time_a_hung_command_waits_until_its_time_is_up() {
    let machine = machine(HANG, Pace::Real);
    let mut looks = 0;
    let mut present = || {
        looks += 1;
        true
    };
    let outcome = ask(
        &machine,
        &mut Client::new(&mut present).no_longer_than(Duration::from_millis(300)),
    );
    assert_eq!(host_status(&outcome), Some(3));
    // A client is looked at every tenth of a second.
    assert!((3..=4).contains(&looks), "{looks}");
}

#[test]
fn the_end_of_a_hang_lets_the_command_go_on() {
    let machine = machine(HANG, Pace::Real);
    std::thread::scope(|scope| {
        let (looked, looks) = channel();
        let hanging = scope.spawn(|| {
            let looked = looked;
            ask(&machine, &mut Client::new(&mut || looked.send(()).is_ok()))
        });
        // The client is asked whether it is still there only while its command waits.
        looks.recv_timeout(TEN_SECONDS).unwrap();
        machine.set_hang(0, false);
        let outcome = hanging.join().unwrap();
        assert!(
            matches!(&outcome, Outcome::Reply(reply) if reply.status == Status::CHECK_CONDITION),
            "{outcome:?}"
        );
    });
}

#[test]
fn a_reset_ends_what_waits_with_host_status_reset() {
    let machine = machine(HANG, Pace::Real);
    std::thread::scope(|scope| {
        let (looked, looks) = channel();
        let hanging = scope.spawn(|| {
            let looked = looked;
            ask(&machine, &mut Client::new(&mut || looked.send(()).is_ok()))
        });
        looks.recv_timeout(TEN_SECONDS).unwrap();
        machine.reset(0).unwrap();
        assert_eq!(host_status(&hanging.join().unwrap()), Some(8));
    });
    assert_eq!(machine.hang(0), (false, 0));
}

#[test]
fn a_host_in_a_hurry_takes_a_hang_for_a_time_out_in_real_time_too() {
    let machine = machine(HANG, Pace::Real);
    machine.hurry();
    assert_eq!(host_status(&ask_for(&machine, TEN_SECONDS)), Some(3));
}

#[test]
fn a_client_that_has_gone_gets_no_answer_and_its_command_is_not_executed() {
    let machine = machine(HANG, Pace::Real);
    assert_eq!(ask(&machine, &mut Client::new(&mut || false)), Outcome::Gone);
    machine.set_hang(0, false);
    // The first unit attention is still there.
    let outcome = ask(&machine, &mut Client::new(&mut || true));
    assert!(
        matches!(&outcome, Outcome::Reply(reply) if reply.sense.get(12..14) == Some(&[0x29, 0x00])),
        "{outcome:?}"
    );
}

#[test]
fn virtual_time_passes_with_a_slow_command_and_nobody_waits() {
    let slow = r#"fault = [{ do = { what = "slow", milliseconds = 600000 }, always = true }]"#;
    let machine = machine(slow, Pace::Virtual);
    assert!(matches!(
        ask(&machine, &mut Client::new(&mut || true)),
        Outcome::Reply(_)
    ));
    assert_eq!(machine.with_drive(0, |drive| drive.elapsed().as_secs()), Ok(600));
    // Half a minute is not enough, and is what passes.
    assert_eq!(host_status(&ask_for(&machine, 3 * TEN_SECONDS)), Some(3));
    assert_eq!(machine.with_drive(0, |drive| drive.elapsed().as_secs()), Ok(630));
}

#[test]
fn a_time_limit_takes_no_time_where_nothing_does() {
    let slow = r#"fault = [{ do = { what = "slow", milliseconds = 600000 } }]"#;
    assert_eq!(
        host_status(&ask_for(&machine(slow, Pace::Instant), TEN_SECONDS)),
        Some(3)
    );
}

#[test]
fn a_unit_that_is_not_there_answers_as_a_lun_that_is_not_there() {
    let machine = machine("", Pace::Instant);
    let command = Command {
        unit: 1,
        nexus: &ItNexus::new("host").unwrap(),
        cdb: &TEST_UNIT_READY,
        data_out: &[],
    };
    let outcome = machine.execute(&command, &mut [], &mut Client::new(&mut || true));
    assert!(
        matches!(&outcome, Outcome::Reply(reply) if reply.sense.get(12..14) == Some(&[0x25, 0x00])),
        "{outcome:?}"
    );
    assert_eq!(
        machine.with_drive(1, |_| ()),
        Err(NoDrive::NoSuchUnit { unit: 1, last: 0 })
    );
}
