//! What this host shows of a drive's node without opening it: whether it is there, whose it is, and which driver writes the tapes.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::sys::stat::{major, minor};

use super::finding;
use crate::config::{DeviceConfig, DevicePath};
use crate::control::messages::report::{Finding, Verdict};

/// Where Linux tells of its sg nodes.
const SG_NODES: &str = "/sys/class/scsi_generic";

/// Where udev/70-tapekey.rules makes links by serial number.
const LINKS: &str = "/dev/tapekey";

/// Major numbers that Linux has for sg and for st.
const SG_MAJOR: u64 = 21;
const ST_MAJOR: u64 = 9;

/// What to do where there is no node.
const NO_NODE: &str =
    "is the drive on, and sg loaded (modprobe sg)? lsscsi -g lists nodes; udev/70-tapekey.rules makes the links";

pub(super) fn look(drive: &DeviceConfig) -> Vec<Finding> {
    match &drive.path {
        DevicePath::Node(path) => node(path, Path::new(SG_NODES)),
        DevicePath::Serial(serial) => {
            let link = Path::new(LINKS).join(serial);
            // Without udev's link only the daemon finds it.
            if link.exists() {
                node(&link, Path::new(SG_NODES))
            } else {
                Vec::new()
            }
        }
        DevicePath::Simulator { socket, .. } => {
            let text = format!("{} is a simulated drive, which gets real keys", socket.display());
            vec![finding(
                Verdict::Warning,
                "node",
                text,
                Some("remove allow_simulated_drives unless this is a test host"),
            )]
        }
    }
}

fn node(path: &Path, sg_nodes: &Path) -> Vec<Finding> {
    let shown = path.display();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![finding(
                Verdict::Wrong,
                "node",
                format!("{shown} is not there"),
                Some(NO_NODE),
            )];
        }
        Err(error) => {
            let text = format!("look at {shown}: {error}");
            return vec![finding(Verdict::Unknown, "node", text, Some("run it as root"))];
        }
    };
    if !metadata.file_type().is_char_device() {
        let text = format!("{shown} is no device");
        return vec![finding(Verdict::Wrong, "node", text, Some(NO_NODE))];
    }
    let device = metadata.rdev();
    match major(device) {
        SG_MAJOR => {}
        other => {
            let whose = if other == ST_MAJOR {
                "st".to_owned()
            } else {
                format!("another driver (major number {other})")
            };
            let text = format!("{shown} is a node of {whose}, not of sg");
            let remedy =
                "name the sg node of the drive, as lsscsi -g shows it; vendors' nodes such as lin_tape's take no keys";
            return vec![finding(Verdict::Wrong, "node", text, Some(remedy))];
        }
    }
    let name = format!("sg{}", minor(device));
    vec![
        permission(path, &metadata),
        driver(&sg_nodes.join(&name).join("device/driver"), &name),
    ]
}

/// Whether others than root may use it; whether the daemon may, it says itself.
fn permission(path: &Path, metadata: &fs::Metadata) -> Finding {
    let mode = metadata.permissions().mode() & 0o777;
    let text = format!(
        "{} belongs to user {} and group {}, mode {mode:04o}",
        path.display(),
        metadata.uid(),
        metadata.gid()
    );
    let for_daemon = mode & 0o060 == 0o060 || (metadata.uid() != 0 && mode & 0o600 == 0o600);
    if for_daemon {
        return finding(Verdict::Ok, "node", text, None);
    }
    let remedy = "a daemon that is not root needs read and write access: install udev/70-tapekey.rules";
    finding(Verdict::Warning, "node", text, Some(remedy))
}

/// Which driver programs write through.
fn driver(link: &Path, name: &str) -> Finding {
    const ABOUT: &str = "driver";
    let driver = fs::read_link(link).ok();
    let driver = driver.as_ref().and_then(|driver| driver.file_name()?.to_str());
    match driver {
        Some("st") => finding(
            Verdict::Ok,
            ABOUT,
            format!("programs write to {name}'s drive through st"),
            None,
        ),
        Some(other) => finding(
            Verdict::Warning,
            ABOUT,
            format!("{name}'s drive belongs to driver {other}, not to st: its nodes cannot be held"),
            Some("use st for this drive (unload lin_tape), or load the key before every program by hand"),
        ),
        None => finding(
            Verdict::Warning,
            ABOUT,
            format!("no driver has {name}'s drive, so no program can write to it"),
            Some("load it: modprobe st"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn verdicts(findings: &[Finding]) -> Vec<Verdict> {
        assert!(
            findings
                .iter()
                .all(|found| (found.verdict == Verdict::Ok) == found.remedy.is_none())
        );
        findings.iter().map(|found| found.verdict).collect()
    }

    #[test]
    fn what_is_no_node_of_sg_is_wrong_and_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let none = node(&folder.path().join("sg0"), folder.path());
        assert_eq!(verdicts(&none), [Verdict::Wrong]);
        let file = node(folder.path(), folder.path());
        assert!(file[0].text.ends_with("is no device"), "{file:?}");
        let other = node(Path::new("/dev/null"), folder.path());
        assert!(
            other[0].verdict == Verdict::Wrong && other[0].text.contains("another driver (major number 1)"),
            "{other:?}"
        );
    }

    #[test]
    fn drivers_of_vendors_and_none_are_told_from_st() {
        let folder = tempfile::tempdir().unwrap();
        let link = |name: &str| {
            let link = folder.path().join(name);
            symlink(format!("../../bus/scsi/drivers/{name}"), &link).unwrap();
            link
        };
        assert_eq!(driver(&link("st"), "sg0").verdict, Verdict::Ok);
        let vendor = driver(&link("lin_tape"), "sg0");
        assert!(
            vendor.verdict == Verdict::Warning && vendor.text.contains("lin_tape"),
            "{vendor:?}"
        );
        assert_eq!(driver(&folder.path().join("none"), "sg0").verdict, Verdict::Warning);
    }
}
