//! The server is killed while a client writes: everything that was acknowledged is on the cartridge, and nothing that was overwritten.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it stands"
)]

mod socket_support;

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use socket_support::{Client, Server};

const BLOCK: u32 = 64 * 1024;
const KEY: [u8; 32] = [0x5A; 32];

/// Block number `number`: no two are alike, none compresses to nothing.
fn block(number: u32) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9E37_79B9) | 1;
    let mut bytes = number.to_be_bytes().to_vec();
    while bytes.len() < usize::try_from(BLOCK).unwrap() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes.extend(state.to_be_bytes());
    }
    bytes
}

/// Writes until the server is gone; says so after every block that was acknowledged, and returns how many those were.
fn write_until_killed(mut client: Client, acknowledged: &mpsc::Sender<u32>) -> u32 {
    let mut number = 0;
    while client.write(&block(number)).is_ok_and(|response| response.is_good()) {
        number += 1;
        // The test may have stopped listening: it has seen enough and is about to kill.
        let _ = acknowledged.send(number);
    }
    number
}

fn ready_client(server: &Server, encrypted: bool) -> Client {
    let mut client = server.client("host1");
    client.until_ready();
    if encrypted {
        assert!(client.set_key(1, KEY).is_good());
    }
    client
}

/// Kills the server once `moment` blocks were acknowledged, while the next are on their way. Returns how many were in all.
fn kill_while_writing(folder: &Path, moment: u32, encrypted: bool) -> u32 {
    let mut server = Server::with_cartridge(folder);
    let client = ready_client(&server, encrypted);
    let (sender, receiver) = mpsc::channel();
    let writer = thread::spawn(move || write_until_killed(client, &sender));
    while moment > 0 && receiver.recv_timeout(socket_support::LIMIT).unwrap() < moment {}
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    writer.join().unwrap()
}

/// Reads from the beginning to end of data and returns how many blocks there are, each of them the one that was written.
fn blocks_on_tape(folder: &Path, encrypted: bool) -> u32 {
    let server = Server::with_cartridge(folder);
    let mut client = ready_client(&server, encrypted);
    for number in 0.. {
        let response = client.read(BLOCK);
        if response.sense_code() == Some((0x08, 0x00, 0x05)) {
            return number;
        }
        assert!(response.is_good(), "block {number}: {:?}", response.sense_code());
        assert!(response.data_in == block(number), "block {number} differs");
    }
    unreachable!()
}

#[test]
fn whatever_was_acknowledged_survives_kill_at_ten_moments() {
    for (moment, encrypted) in [0, 1, 2, 3, 7, 19, 42, 97, 150, 211]
        .into_iter()
        .zip([false, true].into_iter().cycle())
    {
        let folder = tempfile::tempdir().unwrap();
        let acknowledged = kill_while_writing(folder.path(), moment, encrypted);
        assert!(acknowledged >= moment);
        let found = blocks_on_tape(folder.path(), encrypted);
        // One more may have been written and its acknowledgement lost.
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "moment {moment}: {acknowledged} and {found}"
        );
    }
}

/// Blocks of one round of writing from the beginning of the tape.
const ROUND: u32 = 3;

/// Writes rounds of blocks, each over the one before, until the server is gone. Returns how many blocks were acknowledged in all.
fn overwrite_until_killed(mut client: Client, acknowledged: &mpsc::Sender<u32>) -> u32 {
    let mut number = 0;
    loop {
        let rewound = number % ROUND != 0 || client.try_execute(&[0x01, 0, 0, 0, 0, 0], &[], 0).is_ok();
        if !rewound || !client.write(&block(number)).is_ok_and(|response| response.is_good()) {
            return number;
        }
        number += 1;
        // As above.
        let _ = acknowledged.send(number);
    }
}

/// The numbers of the blocks on the tape.
fn numbers_on_tape(folder: &Path) -> Vec<u32> {
    let server = Server::with_cartridge(folder);
    let mut client = ready_client(&server, false);
    let mut found = vec![];
    loop {
        let response = client.read(BLOCK);
        if response.sense_code() == Some((0x08, 0x00, 0x05)) || response.sense_code() == Some((0x08, 0x14, 0x03)) {
            return found;
        }
        assert!(response.is_good(), "{:?}", response.sense_code());
        let number = u32::from_be_bytes(response.data_in[..4].try_into().unwrap());
        assert!(response.data_in == block(number), "block {number} differs");
        found.push(number);
    }
}

#[test]
fn a_tape_that_is_overwritten_holds_one_round_and_never_parts_of_two() {
    for moment in [1, 2, 3, 4, 5, 6, 33, 99] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::with_cartridge(folder.path());
        let client = ready_client(&server, false);
        let (sender, receiver) = mpsc::channel();
        let writer = thread::spawn(move || overwrite_until_killed(client, &sender));
        while receiver.recv_timeout(socket_support::LIMIT).unwrap() < moment {}
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        let acknowledged = writer.join().unwrap();
        let found = numbers_on_tape(folder.path());
        let from = (acknowledged - 1) / ROUND * ROUND;
        let mut allowed: Vec<Vec<u32>> = vec![(from..acknowledged).collect()];
        if acknowledged == from + ROUND {
            // The next round may have cut the tape, and written its first block.
            allowed.extend([vec![], vec![acknowledged]]);
        } else {
            allowed.push((from..=acknowledged).collect());
        }
        assert!(
            allowed.contains(&found),
            "moment {moment}: {acknowledged} acknowledged, {found:?}"
        );
    }
}
