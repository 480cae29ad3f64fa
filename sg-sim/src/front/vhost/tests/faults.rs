//! What becomes of a guest's requests when something goes wrong on order.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::guest::{CONTROL, Guest, REQUESTS, drive, header, lanes, lun, task_management};
use crate::fault::{FaultScript, Struck};
use crate::front::machine::Machine;

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const PATIENCE: Duration = Duration::from_secs(20);

/// A machine in front of a drive, with these faults, and a channel that tells which of them strike.
fn machine(faults: &str) -> (Arc<Machine>, Receiver<usize>) {
    let script: FaultScript = toml::from_str(faults).unwrap();
    let (tell, strikes) = channel();
    let report = Box::new(move |struck: &Struck| tell.send(struck.rule).unwrap());
    (
        Arc::new(Machine::new(drive()).with_faults(script.fault, 1, report)),
        strikes,
    )
}

#[test]
fn sense_status_and_events_reach_the_guest() {
    let (machine, strikes) = machine(
        r#"fault = [
            { at = { command = 3 }, do = { what = "sense", sense = "04/44/00" } },
            { at = { command = 4 }, do = { what = "status", status = 8 } },
            { at = { command = 5 }, do = { what = "reset" } },
        ]"#,
    );
    let mut guest = Guest::on(lanes(&machine), REQUESTS);
    for _ in 0..2 {
        guest.command(&TEST_UNIT_READY, 0);
    }
    assert_eq!(guest.command(&TEST_UNIT_READY, 0).sense_code(), (4, 0x44, 0));
    let busy = guest.command(&TEST_UNIT_READY, 0);
    assert_eq!((busy.outcome(), busy.status()), (0, 8));
    assert_eq!(guest.command(&TEST_UNIT_READY, 0).sense_code(), (6, 0x29, 3));
    assert_eq!(strikes.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_lost_command_is_answered_as_the_host_status_says() {
    for (host_status, outcome) in [
        (1, 3),
        (2, 5),
        (3, 9),
        (4, 3),
        (5, 2),
        (7, 9),
        (8, 4),
        (14, 6),
        (16, 7),
        (17, 8),
    ] {
        let (machine, strikes) = machine(&format!(
            "fault = [{{ do = {{ what = \"transport\", host_status = {host_status} }} }}]"
        ));
        let mut guest = Guest::on(lanes(&machine), REQUESTS);
        let answer = guest.command(&TEST_UNIT_READY, 64);
        assert_eq!((answer.outcome(), answer.status(), answer.written), (outcome, 0, 108));
        assert_eq!(guest.command(&TEST_UNIT_READY, 0).sense_code(), (6, 0x29, 0));
        assert_eq!(strikes.try_iter().count(), 1);
    }
}

const HANG: &str = "fault = [{ do = { what = \"hang\" } }]";

#[test]
fn a_hung_command_is_ended_by_an_abort_with_its_tag() {
    let (machine, strikes) = machine(HANG);
    let lanes = lanes(&machine);
    let mut requests = Guest::on(Arc::clone(&lanes), REQUESTS);
    let mut control = Guest::on(lanes, CONTROL);
    let hanging = requests.send(&[&header(lun(0), &TEST_UNIT_READY)], 108);
    assert_eq!(strikes.recv_timeout(PATIENCE), Ok(1));
    let abort = control.send(&[&task_management(0, lun(0))], 1);
    assert_eq!(requests.receive(hanging).outcome(), 2, "ABORTED");
    assert_eq!(control.receive(abort).bytes, [0]);
    assert_eq!(machine.hang(0), (true, 0), "the drive hangs on");
    machine.set_hang(0, false);
    assert_eq!(requests.command(&TEST_UNIT_READY, 0).sense_code(), (6, 0x29, 0));
}

#[test]
fn an_abort_of_another_task_leaves_the_hung_one_waiting() {
    let (machine, strikes) = machine(HANG);
    let lanes = lanes(&machine);
    let mut requests = Guest::on(Arc::clone(&lanes), REQUESTS);
    let mut control = Guest::on(lanes, CONTROL);
    let hanging = requests.send(&[&header(lun(0), &TEST_UNIT_READY)], 108);
    assert_eq!(strikes.recv_timeout(PATIENCE), Ok(1));
    let mut other = task_management(0, lun(0));
    other[16] = 0;
    let abort = control.send(&[&other], 1);
    assert_eq!(requests.used(), None);
    machine.set_hang(0, false);
    assert_eq!(requests.receive(hanging).sense_code(), (6, 0x29, 0));
    assert_eq!(control.receive(abort).bytes, [0]);
}

#[test]
fn a_logical_unit_reset_ends_a_hang() {
    let (machine, strikes) = machine(HANG);
    let lanes = lanes(&machine);
    let mut requests = Guest::on(Arc::clone(&lanes), REQUESTS);
    let mut control = Guest::on(lanes, CONTROL);
    let hanging = requests.send(&[&header(lun(0), &TEST_UNIT_READY)], 108);
    assert_eq!(strikes.recv_timeout(PATIENCE), Ok(1));
    let reset = control.send(&[&task_management(5, lun(0))], 1);
    assert_eq!(requests.receive(hanging).outcome(), 4, "RESET");
    assert_eq!(control.receive(reset).bytes, [0]);
    assert_eq!(machine.hang(0), (false, 0));
}

#[test]
fn a_guest_that_stops_its_queue_leaves_no_hung_command_behind() {
    let (machine, strikes) = machine(HANG);
    let mut guest = Guest::on(lanes(&machine), REQUESTS);
    guest.send(&[&header(lun(0), &TEST_UNIT_READY)], 108);
    assert_eq!(strikes.recv_timeout(PATIENCE), Ok(1));
    guest.stop();
    // The second stop waits until the command has been dropped.
    guest.stop();
    assert_eq!(guest.used(), None);
    assert_eq!(machine.hang(0), (true, 0));
}
