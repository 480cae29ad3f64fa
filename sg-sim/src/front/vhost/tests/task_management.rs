//! The control queue, as an honest guest uses it.

use std::sync::Arc;

use super::guest::{CONTROL, Guest, REQUESTS, drive, lanes, lun, task_management};
use crate::front::machine::Machine;

#[test]
fn a_logical_unit_reset_is_told_as_a_unit_attention() {
    let lanes = lanes(&Arc::new(Machine::new(drive())));
    let mut requests = Guest::on(Arc::clone(&lanes), REQUESTS);
    let mut control = Guest::on(lanes, CONTROL);
    for _ in 0..2 {
        requests.command(&[0; 6], 0);
    }
    assert_eq!(requests.command(&[0; 6], 0).status(), 0);
    assert_eq!(control.exchange(&[&task_management(5, lun(0))], 1).bytes, [0]);
    let (sense_key, additional_sense_code, _) = requests.command(&[0; 6], 0).sense_code();
    assert_eq!((sense_key, additional_sense_code), (6, 0x29));
    assert_eq!(requests.command(&[0; 6], 0).status(), 0);
}

#[test]
fn aborts_are_complete_when_nothing_is_under_way() {
    let mut control = Guest::new(&drive(), CONTROL);
    for subtype in [0, 1, 3] {
        assert_eq!(
            control.exchange(&[&task_management(subtype, lun(0))], 1).bytes,
            [0],
            "{subtype}"
        );
    }
}

#[test]
fn other_functions_are_rejected() {
    let mut control = Guest::new(&drive(), CONTROL);
    for subtype in [2, 4, 6, 7, 200] {
        assert_eq!(
            control.exchange(&[&task_management(subtype, lun(0))], 1).bytes,
            [11],
            "{subtype}"
        );
    }
    assert_eq!(
        control.exchange(&[&[9, 0, 0, 0]], 1).bytes,
        [11],
        "a type that there is not"
    );
}

#[test]
fn a_function_for_a_unit_that_is_not_there_is_for_a_bad_target() {
    let mut control = Guest::new(&drive(), CONTROL);
    for lun in [lun(1), [1, 0, 0x40, 1, 0, 0, 0, 0], [0; 8]] {
        assert_eq!(control.exchange(&[&task_management(5, lun)], 1).bytes, [3]);
    }
}

#[test]
fn no_asynchronous_event_is_offered() {
    let mut control = Guest::new(&drive(), CONTROL);
    let mut subscribe = vec![2, 0, 0, 0];
    subscribe.extend(lun(0));
    subscribe.extend([0xFF, 0xFF, 0, 0]);
    let answer = control.exchange(&[&subscribe], 5);
    assert_eq!((answer.written, answer.bytes), (5, vec![0, 0, 0, 0, 0]));
}
