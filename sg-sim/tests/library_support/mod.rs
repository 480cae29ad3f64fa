//! A library for the stories: literal CDB bytes in, status, sense and data out. It knows nothing that the crate knows.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it stands"
)]
#![allow(dead_code, reason = "each story uses its own part, and one of them uses all")]

use sg_sim::{ItNexus, Library, LibraryError, Randomness, Reply, SeededRandomness, Status, Units};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Two drives at 01F4h and 01F5h, four slots from 03E8h, a station of two from 000Ah, a robot at 0001h.
pub(crate) const SMALL: &str = r#"
cartridges = "tapes"
model = "hp"
slots = 4
import-export = 2

[[drive]]
serial = "1013000101"

[[drive]]
serial = "1013000102"

[[tape]]
barcode = "A00001L8"
at = "slot 1"

[[tape]]
barcode = "A00002L8"
at = "slot 2"

[[tape]]
barcode = "CLNU01L1"
at = "slot 4"
kind = "cleaning"
"#;

/// Unit number of the changer of [`SMALL`].
pub(crate) const CHANGER: usize = 2;

/// What came back from a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) sense: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

impl Answer {
    /// The data of a command that must have ended with GOOD.
    #[track_caller]
    pub(crate) fn good(self) -> Vec<u8> {
        assert_eq!((self.status, self.sense), (Status::GOOD, vec![]));
        self.data
    }

    /// Key, ASC, ASCQ of a command that must have ended with CHECK CONDITION.
    #[track_caller]
    pub(crate) fn sense_code(&self) -> (u8, u8, u8) {
        assert_eq!(self.status, Status::CHECK_CONDITION, "{self:02X?}");
        (self.sense[2] & 0x0F, self.sense[12], self.sense[13])
    }
}

/// A library in a folder of its own.
pub(crate) struct Stand {
    pub(crate) library: Library,
    pub(crate) folder: TempDir,
    pub(crate) nexus: ItNexus,
}

impl Stand {
    /// The small library, all power-on unit attentions told.
    pub(crate) fn small() -> Self {
        Self::of(SMALL)
    }

    /// The library that `description` describes, all power-on unit attentions told.
    pub(crate) fn of(description: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = open_in(folder.path(), description).unwrap();
        let stand = Self {
            library,
            folder,
            nexus: ItNexus::new("host1").unwrap(),
        };
        stand.greet();
        stand
    }

    /// Ends the library and opens it again.
    pub(crate) fn reopened(self) -> Self {
        let Self { library, folder, nexus } = self;
        drop(library);
        let path = description_path(folder.path());
        let library = Library::open(&path, randomness).unwrap();
        let stand = Self { library, folder, nexus };
        stand.greet();
        stand
    }

    /// Where the cartridges' files are.
    pub(crate) fn tapes(&self) -> PathBuf {
        self.folder.path().join("tapes")
    }

    fn greet(&self) {
        for unit in 0..self.library.kinds().len() {
            // Power on, then the cartridge that was in the drive.
            while matches!(self.send(unit, &[0; 6]).sense.get(2), Some(0x06)) {}
        }
    }

    /// Sends a command through `nexus` to `unit` with `room` bytes for data-in.
    pub(crate) fn exchange(&self, nexus: &ItNexus, unit: usize, cdb: &[u8], data_out: &[u8], room: usize) -> Answer {
        let mut data = vec![0xA5; room];
        let Reply { status, sense, data_in } = self.library.execute(unit, nexus, cdb, data_out, &mut data);
        assert!(
            data[data_in..].iter().all(|byte| *byte == 0xA5),
            "wrote behind its data"
        );
        data.truncate(data_in);
        Answer { status, sense, data }
    }

    /// Sends a command without data.
    pub(crate) fn send(&self, unit: usize, cdb: &[u8]) -> Answer {
        self.exchange(&self.nexus, unit, cdb, &[], 0)
    }

    /// Sends the changer a command that asks for data.
    pub(crate) fn ask(&self, cdb: &[u8]) -> Answer {
        self.exchange(&self.nexus, CHANGER, cdb, &[], 65_536)
    }

    /// MOVE MEDIUM with the default transport.
    pub(crate) fn carry(&self, from: u16, to: u16) -> Answer {
        let ([from_high, from_low], [to_high, to_low]) = (from.to_be_bytes(), to.to_be_bytes());
        let cdb = [0xA5, 0, 0, 0, from_high, from_low, to_high, to_low, 0, 0, 0, 0];
        self.send(CHANGER, &cdb)
    }

    /// Descriptors of all elements by READ ELEMENT STATUS with VOLTAG, without headers.
    pub(crate) fn descriptors(&self) -> Vec<Vec<u8>> {
        let status = self.ask(&[0xB8, 0x10, 0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0, 0]).good();
        descriptors(&status)
    }

    /// The descriptor of one element.
    pub(crate) fn descriptor(&self, address: u16) -> Vec<u8> {
        let all = self.descriptors();
        all.into_iter().find(|one| one[..2] == address.to_be_bytes()).unwrap()
    }

    /// The barcode of what is in one element.
    pub(crate) fn barcode(&self, address: u16) -> Option<String> {
        let descriptor = self.descriptor(address);
        (descriptor[2] & 0x01 != 0).then(|| {
            String::from_utf8(descriptor[12..44].to_vec())
                .unwrap()
                .trim_end()
                .to_owned()
        })
    }
}

/// All descriptors of an answer to READ ELEMENT STATUS.
pub(crate) fn descriptors(status: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut pages = &status[8..];
    while let Some((header, rest)) = pages.split_first_chunk::<8>() {
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let bytes = usize::try_from(u32::from_be_bytes([0, header[5], header[6], header[7]])).unwrap();
        found.extend(rest[..bytes].chunks(length).map(<[u8]>::to_vec));
        pages = &rest[bytes..];
    }
    found
}

/// Opens the library that `description` describes, in `folder`.
pub(crate) fn open_in(folder: &Path, description: &str) -> Result<Library, LibraryError> {
    let path = description_path(folder);
    std::fs::write(&path, description).unwrap();
    Library::open(&path, randomness)
}

/// Where [`open_in`] writes the description.
pub(crate) fn description_path(folder: &Path) -> PathBuf {
    folder.join("library.toml")
}

/// Random numbers for one drive.
pub(crate) fn randomness() -> Box<dyn Randomness + Send> {
    Box::new(SeededRandomness::new(7))
}
