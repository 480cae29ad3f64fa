//! Stories about cartridge files whose writer was killed, or whose machine lost power: what was whole is there, and nothing else.
//!
//! The states between two writes are put together from the files before and after, as the description of the format says that they are written.

use crate::{
    cartridge_file::{spec, with_file, write_four_objects},
    cartridge_reader::{FIRST_TABLE, Header, TABLE_BYTES, headers},
    initiator::{Initiator, KEY},
};
use sg_sim::Cartridge;
use std::{fs, path::Path};

/// Where the two copies of the state lie, and their room.
const STATE: std::ops::Range<usize> = 4096..FIRST_TABLE;

/// A drive with the file of these bytes in it, as it would be after the machine has come up again.
fn after_the_crash(path: &Path, bytes: &[u8]) -> Initiator {
    fs::write(path, bytes).unwrap();
    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::open(path).unwrap());
    host
}

/// How many objects are on the tape.
fn objects(host: &Initiator) -> u64 {
    host.drive.status(None).medium.unwrap().objects
}

/// Goes to object `number`, whatever number that is.
fn locate(host: &mut Initiator, number: u64) {
    let [b0, b1, b2, b3] = u32::try_from(number).unwrap().to_be_bytes();
    host.send(&[0x2B, 0, 0, b0, b1, b2, b3, 0, 0, 0]).good();
}

/// Whether the file holds this many objects, and takes one more in the place of whatever was torn.
#[track_caller]
fn holds_and_goes_on(path: &Path, bytes: &[u8], expected: u64, about: &str) {
    let mut host = after_the_crash(path, bytes);
    assert_eq!(objects(&host), expected, "{about}");
    host.send(&[0x11, 3, 0, 0, 0, 0]).good();
    host.write(b"after the crash").good();
    drop(host);
    let mut host = after_the_crash(path, &fs::read(path).unwrap());
    assert_eq!(objects(&host), expected + 1, "{about}");
    locate(&mut host, expected);
    assert_eq!(host.read(15).good(), b"after the crash", "{about}");
}

/// `bytes` with `part` written at `at`, as a file takes it.
fn with(bytes: &[u8], at: usize, part: &[u8]) -> Vec<u8> {
    let mut written = bytes.to_vec();
    if written.len() < at + part.len() {
        written.resize(at + part.len(), 0);
    }
    written[at..at + part.len()].copy_from_slice(part);
    written
}

/// Every state between two objects: the payload grows, then the header.
fn states(before: &[u8], after: &[u8], header: Header) -> Vec<Vec<u8>> {
    let payload = &after[header.payload_at..header.payload_at + header.payload_bytes];
    let head = &after[header.at..header.at + header.length];
    let mut states: Vec<Vec<u8>> = (1..=payload.len())
        .map(|length| with(before, header.payload_at, &payload[..length]))
        .collect();
    let whole = states.last().cloned().unwrap_or_else(|| before.to_vec());
    states.extend((1..head.len()).map(|length| with(&whole, header.at, &head[..length])));
    states
}

#[test]
fn whatever_a_killed_writer_leaves_behind_reads_up_to_the_torn_record() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    let mut images = vec![fs::read(&path).unwrap()];
    host.write(b"plain block").good();
    images.push(fs::read(&path).unwrap());
    host.encrypt_with(&KEY, b"\0\0\0\x04name");
    host.write(b"first secret").good();
    images.push(fs::read(&path).unwrap());
    host.filemark();
    images.push(fs::read(&path).unwrap());
    host.write(b"second secret").good();
    images.push(fs::read(&path).unwrap());
    drop(host);

    let torn = directory.path().join("torn.cart");
    let all = headers(images.last().unwrap());
    for (number, (pair, header)) in images.windows(2).zip(all).enumerate() {
        let number = u64::try_from(number).unwrap();
        for (state, bytes) in states(&pair[0], &pair[1], header).iter().enumerate() {
            holds_and_goes_on(&torn, bytes, number, &format!("object {number}, state {state}"));
        }
        holds_and_goes_on(&torn, &pair[1], number + 1, &format!("object {number} whole"));
    }
}

/// A file of 800 filemarks, and the link in it.
fn with_two_tables(directory: &Path) -> (Vec<u8>, Header) {
    let (mut host, path) = with_file(directory);
    host.send(&[0x10, 0, 0, 0x03, 0x20, 0]).good();
    drop(host);
    let bytes = fs::read(&path).unwrap();
    let links: Vec<Header> = headers(&bytes).into_iter().filter(|header| header.kind == 4).collect();
    assert_eq!(links.len(), 1);
    (bytes, links[0])
}

