//! An initiator for the stories: literal CDB bytes in, status and sense out. It knows nothing that the crate knows.

use sg_sim::{Cartridge, Drive, ItNexus, MediumSpec, Profile, Reply, SeededRandomness, Status};

/// The key that most stories load.
pub(crate) const KEY: [u8; 32] = *b"a key of thirty-two bytes, no. 1";
/// Another one.
pub(crate) const OTHER_KEY: [u8; 32] = *b"a key of thirty-two bytes, no. 2";

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
        assert_eq!(self.status, Status::CHECK_CONDITION);
        (self.sense[2] & 0x0F, self.sense[12], self.sense[13])
    }

    /// INFORMATION; None if VALID is zero.
    pub(crate) fn information(&self) -> Option<i32> {
        (self.sense[0] & 0x80 != 0).then(|| i32::from_be_bytes(self.sense[3..7].try_into().unwrap()))
    }

    /// FILEMARK, EOM, ILI.
    pub(crate) fn flags(&self) -> u8 {
        self.sense[2] & 0xE0
    }

    /// C/D and byte of the field pointer; None if SKSV is zero.
    pub(crate) fn field(&self) -> Option<(bool, u16)> {
        let specific = self.sense[15];
        (specific & 0x80 != 0).then(|| {
            (
                specific & 0x40 != 0,
                u16::from_be_bytes([self.sense[16], self.sense[17]]),
            )
        })
    }
}

/// A drive with a nexus to talk through.
pub(crate) struct Initiator {
    pub(crate) drive: Drive,
    pub(crate) nexus: ItNexus,
}

impl Initiator {
    /// A drive without a cartridge, its power-on unit attention already told.
    pub(crate) fn with_empty_drive() -> Self {
        Self::of(Profile::ibm_lto8())
    }

    /// A drive of this kind without a cartridge.
    pub(crate) fn of(profile: Profile) -> Self {
        let drive = Drive::new(profile, Box::new(SeededRandomness::new(1)));
        let mut initiator = Self {
            drive,
            nexus: ItNexus::new("host1").unwrap(),
        };
        assert_eq!(initiator.send(&[0; 6]).sense_code(), (6, 0x29, 0));
        initiator
    }

    /// A drive with a blank cartridge in memory, both unit attentions told.
    pub(crate) fn with_blank_tape() -> Self {
        let mut initiator = Self::with_empty_drive();
        initiator.load(Cartridge::in_memory(&MediumSpec::default()).unwrap());
        initiator
    }

    /// Loads a cartridge and takes the unit attention.
    #[track_caller]
    pub(crate) fn load(&mut self, cartridge: Cartridge) {
        self.drive.load(cartridge).unwrap();
        assert_eq!(self.send(&[0; 6]).sense_code(), (6, 0x28, 0));
    }

    /// Sends a command with data in both directions.
    pub(crate) fn exchange(&mut self, cdb: &[u8], data_out: &[u8], room: usize) -> Answer {
        let mut data = vec![0xA5; room];
        let Reply { status, sense, data_in } = self.drive.execute(&self.nexus, cdb, data_out, &mut data);
        data.truncate(data_in);
        Answer { status, sense, data }
    }

    /// Sends a command without data.
    pub(crate) fn send(&mut self, cdb: &[u8]) -> Answer {
        self.exchange(cdb, &[], 0)
    }

    /// Sends a command that asks for data.
    pub(crate) fn ask(&mut self, cdb: &[u8]) -> Answer {
        self.exchange(cdb, &[], 65_536)
    }

    /// The same drive, through another nexus.
    pub(crate) fn through<T>(&mut self, nexus: &str, story: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.nexus, ItNexus::new(nexus).unwrap());
        let result = story(self);
        self.nexus = before;
        result
    }

    /// WRITE(6), variable.
    pub(crate) fn write(&mut self, block: &[u8]) -> Answer {
        let [_, high, middle, low] = u32::try_from(block.len()).unwrap().to_be_bytes();
        self.exchange(&[0x0A, 0, high, middle, low, 0], block, 0)
    }

    /// READ(6), variable, without SILI.
    pub(crate) fn read(&mut self, length: u32) -> Answer {
        let [_, high, middle, low] = length.to_be_bytes();
        self.exchange(&[0x08, 0, high, middle, low, 0], &[], usize::try_from(length).unwrap())
    }

    /// WRITE FILEMARKS(6) with one filemark.
    #[track_caller]
    pub(crate) fn filemark(&mut self) {
        self.send(&[0x10, 0, 0, 0, 1, 0]).good();
    }

    #[track_caller]
    pub(crate) fn rewind(&mut self) {
        self.send(&[0x01, 0, 0, 0, 0, 0]).good();
    }

    /// LOCATE(10) to an object.
    #[track_caller]
    pub(crate) fn locate(&mut self, object: u8) {
        self.send(&[0x2B, 0, 0, 0, 0, 0, object, 0, 0, 0]).good();
    }

    /// Object number from READ POSITION, short form.
    #[track_caller]
    pub(crate) fn position(&mut self) -> u32 {
        let form = self.ask(&[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0]).good();
        u32::from_be_bytes(form[4..8].try_into().unwrap())
    }

    /// SECURITY PROTOCOL OUT, protocol 20h, page 0010h.
    pub(crate) fn set_data_encryption(&mut self, page: &[u8]) -> Answer {
        let length = u32::try_from(page.len()).unwrap().to_be_bytes();
        let cdb = [
            0xB5, 0x20, 0x00, 0x10, 0, 0, length[0], length[1], length[2], length[3], 0, 0,
        ];
        self.exchange(&cdb, page, 0)
    }

    /// Loads a key: scope byte, control byte, modes, key, KAD descriptors.
    pub(crate) fn load_key(&mut self, scope: u8, control: u8, modes: [u8; 2], key: &[u8; 32], kads: &[u8]) -> Answer {
        let length = u16::try_from(48 + kads.len()).unwrap().to_be_bytes();
        let mut page = vec![
            0x00, 0x10, length[0], length[1], scope, control, modes[0], modes[1], 0x01,
        ];
        page.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x20]);
        page.extend_from_slice(key);
        page.extend_from_slice(kads);
        self.set_data_encryption(&page)
    }

    /// ENCRYPT and DECRYPT for all nexuses, CEEM 1.
    #[track_caller]
    pub(crate) fn encrypt_with(&mut self, key: &[u8; 32], kads: &[u8]) {
        self.load_key(0x40, 0x40, [2, 2], key, kads).good();
    }

    /// DISABLE and DISABLE for all nexuses.
    #[track_caller]
    pub(crate) fn clear_key(&mut self) {
        let page = [
            0x00, 0x10, 0x00, 0x10, 0x40, 0x40, 0, 0, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        self.set_data_encryption(&page).good();
    }

    /// A page of SECURITY PROTOCOL IN.
    pub(crate) fn security_page(&mut self, protocol: u8, page: u8) -> Answer {
        self.ask(&[0xA2, protocol, 0x00, page, 0, 0, 0, 0, 0x20, 0x00, 0, 0])
    }

    /// Data Encryption Status page.
    #[track_caller]
    pub(crate) fn status_page(&mut self) -> Vec<u8> {
        self.security_page(0x20, 0x20).good()
    }

    /// Next Block Encryption Status page.
    #[track_caller]
    pub(crate) fn next_block(&mut self) -> Vec<u8> {
        self.security_page(0x20, 0x21).good()
    }

    /// ENCRYPTION STATUS of the next block.
    #[track_caller]
    pub(crate) fn next_block_status(&mut self) -> u8 {
        self.next_block()[12]
    }
}
