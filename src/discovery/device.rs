//! One drive or changer, as sysfs describes its logical unit.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::file;
use super::nodes::Node;
use crate::scsi::inquiry::{self, Designator};

/// DESIGNATOR TYPE of a T10 vendor ID based designator (SPC-5).
const T10_VENDOR_ID: u8 = 1;

/// Where vendor and product end in a T10 designator and the serial number begins: what LTO drives and changers append to them.
const T10_NAMES_LENGTH: usize = 24;

/// What kind of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A tape drive, peripheral device type 01h.
    Drive,
    /// A medium changer, peripheral device type 08h.
    Changer,
}

/// Where the kernel has put a device: host, channel, target, logical unit. It lasts until the device goes, and sorts as people count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScsiAddress([u64; 4]);

impl ScsiAddress {
    /// Reads the form `2:0:1:0`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(':').map(|number| number.parse().ok());
        let mut next = || numbers.next()?;
        let address = [next()?, next()?, next()?, next()?];
        numbers.next().is_none().then_some(Self(address))
    }
}

impl fmt::Display for ScsiAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [host, channel, target, logical_unit] = self.0;
        write!(formatter, "{host}:{channel}:{target}:{logical_unit}")
    }
}

/// One appearance of a device, from when the kernel finds it until it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Appearance {
    address: ScsiAddress,
    /// Number of its folder in sysfs, which the kernel counts up.
    inode: u64,
}

/// A drive or changer that the kernel has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Which of the two.
    pub kind: Kind,
    /// Where the kernel has put it.
    pub address: ScsiAddress,
    /// T10 VENDOR IDENTIFICATION.
    pub vendor: Option<String>,
    /// PRODUCT IDENTIFICATION.
    pub product: Option<String>,
    /// PRODUCT REVISION LEVEL.
    pub revision: Option<String>,
    /// Unit serial number: its identity. Absent if the kernel has neither page, and the device has not been asked yet.
    pub serial: Option<String>,
    /// Its sg node: where commands are sent.
    pub generic: Option<Node>,
    /// The nodes of st, the one that does not rewind first: where programs read and write. None for a changer.
    pub tape: Vec<Node>,
    pub(super) appearance: Appearance,
}

impl Device {
    /// What stands in the folder of a logical unit; nothing if that is neither drive nor changer, or goes while it is read.
    pub(super) fn read(folder: &Path, dev: &Path) -> Option<Self> {
        let kind = match file::number::<u8>(&folder.join("type"))? {
            inquiry::SEQUENTIAL_ACCESS => Kind::Drive,
            inquiry::MEDIUM_CHANGER => Kind::Changer,
            _ => return None,
        };
        let address = ScsiAddress::parse(folder.file_name()?.to_str()?)?;
        Some(Self {
            kind,
            address,
            vendor: file::text(&folder.join("vendor")),
            product: file::text(&folder.join("model")),
            revision: file::text(&folder.join("rev")),
            serial: serial(folder),
            generic: class_nodes(folder, "scsi_generic", dev).into_iter().next(),
            tape: class_nodes(folder, "scsi_tape", dev),
            appearance: Appearance {
                address,
                inode: folder.metadata().ok()?.ino(),
            },
        })
    }

    /// The node through which programs read and write without rewinding at close, if st has bound to the device.
    #[must_use]
    pub fn no_rewind(&self) -> Option<&Node> {
        self.tape.first()
    }
}

/// The serial number as the kernel read it when it found the device.
fn serial(folder: &Path) -> Option<String> {
    let named = |serial: String| (!serial.is_empty()).then_some(serial);
    let page = file::bytes(&folder.join("vpd_pg80"));
    let serial = page.and_then(|page| inquiry::decode_unit_serial_number(&page).ok());
    serial.and_then(named).or_else(|| {
        let page = file::bytes(&folder.join("vpd_pg83"))?;
        let designators = inquiry::decode_device_identification(&page).ok()?;
        designators.iter().find_map(serial_of_t10).and_then(named)
    })
}

