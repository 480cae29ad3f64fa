//! What waits for what: units for nobody but themselves, resets for nothing, a stopped queue for two seconds at most.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::guest::{CONTROL, Guest, REQUESTS, header, lanes, lun, task_management};
use crate::front::machine::Machine;
use crate::{Absence, Drive, Event, ItNexus, Reply, SenseCode, Status, Unit, UnitKind, Units};

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

    fn visit(&self, unit: usize, act: &mut dyn FnMut(&mut dyn Unit)) -> Result<(), Absence> {
        act(&mut SlowUnit { slow: self, unit });
        Ok(())
    }
}

struct SlowUnit<'a> {
    slow: &'a Slow,
    unit: usize,
}

impl Unit for SlowUnit<'_> {
    fn execute(&mut self, _nexus: &ItNexus, cdb: &[u8], _data_out: &[u8], _data_in: &mut [u8]) -> Reply {
        if self.unit == 0 {
            self.slow.begun.lock().unwrap().send(cdb[1]).unwrap();
            self.slow.go_on.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        Reply {
            status: Status::GOOD,
            sense: Vec::new(),
            data_in: 0,
        }
    }

    fn apply(&mut self, event: Event) {
        assert_eq!((self.unit, event), (0, Event::Reset));
        self.slow.let_one_go_on();
    }

    fn check_condition(&self, _sense: SenseCode, _information: Option<i64>, _data_in: usize) -> Reply {
        unreachable!("no fault is set up")
    }

    fn drive(&mut self) -> Option<&mut Drive> {
        None
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
    let lanes = lanes(&Arc::new(Machine::new(Arc::clone(&units) as _)));
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
    let lanes = lanes(&Arc::new(Machine::new(Arc::clone(&units) as _)));
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
