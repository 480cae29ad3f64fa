//! A program that reads and writes tapes, as one behind `st` does: variable blocks, and it stops at the first surprise.

use std::path::Path;
use std::time::Duration;

use tapekey::transport::sim::SimSocket;
use tapekey::transport::{Completion, Data, Transport};

const TIMEOUT: Duration = Duration::from_secs(60);

/// The largest block that is read here.
const BLOCK_LENGTH_MAX: usize = 64 * 1024;

/// An open tape.
pub struct Tape(SimSocket);

impl Tape {
    /// Opens the drive at `socket` as `it_nexus` and takes the unit attentions that wait, as `st` does.
    pub fn open(socket: &Path, it_nexus: &str) -> Self {
        let mut tape = Self(SimSocket::connect(socket, it_nexus, TIMEOUT).unwrap());
        while tape.send(&[0; 6], Data::None).status != 0 {}
        tape
    }

    fn send(&mut self, cdb: &[u8], data: Data<'_>) -> Completion {
        self.0.execute(cdb, data, TIMEOUT).unwrap()
    }

    /// Writes one block; `Err` says what stopped it, a lost path too.
    pub fn try_write(&mut self, block: &[u8]) -> Result<(), String> {
        let [_, high, middle, low] = u32::try_from(block.len()).unwrap().to_be_bytes();
        self.attempt(&[0x0A, 0, high, middle, low, 0], Data::Out(block))
    }

    /// Writes one filemark; `Err` says what stopped it, a lost path too.
    pub fn try_filemark(&mut self) -> Result<(), String> {
        self.attempt(&[0x10, 0, 0, 0, 1, 0], Data::None)
    }

    fn attempt(&mut self, cdb: &[u8], data: Data<'_>) -> Result<(), String> {
        let completion = self.0.execute(cdb, data, TIMEOUT).map_err(|error| error.to_string())?;
        judged(completion)
            .map(drop)
            .map_err(|sense| format!("sense {sense:02X?}"))
    }

    /// Writes one block; `Err` holds the sense bytes.
    pub fn write(&mut self, block: &[u8]) -> Result<(), Vec<u8>> {
        let [_, high, middle, low] = u32::try_from(block.len()).unwrap().to_be_bytes();
        judged(self.send(&[0x0A, 0, high, middle, low, 0], Data::Out(block))).map(drop)
    }

    /// Writes one filemark, which also brings everything before it to the medium.
    pub fn filemark(&mut self) {
        judged(self.send(&[0x10, 0, 0, 0, 1, 0], Data::None)).unwrap();
    }

    /// Back to the beginning.
    pub fn rewind(&mut self) {
        judged(self.send(&[0x01, 0, 0, 0, 0, 0], Data::None)).unwrap();
    }

    /// Reads one block, of any length; `Err` holds the sense bytes.
    pub fn read(&mut self) -> Result<Vec<u8>, Vec<u8>> {
        let mut block = vec![0xA5; BLOCK_LENGTH_MAX];
        let [_, high, middle, low] = u32::try_from(BLOCK_LENGTH_MAX).unwrap().to_be_bytes();
        // SILI: a shorter block is no error.
        let completion = judged(self.send(&[0x08, 0x02, high, middle, low, 0], Data::In(&mut block)))?;
        block.truncate(completion.transferred);
        Ok(block)
    }

    /// Any command that sends data.
    pub fn send_out(&mut self, cdb: &[u8], data: &[u8]) -> Result<(), Vec<u8>> {
        judged(self.send(cdb, Data::Out(data))).map(drop)
    }
}

fn judged(completion: Completion) -> Result<Completion, Vec<u8>> {
    if completion.status == 0 {
        Ok(completion)
    } else {
        Err(completion.sense)
    }
}
