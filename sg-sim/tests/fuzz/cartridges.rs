//! Any cartridge file: refused and left as it is, or a tape that never gives out a block other than the one that was written.

use super::{Target, commands::assert_sense, mutation::Lots};
use sg_sim::{Cartridge, Drive, ItNexus, MediumSpec, Profile, Reply, SeededRandomness, Status};
use std::{fs, path::Path};

/// Where the headers begin, and how many bytes are looked at from there: more than a file of this test fills.
const HEADERS: (usize, usize) = (36_864, 1024);
/// Where the payloads begin.
const PAYLOADS_AT: usize = 102_400;
const KEY: [u8; 32] = [0x4B; 32];
/// What was written, by object number; none for a filemark.
const BLOCKS: [Option<&[u8]>; 7] = [
    Some(b"a plain block"),
    Some(b"an encrypted block"),
    None,
    Some(b"another one"),
    Some(b"x"),
    None,
    Some(b"the last one, which is encrypted"),
];

/// The target.
pub(crate) struct Cartridges {
    folder: tempfile::TempDir,
    whole: Vec<Vec<u8>>,
}

impl Cartridges {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vector: serde_json::Value = serde_json::from_str(include_str!("../vectors/cartridge-v2.json")).unwrap();
        let mut described = vec![];
        for part in vector["parts"].as_array().unwrap() {
            described.resize(usize::try_from(part["at"].as_u64().unwrap()).unwrap(), 0);
            described.extend(hex::decode(part["bytes"].as_str().unwrap()).unwrap());
        }
        Self {
            whole: vec![written(folder.path()), described],
            folder,
        }
    }

    /// A whole file with damage; most of it where something lies.
    fn input(&self, lots: &mut Lots) -> (usize, Vec<u8>) {
        let which = lots.below(self.whole.len());
        let mut bytes = self.whole[which].clone();
        for _ in 0..=lots.below(3) {
            let at = match lots.below(9) {
                0 => lots.below(128),
                1 => 4096 + lots.below(200),
                2 => 20_480 + lots.below(200),
                3 => lots.below(bytes.len()),
                4..=6 => HEADERS.0 + lots.below(HEADERS.1),
                _ => PAYLOADS_AT + lots.below(bytes.len().saturating_sub(PAYLOADS_AT)),
            };
            match lots.below(8) {
                0 => bytes.truncate(at),
                1 => {
                    // Headers again, where the next table could be.
                    let copied: Vec<u8> = bytes.iter().skip(HEADERS.0).take(HEADERS.1).copied().collect();
                    bytes.resize(bytes.len().next_multiple_of(4096), 0);
                    bytes.extend(&copied[..lots.below(copied.len() + 1)]);
                }
                2..=4 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = lots.byte();
                    }
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << lots.below(8);
                    }
                }
            }
        }
        (which, bytes)
    }
}

impl Target for Cartridges {
    fn name(&self) -> &'static str {
        "cartridges"
    }

    fn round(&mut self, lots: &mut Lots, say: &mut dyn FnMut(&str)) {
        let (which, bytes) = self.input(lots);
        let differs = self.whole[which].iter().zip(&bytes).enumerate();
        let differences: Vec<String> = differs
            .filter(|(_, (one, other))| one != other)
            .map(|(at, (_, other))| format!("{at}: {other:02X}"))
            .collect();
        say(&format!(
            "file {which}, {} bytes, {}",
            bytes.len(),
            differences.join(", ")
        ));
        let path = self.folder.path().join("damaged.cart");
        fs::write(&path, &bytes).unwrap();
        match Cartridge::open(&path) {
            Ok(cartridge) => read_to_the_end(cartridge, which == 0),
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert!(fs::read(&path).unwrap() == bytes, "a refused file was changed");
            }
        }
        fs::remove_file(&path).unwrap();
    }
}

fn send(drive: &mut Drive, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Reply {
    let reply = drive.execute(&ItNexus::new("host1").unwrap(), cdb, data_out, data_in);
    if reply.status == Status::CHECK_CONDITION {
        assert_sense(&reply.sense);
    }
    reply
}

/// A drive with the key in force, MIXED.
fn drive(cartridge: Cartridge) -> Option<Drive> {
    let mut drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(7)));
    // Damage may have made it a cartridge of another generation.
    drive.load(cartridge).ok()?;
    while !send(&mut drive, &[0; 6], &[], &mut []).sense.is_empty() {}
    let mut page = vec![
        0x00, 0x10, 0x00, 0x30, 0x40, 0x40, 2, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20,
    ];
    page.extend(KEY);
    let set = [0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 52, 0, 0];
    assert_eq!(send(&mut drive, &set, &page, &mut []).status, Status::GOOD);
    Some(drive)
}

/// Every block is the one that was written there, or an error; then the tape takes one more.
fn read_to_the_end(cartridge: Cartridge, known: bool) {
    let Some(mut drive) = drive(cartridge) else { return };
    let objects = drive.status(None).medium.unwrap().objects;
    for object in 0..objects {
        let [b0, b1, b2, b3] = u32::try_from(object).unwrap().to_be_bytes();
        let locate = [0x2B, 0, 0, b0, b1, b2, b3, 0, 0, 0];
        assert_eq!(send(&mut drive, &locate, &[], &mut []).status, Status::GOOD);
        send(
            &mut drive,
            &[0xA2, 0x20, 0, 0x21, 0, 0, 0, 0, 1, 0, 0, 0],
            &[],
            &mut [0; 256],
        );
        let mut data_in = vec![0xA5; 256];
        let read = send(&mut drive, &[0x08, 2, 0, 1, 0, 0], &[], &mut data_in);
        if read.status == Status::GOOD && known {
            let written = BLOCKS.get(usize::try_from(object).unwrap()).copied().flatten();
            assert_eq!(Some(&data_in[..read.data_in]), written, "object {object}");
        }
    }
    let write = send(&mut drive, &[0x0A, 0, 0, 0, 3, 0], b"end", &mut []);
    if write.status == Status::GOOD {
        let medium = drive.status(None).medium.unwrap();
        assert_eq!(medium.object, medium.objects, "what was behind the head is gone");
    }
}

/// A file as the drive writes it.
fn written(folder: &Path) -> Vec<u8> {
    let path = folder.join("whole.cart");
    let mut drive = drive(Cartridge::create(&path, &MediumSpec::default()).unwrap()).unwrap();
    let clear = [
        0x00, 0x10, 0x00, 0x10, 0x40, 0x40, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    for (object, block) in BLOCKS.iter().enumerate() {
        let plain = object == 0 || object == 3;
        let mut page = clear.to_vec();
        if !plain {
            (page[3], page[6], page[7], page[19]) = (0x30, 2, 2, 0x20);
            page.extend(KEY);
        }
        let set = [
            0xB5,
            0x20,
            0,
            0x10,
            0,
            0,
            0,
            0,
            0,
            u8::try_from(page.len()).unwrap(),
            0,
            0,
        ];
        assert_eq!(send(&mut drive, &set, &page, &mut []).status, Status::GOOD);
        let length = block.map_or(0, <[u8]>::len);
        let cdb = match block {
            Some(_) => [0x0A, 0, 0, 0, u8::try_from(length).unwrap(), 0],
            None => [0x10, 0, 0, 0, 1, 0],
        };
        assert_eq!(
            send(&mut drive, &cdb, block.unwrap_or_default(), &mut []).status,
            Status::GOOD
        );
    }
    drop(drive.eject());
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    bytes
}
