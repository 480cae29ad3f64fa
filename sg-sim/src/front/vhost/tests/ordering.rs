//! What waits for what: units for nobody but themselves, resets for nothing, a stopped queue for two seconds at most.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::guest::{CONTROL, Guest, REQUESTS, header, lun, task_management};
use crate::front::vhost::device::Lanes;
use crate::front::vhost::lane::Lane;
use crate::{ItNexus, Reply, Status, UnitKind, Units};

const PATIENCE: Duration = Duration::from_secs(20);

/// Two units. Unit 0 says when it begins a command and then waits for a word from the test or for a reset; unit 1 never waits.
struct Slow {
    begun: Mutex<Sender<u8>>,
    go_on: Mutex<Receiver<()>>,
    word: Mutex<Sender<()>>,
}

impl Slow {
    fn new() -> (Arc<Self>, Receiver<u8>) {
        let (begun, begins) = channel();
        let (word, go_on) = channel();
        let slow = Self {
            begun: Mutex::new(begun),
            go_on: Mutex::new(go_on),
            word: Mutex::new(word),
        };
        (Arc::new(slow), begins)
    }

    fn let_one_go_on(&self) {
        self.word.lock().unwrap().send(()).unwrap();
    }
}

impl Units for Slow {
    fn kinds(&self) -> Vec<UnitKind> {
        vec![UnitKind::Drive; 2]
    }

    fn execute(&self, unit: usize, _nexus: &ItNexus, cdb: &[u8], _data_out: &[u8], _data_in: &mut [u8]) -> Reply {
        if unit == 0 {
            self.begun.lock().unwrap().send(cdb[1]).unwrap();
            self.go_on.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        Reply {
            status: Status::GOOD,
            sense: Vec::new(),
            data_in: 0,
        }
    }

    fn reset(&self, unit: usize) {
        assert_eq!(unit, 0);
        self.let_one_go_on();
    }
}

fn command(target: u8, number: u8) -> Vec<u8> {
    header(lun(target), &[0, number, 0, 0, 0, 0])
}

#[test]
fn a_unit_that_is_busy_does_not_keep_another_waiting() {
    let (units, begins) = Slow::new();
    let mut guest = Guest::new(&units, REQUESTS);
    let busy = guest.send(&[&command(0, 1)], 108);
    begins.recv_timeout(PATIENCE).unwrap();
    assert_eq!(guest.exchange(&[&command(1, 2)], 108).status(), 0);
    units.let_one_go_on();
    assert_eq!(guest.receive(busy).status(), 0);
}

#[test]
fn a_reset_reaches_a_unit_that_hangs_and_ends_what_waits_behind() {
    let (units, begins) = Slow::new();
    let lanes: Vec<Lane> = (0..2)
        .map(|unit| Lane::open(Arc::clone(&units) as _, unit, ItNexus::new("guest").unwrap()).unwrap())
        .collect();
    let lanes = Arc::new(Lanes(lanes));
    let mut requests = Guest::on(Arc::clone(&lanes), REQUESTS);
    let mut control = Guest::on(lanes, CONTROL);
    let hanging = requests.send(&[&command(0, 1)], 108);
    begins.recv_timeout(PATIENCE).unwrap();
    let waiting = requests.send(&[&command(0, 2)], 108);
    let reset = control.send(&[&task_management(5, lun(0))], 1);
    assert_eq!(requests.receive(hanging).outcome(), 0);
    assert_eq!(requests.receive(waiting).outcome(), 4, "RESET");
    assert_eq!(control.receive(reset).bytes, [0]);
    assert!(begins.try_recv().is_err(), "the waiting command was not executed");
}

#[test]
fn an_aborted_task_set_is_confirmed_after_the_command_under_way() {
    let (units, begins) = Slow::new();
    let lanes: Vec<Lane> = (0..2)
        .map(|unit| Lane::open(Arc::clone(&units) as _, unit, ItNexus::new("guest").unwrap()).unwrap())
        .collect();
    let lanes = Arc::new(Lanes(lanes));
    let mut requests = Guest::on(Arc::clone(&lanes), REQUESTS);
    let mut control = Guest::on(lanes, CONTROL);
    let under_way = requests.send(&[&command(0, 1)], 108);
    begins.recv_timeout(PATIENCE).unwrap();
    let waiting = requests.send(&[&command(0, 2)], 108);
    let abort = control.send(&[&task_management(1, lun(0))], 1);
    assert_eq!(control.used(), None, "not before the command is done");
    units.let_one_go_on();
    assert_eq!(control.receive(abort).bytes, [0]);
    assert_eq!(requests.receive(under_way).outcome(), 0);
    assert_eq!(requests.receive(waiting).outcome(), 2, "ABORTED");
}

#[test]
fn a_stopped_queue_gets_no_late_answer() {
    let (units, begins) = Slow::new();
    let mut guest = Guest::new(&units, REQUESTS);
    guest.send(&[&command(0, 1)], 108);
    begins.recv_timeout(PATIENCE).unwrap();
    // Comes back although the unit does not.
    guest.stop();
    units.let_one_go_on();
    // The second stop waits until the command has been dropped.
    guest.stop();
    assert_eq!(guest.used(), None);
}
