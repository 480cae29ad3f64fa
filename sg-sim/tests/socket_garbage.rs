//! Garbage on either socket ends that connection and nothing else. Every failure prints the seed that repeats it.

mod socket_support;

use std::io::Write;
use std::net::Shutdown;

use socket_support::{Server, is_closed, raw};

const RUNS: u64 = 200;

/// SplitMix64: small, and the same bytes for the same seed on every machine.
struct Bytes(u64);

impl Bytes {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn take(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

#[test]
fn garbage_on_the_scsi_socket_ends_that_connection_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut bystander = server.client("bystander");
    bystander.until_ready();
    for seed in 0..RUNS {
        let mut bytes = Bytes(seed);
        let mut stream = raw(&server.socket);
        let mut garbage = Vec::new();
        if seed % 2 == 0 {
            garbage.extend(b"SGSM\x01\x00\x00\x04evil");
        }
        if seed % 4 == 0 {
            // A whole request with any lengths within the limits and any CDB in it, then garbage.
            let (cdb, out) = (bytes.below(260) + 1, bytes.below(600));
            garbage.extend([0, 0, 0, 9, 0, 0, 0, 0]);
            garbage[16..18].copy_from_slice(&u16::try_from(cdb).unwrap().to_be_bytes());
            garbage.extend(u32::try_from(out).unwrap().to_be_bytes());
            garbage.extend([0; 4]);
            garbage.extend(bytes.take(cdb + out));
        }
        let length = bytes.below(400);
        garbage.extend(bytes.take(length));
        // The server may close in the middle of it.
        let _ = stream.write_all(&garbage);
        let _ = stream.shutdown(Shutdown::Write);
        assert!(is_closed(&mut stream), "seed {seed}");
        let inquiry = bystander.execute(&[0x12, 0, 0, 0, 36, 0], &[], 36);
        assert!(inquiry.is_good() && inquiry.data_in.len() == 36, "seed {seed}");
    }
}

#[test]
fn garbage_on_the_control_socket_ends_that_connection_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut bystander = server.control();
    for seed in 0..RUNS {
        let mut bytes = Bytes(seed);
        let mut stream = raw(&server.control);
        let length = bytes.below(3000);
        let mut garbage = bytes.take(length);
        if seed % 2 == 0 {
            garbage.push(b'\n');
        }
        let _ = stream.write_all(&garbage);
        let _ = stream.shutdown(Shutdown::Write);
        assert!(is_closed(&mut stream), "seed {seed}");
        assert_eq!(bystander.status()["loaded"], true, "seed {seed}");
    }
}

#[test]
fn a_control_line_without_end_is_cut_off_at_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let mut stream = raw(&server.control);
    let _ = stream.write_all(&vec![b'{'; 70_000]);
    assert!(is_closed(&mut stream));
    assert_eq!(server.control().status()["loaded"], false);
}
