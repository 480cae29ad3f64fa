//! The simulator's drive as a transport of ours, in this process, with a place to meddle before and after every command.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sg_sim::{Cartridge, Drive as SimDrive, ItNexus, MediumSpec, Profile, SeededRandomness};
use tapekey::transport::{Completion, Data, Transport, TransportError};

/// Runs before a command reaches the drive; an answer keeps the command from it.
pub(crate) type Before = Box<dyn FnMut(&[u8], &mut SimDrive) -> Option<Result<Completion, TransportError>> + Send>;

/// Runs on the data that the drive sent, before we see them; returns how many bytes there are now.
pub(crate) type After = Box<dyn FnMut(&[u8], &mut [u8], usize) -> usize + Send>;

/// A drive that several transports may share, as the nodes of one host do.
#[derive(Clone)]
pub(crate) struct Bench {
    drive: Arc<Mutex<SimDrive>>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Bench {
    /// An LTO-8 drive with a blank cartridge in it.
    pub(crate) fn with_blank_volume(medium_serial: &str) -> Self {
        let mut drive = SimDrive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(7)));
        drive.load(blank(medium_serial)).unwrap();
        Self {
            drive: Arc::new(Mutex::new(drive)),
            sent: Arc::default(),
        }
    }

    /// The drive itself, to meddle with or to look into.
    pub(crate) fn drive(&self) -> MutexGuard<'_, SimDrive> {
        self.drive.lock().unwrap()
    }

    /// Operation codes that were sent through our transports, in order.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.sent.lock().unwrap().clone()
    }

    /// A path to the drive for `it_nexus`.
    pub(crate) fn path(&self, it_nexus: &str) -> Path {
        let it_nexus = ItNexus::new(it_nexus).unwrap();
        Path {
            bench: self.clone(),
            it_nexus,
            before: Box::new(|_, _| None),
            after: Box::new(|_, _, length| length),
        }
    }
}

/// A blank cartridge in memory.
pub(crate) fn blank(medium_serial: &str) -> Cartridge {
    Cartridge::in_memory(&MediumSpec {
        medium_serial: medium_serial.to_owned(),
        ..MediumSpec::default()
    })
    .unwrap()
}

/// One nexus' path to the drive.
pub(crate) struct Path {
    bench: Bench,
    it_nexus: ItNexus,
    before: Before,
    after: After,
}

impl Path {
    /// Meddles before every command.
    pub(crate) fn before(mut self, before: Before) -> Self {
        self.before = before;
        self
    }

    /// Meddles with every reply.
    pub(crate) fn after(mut self, after: After) -> Self {
        self.after = after;
        self
    }

    /// Sends a command as a program would and returns the status, the sense and the data.
    pub(crate) fn command(&mut self, cdb: &[u8], data_out: &[u8], allocation_length: usize) -> (u8, Vec<u8>, Vec<u8>) {
        let mut data_in = vec![0; allocation_length];
        let data = if data_out.is_empty() {
            Data::In(&mut data_in)
        } else {
            Data::Out(data_out)
        };
        let completion = self.execute(cdb, data, Duration::from_secs(60)).unwrap();
        data_in.truncate(completion.transferred);
        (completion.status, completion.sense, data_in)
    }

    /// Sends TEST UNIT READY until no unit attention is left, as `st` does when a program opens it.
    pub(crate) fn settle(&mut self) {
        for _ in 0..8 {
            let (status, sense, _) = self.command(&[0; 6], &[], 0);
            if status == 0 || sense.get(2).is_some_and(|key| key & 0x0F != 0x06) {
                return;
            }
        }
        panic!("the drive does not come to rest");
    }
}

impl Transport for Path {
    fn execute(&mut self, cdb: &[u8], data: Data<'_>, _: Duration) -> Result<Completion, TransportError> {
        let mut drive = self.bench.drive.lock().unwrap();
        self.bench.sent.lock().unwrap().extend(cdb.first());
        if let Some(answer) = (self.before)(cdb, &mut drive) {
            return answer;
        }
        let (data_out, data_in) = match data {
            Data::None => ([].as_slice(), [].as_mut_slice()),
            Data::In(buffer) => ([].as_slice(), buffer),
            Data::Out(buffer) => (buffer, [].as_mut_slice()),
        };
        let reply = drive.execute(&self.it_nexus, cdb, data_out, data_in);
        let moved_in = (self.after)(cdb, data_in, reply.data_in);
        let transferred = if data_out.is_empty() { moved_in } else { data_out.len() };
        Ok(Completion {
            status: reply.status.0,
            sense: reply.sense,
            transferred,
        })
    }

    fn name(&self) -> &str {
        "in-process drive"
    }
}
