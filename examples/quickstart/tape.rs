//! The backup program's side of the drive: plain reads and writes, as a program behind `st` sends them. It knows nothing of keys.
//!
//! Like such a program it stops at the first error, and at any unit attention after the open.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use tapekey::scsi::sense::{Sense, SenseKey};
use tapekey::transport::sim::SimSocket;
use tapekey::transport::{Completion, Data, Transport};

/// Bytes of a block: 512 tar records.
pub(crate) const BLOCK_LENGTH: usize = 256 * 1024;

const TIMEOUT: Duration = Duration::from_secs(60);

/// An open tape.
pub(crate) struct Tape {
    socket: SimSocket,
}

impl Tape {
    /// Opens the drive at `socket` as the I_T nexus that the host's daemon uses too, and takes the unit attentions that wait, as `st` does.
    pub(crate) fn open(socket: &Path, it_nexus: &str) -> io::Result<Self> {
        let mut tape = Self {
            socket: SimSocket::connect(socket, it_nexus, TIMEOUT).map_err(io::Error::other)?,
        };
        for _ in 0..8 {
            let completion = tape.send(&[0x00, 0, 0, 0, 0, 0], Data::None)?;
            match Sense::decode(&completion.sense) {
                Some(sense) if sense.key == SenseKey::UnitAttention => {}
                _ => return good("TEST UNIT READY", &completion).map(|()| tape),
            }
        }
        Err(io::Error::other("the drive does not come to rest"))
    }

    /// REWIND.
    pub(crate) fn rewind(&mut self) -> io::Result<()> {
        let completion = self.send(&[0x01, 0, 0, 0, 0, 0], Data::None)?;
        good("REWIND", &completion)
    }

    /// WRITE FILEMARKS, one, not immediate: what was written is on the medium when this returns.
    pub(crate) fn write_filemark(&mut self) -> io::Result<()> {
        let completion = self.send(&[0x10, 0, 0, 0, 1, 0], Data::None)?;
        good("WRITE FILEMARKS", &completion)
    }

    /// READ POSITION: the number of the next object.
    pub(crate) fn position(&mut self) -> io::Result<u32> {
        let mut reply = [0; 20];
        let completion = self.send(&[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0], Data::In(&mut reply))?;
        good("READ POSITION", &completion)?;
        let [_, _, _, _, a, b, c, d, ..] = reply;
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    fn write_block(&mut self, block: &[u8]) -> io::Result<()> {
        let completion = self.send(&transfer(0x0A, block.len())?, Data::Out(block))?;
        good("WRITE", &completion)
    }

    /// The next block into `block`; 0 at a filemark.
    fn read_block(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let cdb = transfer(0x08, block.len())?;
        let completion = self.send(&cdb, Data::In(block))?;
        match Sense::decode(&completion.sense) {
            Some(sense) if sense.key == SenseKey::NoSense && sense.filemark => Ok(0),
            Some(sense) if sense.key == SenseKey::NoSense && sense.incorrect_length => Ok(completion.transferred),
            _ => good("READ", &completion).map(|()| completion.transferred),
        }
    }

    fn send(&mut self, cdb: &[u8], data: Data<'_>) -> io::Result<Completion> {
        self.socket.execute(cdb, data, TIMEOUT).map_err(io::Error::other)
    }
}

/// READ(6) or WRITE(6) of one block of variable length.
fn transfer(operation_code: u8, length: usize) -> io::Result<[u8; 6]> {
    let length = u32::try_from(length).map_err(io::Error::other)?;
    match length.to_be_bytes() {
        [0, a, b, c] => Ok([operation_code, 0, a, b, c, 0]),
        _ => Err(io::Error::other("a block of 16 MiB or more")),
    }
}

fn good(attempt: &str, completion: &Completion) -> io::Result<()> {
    if completion.status == 0 {
        return Ok(());
    }
    let sense = Sense::decode(&completion.sense).map_or("no sense".to_owned(), |sense| sense.to_string());
    Err(io::Error::other(format!(
        "{attempt}: status {:02X}h, {sense}",
        completion.status
    )))
}

/// A byte stream into blocks of [`BLOCK_LENGTH`], the last one filled up with zeros.
pub(crate) struct BlockWriter<'a> {
    tape: &'a mut Tape,
    block: Vec<u8>,
    /// Blocks written so far.
    pub(crate) blocks: u64,
}

impl<'a> BlockWriter<'a> {
    /// Writes to `tape` where it stands.
    pub(crate) fn new(tape: &'a mut Tape) -> Self {
        Self {
            tape,
            block: Vec::with_capacity(BLOCK_LENGTH),
            blocks: 0,
        }
    }

    /// Writes what is left, and a filemark.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        if !self.block.is_empty() {
            self.block.resize(BLOCK_LENGTH, 0);
            self.write_out()?;
        }
        self.tape.write_filemark()?;
        Ok(self.blocks)
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.tape.write_block(&self.block)?;
        self.block.clear();
        self.blocks += 1;
        Ok(())
    }
}

impl Write for BlockWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK_LENGTH - self.block.len();
        let (now, _) = bytes.split_at(room.min(bytes.len()));
        self.block.extend_from_slice(now);
        if self.block.len() == BLOCK_LENGTH {
            self.write_out()?;
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The blocks up to the next filemark as a byte stream.
pub(crate) struct BlockReader<'a> {
    tape: &'a mut Tape,
    block: Vec<u8>,
    unread: std::ops::Range<usize>,
}

impl<'a> BlockReader<'a> {
    /// Reads from `tape` where it stands.
    pub(crate) fn new(tape: &'a mut Tape) -> Self {
        Self {
            tape,
            block: vec![0; BLOCK_LENGTH],
            unread: 0..0,
        }
    }
}

impl Read for BlockReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            self.unread = 0..self.tape.read_block(&mut self.block)?;
        }
        let mut unread = self.block.get(self.unread.clone()).unwrap_or_default();
        let count = unread.read(bytes)?;
        self.unread.start += count;
        Ok(count)
    }
}
