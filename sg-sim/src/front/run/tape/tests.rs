//! What st(4) promises where it is hard to see from outside: the end of the tape, resets, fixed blocks half read.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::Tape;
use crate::fault::FaultScript;
use crate::front::machine::Machine;
use crate::front::run::port::Port;
use crate::{Cartridge, Drive, ItNexus, MediumSpec, Pace, Profile, SeededRandomness};

const REWIND: i32 = 6;
const FORWARD_FILES: i32 = 1;
const BACKWARD_FILES: i32 = 2;
const END_OF_MEDIUM: i32 = 12;
const SET_BLOCK_LENGTH: i32 = 20;
const SET_OPTIONS: i32 = 24;
const NO_OPERATION: i32 = 8;
const END_OF_TAPE: u32 = 0x2000_0000;
const WRITE_PROTECTED: u32 = 0x0400_0000;

fn machine(spec: &MediumSpec) -> Machine {
    let mut drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(7)));
    drive.load(Cartridge::in_memory(spec).unwrap()).unwrap();
    Machine::new(Arc::new(Mutex::new(drive)))
}

fn opened_with(spec: &MediumSpec, flags: OFlag) -> (Tape, Port, Result<(), Errno>) {
    open(Arc::new(machine(spec)), flags)
}

fn open(machine: Arc<Machine>, flags: OFlag) -> (Tape, Port, Result<(), Errno>) {
    let port = Port::new(machine, 0, ItNexus::new("host").unwrap());
    let mut tape = Tape::new(port.clone());
    let result = tape.open(flags, false);
    (tape, port, result)
}

/// A machine with these faults, its time virtual.
fn machine_with(faults: &str) -> Arc<Machine> {
    let script: FaultScript = toml::from_str(faults).unwrap();
    let machine = machine(&MediumSpec::default()).with_faults(script.fault, 1, Box::new(|_| ()));
    Arc::new(machine.with_pace(Pace::Virtual, || Duration::ZERO))
}

fn opened() -> (Tape, Port) {
    let (tape, port, result) = opened_with(&MediumSpec::default(), OFlag::O_RDWR);
    result.unwrap();
    (tape, port)
}

fn reopen(tape: &mut Tape) {
    tape.release().unwrap();
    tape.open(OFlag::O_RDWR, false).unwrap();
}

fn operate(tape: &mut Tape, operation: i32, count: i32) -> Result<(), Errno> {
    tape.operate(operation, count, OFlag::O_RDWR)
}

fn place(tape: &mut Tape) -> (i32, i32) {
    let status = tape.status().unwrap();
    (status.file_number, status.block_number)
}

#[test]
fn early_warning_lets_the_block_through_then_ends_every_other_write() {
    let spec = MediumSpec {
        capacity_bytes: 40_000,
        early_warning_bytes: 20_000,
        ..MediumSpec::default()
    };
    let (mut tape, ..) = opened_with(&spec, OFlag::O_RDWR);
    let block = [0x5A; 4000];
    let mut whole = 0;
    let warned = loop {
        match tape.write(&block) {
            Ok(4000) => whole += 1,
            other => break other,
        }
    };
    assert_eq!(warned, Err(Errno::ENOSPC));
    assert!((4..=6).contains(&whole), "{whole}");
    assert_ne!(tape.status().unwrap().general_status & END_OF_TAPE, END_OF_TAPE);
    // The trailer of a backup program still fits, and the next write is told again.
    assert_eq!(tape.write(&block), Ok(4000));
    assert_eq!(tape.write(&block), Err(Errno::ENOSPC));
    reopen(&mut tape);
    assert_eq!(place(&mut tape), (1, 0));
}

#[test]
fn a_reset_makes_the_place_unknown_until_the_tape_is_rewound() {
    let (mut tape, port) = opened();
    tape.write(b"block").unwrap();
    port.reset().unwrap();
    assert_eq!(tape.write(b"block"), Err(Errno::EIO));
    assert_eq!(tape.write(b"block"), Err(Errno::EIO));
    assert_eq!(place(&mut tape), (-1, -1));
    assert_eq!(operate(&mut tape, NO_OPERATION, 1), Err(Errno::EIO));
    operate(&mut tape, REWIND, 1).unwrap();
    assert_eq!(place(&mut tape), (0, 0));
    assert_eq!(tape.read(64).unwrap(), b"block");
}

