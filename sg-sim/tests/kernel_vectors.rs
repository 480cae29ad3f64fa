//! What Linux, stenc, sg3-utils, mt and mtx sent on a real kernel (`tests/vectors/clients/real-kernel/`), sent again in the same order.
//!
//! Every command must end with the status and the sense under which the client came to its exit status.

#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sg_sim::{ItNexus, Library, Randomness, SeededRandomness, Units};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    origin: String,
    exchanges: Vec<Exchange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    client: String,
    #[serde(rename = "exit")]
    _exit: Option<u8>,
    commands: Vec<Command>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    unit: usize,
    cdb: String,
    #[serde(default)]
    data_out: String,
    #[serde(default)]
    data_out_bytes: usize,
    #[serde(default)]
    data_in_room: usize,
    status: String,
    sense: Option<String>,
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

impl Command {
    /// Sends the command, and says how the answer differs from the one that the client got.
    fn send(&self, units: &dyn Units, guest: &ItNexus) -> Option<String> {
        let cdb = hex::decode(&self.cdb).unwrap();
        let data_out = match self.data_out_bytes {
            0 => hex::decode(&self.data_out).unwrap(),
            length => vec![0x5A; length],
        };
        let mut data_in = vec![0xA5; self.data_in_room];
        let reply = units.execute(self.unit, guest, &cdb, &data_out, &mut data_in);
        let sense = match reply.sense.as_slice() {
            [_, _, key, _, _, _, _, _, _, _, _, _, code, qualifier, ..] => {
                Some(format!("{:02X}/{code:02X}/{qualifier:02X}", key & 0x0F))
            }
            _ => None,
        };
        let status = format!("{:02X}", reply.status.0);
        (status != self.status || sense != self.sense).then(|| {
            format!(
                "unit {} CDB {} {}: status {status} sense {sense:?}, not status {} sense {:?}",
                self.unit, self.cdb, self.data_out, self.status, self.sense
            )
        })
    }
}

#[test]
fn clients_are_answered_as_they_were_on_a_real_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let description = folder.path().join("library.toml");
    fs::copy(tests().join("real-kernel/library.toml"), &description).unwrap();
    let mut seed = 0;
    let library = Library::open(&description, || {
        seed += 1;
        Box::new(SeededRandomness::new(seed)) as Box<dyn Randomness + Send>
    })
    .unwrap();
    let guest = ItNexus::new("guest").unwrap();
    let mut differences = Vec::new();
    for path in sessions() {
        let session: Session = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert!(session.origin.starts_with("captured "), "{}", path.display());
        for exchange in session.exchanges {
            for command in &exchange.commands {
                for _ in 0..command.times {
                    let difference = command.send(&library, &guest);
                    differences.extend(difference.map(|difference| format!("{}: {difference}", exchange.client)));
                }
            }
        }
    }
    // What follows the first difference often follows from it.
    differences.truncate(3);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The captured sessions, in the order in which they happened.
fn sessions() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(tests().join("vectors/clients/real-kernel"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
}
