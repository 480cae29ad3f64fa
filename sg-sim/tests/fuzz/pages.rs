//! Any Set Data Encryption page: taken or refused at a byte that the page has, and the key never comes back.

use super::{
    Target,
    commands::assert_sense,
    corpus,
    mutation::{Lots, mutate},
};
use sg_sim::{Cartridge, Drive, ItNexus, MediumSpec, Profile, Reply, SeededRandomness, Status};

/// The target.
pub(crate) struct Pages {
    corpus: Vec<Vec<u8>>,
}

/// Where the key lies in a page.
const KEY: std::ops::Range<usize> = 20..52;

impl Pages {
    pub(crate) fn new() -> Self {
        let pages = corpus::read("pages").concat();
        Self {
            corpus: pages.iter().map(|line| hex::decode(line).unwrap()).collect(),
        }
    }
}

impl Target for Pages {
    fn name(&self) -> &'static str {
        "pages"
    }

    fn round(&mut self, lots: &mut Lots, say: &mut dyn FnMut(&str)) {
        let mut host = Host::new();
        let mut told = String::new();
        for _ in 0..4 {
            let mut page = lots.pick(&self.corpus).clone();
            // A key of its own, so that it is known wherever it turns up.
            if let Some(key) = page.get_mut(KEY) {
                key.iter_mut().for_each(|byte| *byte = lots.next().to_be_bytes()[0]);
            }
            if lots.below(4) > 0 {
                mutate(&mut page, lots);
                repair_length(&mut page, lots);
            }
            told.push_str(&hex::encode(&page));
            told.push('\n');
            say(&told);
            host.try_page(&page);
        }
    }
}

/// Most changed pages get a PAGE LENGTH that fits again, or nothing behind it would ever be looked at.
fn repair_length(page: &mut [u8], lots: &mut Lots) {
    if lots.below(5) == 0 {
        return;
    }
    if let (Some(length), Some(field)) = (page.len().checked_sub(4), page.get_mut(2..4)) {
        field.copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    }
}

struct Host {
    drive: Drive,
    nexus: ItNexus,
}

impl Host {
    fn new() -> Self {
        let mut drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(7)));
        drive
            .load(Cartridge::in_memory(&MediumSpec::default()).unwrap())
            .unwrap();
        let nexus = ItNexus::new("host1").unwrap();
        let mut host = Self { drive, nexus };
        while host.send(&[0; 6], &[], &mut []).status != Status::GOOD {}
        host
    }

    fn send(&mut self, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Reply {
        let reply = self.drive.execute(&self.nexus, cdb, data_out, data_in);
        if reply.status == Status::CHECK_CONDITION {
            assert_sense(&reply.sense);
        }
        reply
    }

    fn page(&mut self, code: u8) -> Vec<u8> {
        let mut data_in = vec![0; 512];
        let reply = self.send(&[0xA2, 0x20, 0, code, 0, 0, 0, 0, 2, 0, 0, 0], &[], &mut data_in);
        assert_eq!(reply.status, Status::GOOD, "page {code:02X}h");
        data_in.truncate(reply.data_in);
        assert_eq!(
            usize::from(u16::from_be_bytes([data_in[2], data_in[3]])) + 4,
            data_in.len()
        );
        data_in
    }

    fn try_page(&mut self, page: &[u8]) {
        let before = self.page(0x20);
        let length = u32::try_from(page.len()).unwrap().to_be_bytes();
        let cdb = [
            0xB5, 0x20, 0, 0x10, 0, 0, length[0], length[1], length[2], length[3], 0, 0,
        ];
        let reply = self.send(&cdb, page, &mut []);
        if reply.status == Status::GOOD {
            self.use_it(page);
            return;
        }
        assert_eq!(reply.sense[2] & 0x0F, 5, "a page is refused as ILLEGAL REQUEST");
        if reply.sense[12] == 0x26 && reply.sense[13] == 0 {
            assert_eq!(reply.sense[15] & 0xC0, 0x80, "a refusal points into the list");
            let byte = usize::from(u16::from_be_bytes([reply.sense[16], reply.sense[17]]));
            assert!(byte <= page.len(), "byte {byte} of {}", page.len());
        }
        assert_eq!(self.page(0x20), before, "a refused page changes nothing");
    }

    /// Writes and reads under what was set; nothing that comes back holds the key.
    fn use_it(&mut self, page: &[u8]) {
        let write = self.send(&[0x0A, 0, 0, 0, 5, 0], b"block", &mut []);
        self.send(&[0x01, 0, 0, 0, 0, 0], &[], &mut []);
        let mut data_in = vec![0; 64];
        let read = self.send(&[0x08, 2, 0, 0, 5, 0], &[], &mut data_in);
        let encrypts = page[6] == 2 && page[4] >> 5 != 0;
        if encrypts && matches!(page[7], 2 | 3) && write.status == Status::GOOD {
            let mode_check = page[5] >> 6 == 3;
            assert_eq!(
                read.status == Status::GOOD,
                !mode_check,
                "what was encrypted comes back"
            );
            assert!(mode_check || data_in.starts_with(b"block"));
        }
        self.send(&[0x01, 0, 0, 0, 0, 0], &[], &mut []);
        let pages = [0x20, 0x21, 0x10].map(|code| self.page(code)).concat();
        if let Some(key) = page.get(KEY) {
            assert!(
                !pages.windows(key.len()).any(|window| window == key),
                "the key came back"
            );
        }
    }
}