#[test]
fn a_full_table_goes_on_in_another_whatever_is_killed_between() {
    let directory = tempfile::tempdir().unwrap();
    let (bytes, link) = with_two_tables(directory.path());
    let first_table = u64::try_from((link.at - FIRST_TABLE) / 84).unwrap();
    let file = directory.path().join("killed.cart");
    assert!(link.at + 2 * 84 > FIRST_TABLE + TABLE_BYTES, "a table is filled");
    holds_and_goes_on(&file, &bytes, 800, "whole");
    // The second table is not begun, and the link is not there, is torn, is there.
    for length in [0, 1, 83, 84] {
        let killed = &bytes[..link.at + length];
        holds_and_goes_on(&file, killed, first_table, &format!("{length} bytes of the link"));
    }
    let second = link.payload_at;
    for length in [1, 83] {
        let killed = &bytes[..second + length];
        holds_and_goes_on(&file, killed, first_table, &format!("{length} bytes of a header"));
    }
    holds_and_goes_on(&file, &bytes[..second + 84], first_table + 1, "one header");
}

#[test]
fn a_damaged_link_loses_nothing_and_the_first_header_behind_it_only_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (bytes, link) = with_two_tables(directory.path());
    let file = directory.path().join("damaged.cart");
    let flipped = |at: usize| with(&bytes, at, &[!bytes[at]]);
    holds_and_goes_on(&file, &flipped(link.at + 5), 800, "the link");
    holds_and_goes_on(&file, &flipped(link.payload_at + 5), 800, "the first header behind it");
    holds_and_goes_on(&file, &flipped(link.at - 84 + 5), 800, "the last header before it");
    let both = with(&flipped(link.at + 5), link.payload_at, &[0]);
    assert!(
        objects(&after_the_crash(&file, &both)) < 800,
        "nothing tells what the second table is"
    );
}

#[test]
fn a_tape_is_cut_in_either_table_and_written_on() {
    let directory = tempfile::tempdir().unwrap();
    let (bytes, link) = with_two_tables(directory.path());
    let first_table = u64::try_from((link.at - FIRST_TABLE) / 84).unwrap();
    let file = directory.path().join("cut.cart");
    for number in [0, 1, first_table - 1, first_table, first_table + 1, 799] {
        let mut host = after_the_crash(&file, &bytes);
        locate(&mut host, number);
        host.write(b"cut here").good();
        host.send(&[0x10, 0, 0, 0, 200, 0]).good();
        drop(host);
        holds_and_goes_on(
            &file,
            &fs::read(&file).unwrap(),
            number + 201,
            &format!("cut at {number}"),
        );
    }
}

/// A hole of a terabyte behind the last record, as a file that was made longer has one.
#[test]
fn a_hole_however_long_is_looked_through_at_once_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    write_four_objects(&mut host);
    drop(host);
    let length = fs::metadata(&path).unwrap().len();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::open(&path).unwrap());
    assert_eq!(objects(&host), 4);
    host.locate(4);
    host.write(b"behind").good();
    assert_eq!(fs::metadata(&path).unwrap().len(), length + 6);
}

#[test]
fn killed_between_a_cut_and_its_removal_a_tape_ends_at_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    write_four_objects(&mut host);
    let before = fs::read(&path).unwrap();
    host.locate(1);
    host.write(b"other").good();
    let after = fs::read(&path).unwrap();
    // The state is written, nothing is removed.
    let mut cut = with(&before, STATE.start, &after[STATE]);
    let file = directory.path().join("cut.cart");
    holds_and_goes_on(&file, &cut, 1, "all is still there");
    // The file is shortened, the headers are still there.
    cut.truncate(headers(&before)[1].payload_at);
    holds_and_goes_on(&file, &cut, 1, "the payloads are gone");
}

#[test]
fn what_an_overwrite_left_behind_is_never_taken_for_the_tape() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    write_four_objects(&mut host);
    let before = fs::read(&path).unwrap();
    host.rewind();
    host.clear_key();
    host.write(b"other plain").good();
    drop(host);
    let after = fs::read(&path).unwrap();
    let header = headers(&after)[0];
    // As if the machine had lost power, and of the overwrite only the new record had reached the disk, or that and the state.
    let place = header.payload_at..header.payload_at + header.payload_bytes;
    let mixed = with(&before, place.start, &after[place]);
    let mixed = with(&mixed, header.at, &after[header.at..header.at + header.length]);
    let with_state = with(&mixed, STATE.start, &after[STATE]);
    let file = directory.path().join("mixed.cart");
    for bytes in [mixed, with_state] {
        let mut host = after_the_crash(&file, &bytes);
        assert_eq!(host.read(11).good(), b"other plain");
        assert_eq!(host.read(12).sense_code(), (8, 0, 5));
    }
}

#[test]
fn an_erased_tape_stays_erased_and_takes_new_records() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("erased.cart");
    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::create(&path, &spec()).unwrap());
    write_four_objects(&mut host);
    host.locate(1);
    host.send(&[0x19, 0, 0, 0, 0, 0]).good();
    drop(host);
    // Twice, since a cut must not take what was written after the file was opened again.
    for expected in [1, 2] {
        holds_and_goes_on(&path, &fs::read(&path).unwrap(), expected, "after the erase");
    }
}