/// The serial number that a T10 designator of the logical unit ends with.
fn serial_of_t10(designator: &Designator) -> Option<String> {
    let of_the_unit = designator.association == 0 && designator.designator_type == T10_VENDOR_ID;
    let serial = designator.designator.get(T10_NAMES_LENGTH..).filter(|_| of_the_unit)?;
    Some(crate::scsi::reader::ascii(serial))
}

/// The nodes that one driver made for a logical unit, shortest name first: `nst0` comes before `nst0a`, and before `st0`.
fn class_nodes(folder: &Path, class: &str, dev: &Path) -> Vec<Node> {
    let Ok(entries) = std::fs::read_dir(folder.join(class)) else {
        return Vec::new();
    };
    let mut nodes: Vec<Node> = entries
        .flatten()
        .take(NODES_MAX)
        .filter_map(|entry| Node::of(&entry.path(), dev))
        .collect();
    nodes.sort_by_key(|node| {
        let name = node.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let in_a_mode = name.ends_with(|last: char| last.is_ascii_alphabetic());
        (in_a_mode, !name.starts_with('n'), name)
    });
    nodes
}

/// st makes eight nodes for a drive, sg and ch one.
const NODES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn unit(files: &[(&str, &[u8])]) -> Option<Device> {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("2:0:1:0");
        fs::create_dir(&folder).unwrap();
        for (name, bytes) in files {
            fs::write(folder.join(name), bytes).unwrap();
        }
        Device::read(&folder, Path::new("/dev"))
    }

    /// Page 83h with a T10 designator: vendor, product and serial number of an LTO drive (SPC-5, "Device Identification VPD page").
    fn page_83h(association: u8, serial: &[u8]) -> Vec<u8> {
        let length = u8::try_from(T10_NAMES_LENGTH + serial.len()).unwrap();
        let head = [0x01, 0x83, 0, length + 4, 0x02, association << 4 | 0x01, 0, length];
        [&head, b"HP      Ultrium 6-SCSI  ".as_slice(), serial].concat()
    }

    #[test]
    fn the_serial_number_comes_from_page_80h_or_else_from_the_t10_designator() {
        let page_80h = b"\x01\x80\x00\x0aHU1234567A".as_slice();
        let page = page_83h(0, b"HU00000001");
        let serial = |files: &[(&str, &[u8])]| unit(&[files, &[("type", b"1\n")]].concat()).unwrap().serial;
        assert_eq!(
            serial(&[("vpd_pg80", page_80h), ("vpd_pg83", &page)]).as_deref(),
            Some("HU1234567A")
        );
        assert_eq!(serial(&[("vpd_pg83", &page)]).as_deref(), Some("HU00000001"));
        let blank = b"\x01\x80\x00\x0a          ".as_slice();
        assert_eq!(
            serial(&[("vpd_pg80", blank), ("vpd_pg83", &page)]).as_deref(),
            Some("HU00000001")
        );
        assert_eq!(serial(&[("vpd_pg83", &page_83h(1, b"HU00000001"))]), None, "of a port");
        assert_eq!(serial(&[("vpd_pg80", b"\x01\x80\x00\x0aHU12")]), None, "cut short");
        assert_eq!(serial(&[]), None);
    }

    #[test]
    fn what_is_neither_drive_nor_changer_or_has_gone_is_no_device() {
        assert_eq!(unit(&[("type", b"8\n")]).unwrap().kind, Kind::Changer);
        assert_eq!(unit(&[("type", b"0\n")]), None);
        assert_eq!(unit(&[("type", b"1x\n")]), None);
        assert_eq!(unit(&[]), None);
    }

    #[test]
    fn addresses_sort_as_people_count() {
        let address = |text| ScsiAddress::parse(text).unwrap();
        assert!(address("2:0:1:0") < address("10:0:0:0"));
        assert_eq!(address("2:0:1:0").to_string(), "2:0:1:0");
        for wrong in ["", "2:0:1", "2:0:1:0:0", "a:0:0:0", "2:0:1:-1"] {
            assert_eq!(ScsiAddress::parse(wrong), None, "{wrong}");
        }
    }
}