#[test]
fn a_reset_by_somebody_else_is_one_error_and_nothing_more() {
    let machine = machine_with(r#"fault = [{ at = { opcode = 0x08, nth = 2 }, do = { what = "reset" } }]"#);
    let (mut tape, ..) = open(machine, OFlag::O_RDWR);
    tape.write(b"block").unwrap();
    operate(&mut tape, REWIND, 1).unwrap();
    assert_eq!(tape.read(64).unwrap(), b"block");
    assert_eq!(tape.read(64), Err(Errno::EIO));
    // The reset took the tape to its beginning, and the driver lets the program read what it takes for the next block.
    assert_eq!(tape.read(64).unwrap(), b"block");
}

#[test]
fn after_a_reset_between_two_programs_the_first_filemark_loses_the_place() {
    let (mut tape, port) = opened();
    tape.write(b"block").unwrap();
    tape.release().unwrap();
    port.reset().unwrap();
    tape.open(OFlag::O_RDWR, false).unwrap();
    assert_eq!(tape.read(5).unwrap(), b"block");
    assert_eq!(tape.read(5).unwrap(), b"");
    assert_eq!(place(&mut tape), (-1, -1));
    assert_eq!(tape.release(), Err(Errno::EIO));
    tape.open(OFlag::O_RDWR, false).unwrap();
    assert_eq!(tape.read(64), Err(Errno::EIO));
    operate(&mut tape, REWIND, 1).unwrap();
    assert_eq!(tape.read(64).unwrap(), b"block");
}

#[test]
fn a_reset_before_open_is_taken_by_open() {
    let (mut tape, port) = opened();
    tape.write(b"block").unwrap();
    tape.release().unwrap();
    port.reset().unwrap();
    tape.open(OFlag::O_RDWR, false).unwrap();
    assert_eq!(place(&mut tape), (0, 0));
}

#[test]
fn fixed_blocks_half_read_are_gone_back_over_at_close() {
    let (mut tape, _) = opened();
    operate(&mut tape, SET_BLOCK_LENGTH, 100).unwrap();
    assert_eq!(tape.write(&[1; 1000]), Ok(1000));
    assert_eq!(tape.write(&[1; 150]), Err(Errno::EINVAL));
    operate(&mut tape, REWIND, 1).unwrap();
    assert_eq!(tape.read(250).unwrap().len(), 250);
    assert_eq!(place(&mut tape), (0, 3));
    assert_eq!(tape.read(2000).unwrap().len(), 700);
    // The filemark was met by that read. The program has not been told, so it is still before it.
    assert_eq!(place(&mut tape), (0, 10));
    assert_eq!(tape.read(2000).unwrap().len(), 0);
    assert_eq!(place(&mut tape), (1, 0));
}

#[test]
fn spacing_after_a_read_that_met_a_filemark_counts_it() {
    for (operation, count, wanted) in [(FORWARD_FILES, 1, (1, 0)), (BACKWARD_FILES, 0, (0, -1))] {
        let (mut tape, _) = opened();
        operate(&mut tape, SET_BLOCK_LENGTH, 100).unwrap();
        tape.write(&[1; 300]).unwrap();
        reopen(&mut tape);
        tape.write(&[2; 300]).unwrap();
        operate(&mut tape, REWIND, 1).unwrap();
        assert_eq!(tape.read(1000).unwrap().len(), 300);
        operate(&mut tape, operation, count).unwrap();
        assert_eq!(place(&mut tape), wanted);
    }
}

#[test]
fn a_fixed_read_of_a_block_of_another_length_leaves_the_tape_before_it() {
    let (mut tape, _) = opened();
    tape.write(&[1; 100]).unwrap();
    tape.write(&[2; 30]).unwrap();
    operate(&mut tape, REWIND, 1).unwrap();
    operate(&mut tape, SET_BLOCK_LENGTH, 100).unwrap();
    assert_eq!(tape.read(500).unwrap(), [1; 100]);
    assert_eq!(place(&mut tape), (0, 1));
    assert_eq!(tape.read(500), Err(Errno::EIO));
    operate(&mut tape, SET_BLOCK_LENGTH, 0).unwrap();
    assert_eq!(tape.read(500).unwrap(), [2; 30]);
}

#[test]
fn the_option_for_two_filemarks_writes_them_and_stands_between() {
    const TWO_FILEMARKS: i32 = 0x3000_0010;
    let (mut tape, _) = opened();
    operate(&mut tape, SET_OPTIONS, TWO_FILEMARKS).unwrap();
    tape.write(b"first").unwrap();
    reopen(&mut tape);
    assert_eq!(place(&mut tape), (1, 0));
    operate(&mut tape, END_OF_MEDIUM, 1).unwrap();
    assert_eq!(place(&mut tape), (2, -1));
}

#[test]
fn a_moving_operation_after_writing_ends_the_file_first() {
    let (mut tape, _) = opened();
    tape.write(b"first").unwrap();
    reopen(&mut tape);
    tape.write(b"second").unwrap();
    operate(&mut tape, BACKWARD_FILES, 1).unwrap();
    // Back over the filemark that this has just written, and over the one asked for.
    assert_eq!(place(&mut tape), (0, -1));
    operate(&mut tape, END_OF_MEDIUM, 1).unwrap();
    assert_eq!(place(&mut tape).0, 2);
}

#[test]
fn a_protected_cartridge_is_opened_for_reading_only() {
    let spec = MediumSpec {
        write_protected: true,
        ..MediumSpec::default()
    };
    assert_eq!(opened_with(&spec, OFlag::O_RDWR).2, Err(Errno::EROFS));
    let (mut tape, _, result) = opened_with(&spec, OFlag::O_RDWR | OFlag::O_NONBLOCK);
    result.unwrap();
    assert_eq!(tape.write(b"block"), Err(Errno::EACCES));
    assert_ne!(tape.status().unwrap().general_status & WRITE_PROTECTED, 0);
    let (mut tape, _, result) = opened_with(&spec, OFlag::O_RDONLY);
    result.unwrap();
    assert_eq!(tape.read(100), Err(Errno::EIO));
}

#[test]
fn blocks_outside_the_drives_limits_are_refused_before_they_are_sent() {
    let (mut tape, _) = opened();
    assert_eq!(tape.read(0x80_0001), Err(Errno::EINVAL));
    assert_eq!(tape.write(&vec![0; 0x80_0001]), Err(Errno::EINVAL));
    assert_eq!(operate(&mut tape, SET_BLOCK_LENGTH, 0x80_0001), Err(Errno::EINVAL));
    assert_eq!(place(&mut tape), (0, 0));
}

#[test]
fn operations_that_st_does_not_have_are_named_so() {
    let (mut tape, _) = opened();
    for operation in [0, 14, 23, 99, -1] {
        assert_eq!(operate(&mut tape, operation, 1), Err(Errno::ENOSYS), "{operation}");
    }
}

#[test]
fn a_drive_that_hangs_is_given_up_when_the_time_limit_has_passed() {
    let machine = machine_with(r#"fault = [{ at = { opcode = 0x0A }, do = { what = "hang" } }]"#);
    let (mut tape, _, opened) = open(Arc::clone(&machine), OFlag::O_RDWR);
    opened.unwrap();
    let elapsed = || machine.with_drive(0, |drive| drive.elapsed()).unwrap();
    let before = elapsed();
    assert_eq!(tape.write(&[1; 512]), Err(Errno::EIO));
    assert_eq!(elapsed().saturating_sub(before), Duration::from_secs(900));
    // MT_ST_SET_TIMEOUT: 5 seconds.
    operate(&mut tape, SET_OPTIONS, 0x7000_0005).unwrap();
    let before = elapsed();
    assert_eq!(tape.write(&[1; 512]), Err(Errno::EIO));
    assert_eq!(elapsed().saturating_sub(before), Duration::from_secs(5));
    // The same with MT_ST_SET_LONG_TIMEOUT: 7 seconds.
    operate(&mut tape, SET_OPTIONS, 0x7010_0007).unwrap();
    let before = elapsed();
    assert_eq!(operate(&mut tape, REWIND, 1), Err(Errno::EIO));
    // A filemark is written first, as after every writing, and given up after 5 seconds.
    assert_eq!(elapsed().saturating_sub(before), Duration::from_secs(5));
    machine.set_hang(0, false);
    operate(&mut tape, REWIND, 1).unwrap();
    assert_eq!(tape.write(&[1; 512]), Ok(512));
}

#[test]
fn a_drive_that_is_busy_is_asked_again_and_a_lost_command_is_not() {
    let machine = machine_with(
        r#"fault = [
            { at = { opcode = 0x0A }, do = { what = "status", status = 8 }, times = 3 },
            { at = { opcode = 0x0A, nth = 4 }, do = { what = "status", status = 0x28 } },
            { at = { opcode = 0x0A, nth = 5 }, do = { what = "transport", host_status = 0x0D } },
            { at = { opcode = 0x0A, nth = 7 }, do = { what = "transport", host_status = 1 } },
        ]"#,
    );
    let (mut tape, ..) = open(Arc::clone(&machine), OFlag::O_RDWR);
    assert_eq!(tape.write(&[1; 512]), Ok(512));
    assert_eq!(tape.write(&[1; 512]), Err(Errno::EIO));
    assert_eq!(tape.write(&[1; 512]), Ok(512));
    assert_eq!(machine.fault_counts().0, 0);
}

#[test]
fn a_drive_that_is_busy_for_ever_is_an_error_in_the_end() {
    let machine = machine_with(r#"fault = [{ do = { what = "status", status = 8 }, always = true }]"#);
    let (_, _, opened) = open(machine, OFlag::O_RDWR);
    assert_eq!(opened, Err(Errno::EIO));
}

#[test]
fn a_read_that_meets_a_bad_block_gives_the_good_ones_first() {
    let machine = machine_with(
        r#"fault = [{ at = { block = 2, opcode = 0x08 }, do = { what = "medium-error" }, always = true }]"#,
    );
    let (mut tape, ..) = open(machine, OFlag::O_RDWR);
    for _ in 0..4 {
        tape.write(&[1; 512]).unwrap();
    }
    operate(&mut tape, REWIND, 1).unwrap();
    assert_eq!(tape.read(512).map(|block| block.len()), Ok(512));
    assert_eq!(tape.read(512).map(|block| block.len()), Ok(512));
    assert_eq!(tape.read(512), Err(Errno::EIO));
}
