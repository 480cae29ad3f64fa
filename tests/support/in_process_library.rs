//! The simulator's library as transports of ours, in this process.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sg_sim::{ItNexus, Library, SeededRandomness, Units};
use tapekey::transport::{Completion, Data, Transport, TransportError};
use tempfile::TempDir;

/// Two drives at 01F4h and 01F5h, four slots from 03E8h, a door for two from 000Ah, a robot at 0001h.
pub(crate) const DESCRIPTION: &str = r#"
cartridges = "tapes"
model = "hp"
serial = "LIBRARY001"
slots = 4
import-export = 2

[[drive]]
serial = "1013000301"

[[drive]]
serial = "1013000302"

[[tape]]
barcode = "A00001L8"
medium-serial = "VOLUME0001"
at = "drive 0"

[[tape]]
barcode = "A00002L8"
at = "slot 2"

[[tape]]
barcode = "CLNU01L1"
at = "slot 4"
kind = "cleaning"
"#;

/// Unit number of its changer.
pub(crate) const CHANGER: usize = 2;

/// Runs before a command reaches its unit, and may change it or answer in its place.
pub(crate) type Before = Box<dyn FnMut(&mut Vec<u8>) -> Option<Result<Completion, TransportError>> + Send>;

/// A library that several transports share.
#[derive(Clone)]
pub(crate) struct Shelf {
    library: Arc<Library>,
    _folder: Arc<TempDir>,
    sent: Arc<Mutex<Vec<(usize, u8)>>>,
}

impl Shelf {
    pub(crate) fn new(description: &str) -> Self {
        let folder = TempDir::with_prefix("tk").unwrap();
        Self {
            library: Arc::new(open(folder.path(), description)),
            _folder: Arc::new(folder),
            sent: Arc::default(),
        }
    }

    /// A path to a unit.
    pub(crate) fn path(&self, unit: usize) -> UnitPath {
        UnitPath {
            shelf: self.clone(),
            unit,
            before: Box::new(|_| None),
        }
    }

    /// Operation codes of the commands that came to a unit.
    pub(crate) fn sent_to(&self, unit: usize) -> Vec<u8> {
        let sent = self.sent.lock().unwrap();
        sent.iter()
            .filter(|(to, _)| *to == unit)
            .map(|(_, code)| *code)
            .collect()
    }

    /// The operator's program carries a cartridge from one element to another.
    pub(crate) fn carry(&self, from: u16, to: u16) {
        let ([from_high, from_low], [to_high, to_low]) = (from.to_be_bytes(), to.to_be_bytes());
        let cdb = [0xA5, 0, 0, 0, from_high, from_low, to_high, to_low, 0, 0, 0, 0];
        let nexus = ItNexus::new("host1").unwrap();
        for _ in 0..8 {
            let reply = self.library.execute(CHANGER, &nexus, &cdb, &[], &mut []);
            if reply.sense.get(2).is_none_or(|key| key & 0x0F != 0x06) {
                assert!(reply.sense.is_empty(), "{:02X?}", reply.sense);
                return;
            }
        }
        panic!("the changer does not come to rest");
    }
}

fn open(folder: &Path, description: &str) -> Library {
    let path = folder.join("library.toml");
    std::fs::write(&path, description).unwrap();
    let mut seed = 0;
    Library::open(&path, || {
        seed += 1;
        Box::new(SeededRandomness::new(seed))
    })
    .unwrap()
}

/// A path of `host1` to a unit.
pub(crate) struct UnitPath {
    shelf: Shelf,
    unit: usize,
    before: Before,
}

impl UnitPath {
    /// Meddles before every command.
    pub(crate) fn before(mut self, before: Before) -> Self {
        self.before = before;
        self
    }
}

impl Transport for UnitPath {
    fn execute(&mut self, cdb: &[u8], data: Data<'_>, _: Duration) -> Result<Completion, TransportError> {
        let mut cdb = cdb.to_vec();
        self.shelf.sent.lock().unwrap().push((self.unit, cdb[0]));
        if let Some(answer) = (self.before)(&mut cdb) {
            return answer;
        }
        let (data_out, data_in) = match data {
            Data::None => ([].as_slice(), [].as_mut_slice()),
            Data::In(buffer) => ([].as_slice(), buffer),
            Data::Out(buffer) => (buffer, [].as_mut_slice()),
        };
        let nexus = ItNexus::new("host1").unwrap();
        let reply = self.shelf.library.execute(self.unit, &nexus, &cdb, data_out, data_in);
        Ok(Completion {
            status: reply.status.0,
            sense: reply.sense,
            transferred: if data_out.is_empty() {
                reply.data_in
            } else {
                data_out.len()
            },
        })
    }

    fn name(&self) -> &str {
        "in-process"
    }
}
