//! What systemd itself says of the units that are shipped (`systemd-analyze verify` and `security`). Without systemd these tests see only the text;
//! where TAPEKEY_TESTS_NEED_SYSTEMD is set, it must be there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What a unit leaves open, by the name of `systemd-analyze security`, and why it must.
type Exceptions = &'static [(&'static str, &'static str)];

const OF_BOTH: Exceptions = &[
    ("PrivateNetwork=", "the KMS is a web service, and the daemon its client"),
    ("RestrictAddressFamilies=~AF_(INET|INET6)", "the same"),
    (
        "RestrictAddressFamilies=~AF_UNIX",
        "the journal, the manager and the daemon's own socket are there",
    ),
    ("IPAddressDeny=", "where the hosts are, the administrator alone knows"),
    (
        "RootDirectory=/RootImage=",
        "a folder of its own for /usr would have to be kept up to date by somebody",
    ),
    (
        "SystemCallFilter=~@resources",
        "of these only setrlimit: no core dumps, and memory that stays out of swap",
    ),
    (
        "DeviceAllow=",
        "ProtectClock= gives the clock for reading; the daemon has the drives besides",
    ),
];

const OF_THE_DAEMON: Exceptions = &[
    (
        "RestrictAddressFamilies=~AF_NETLINK",
        "the kernel says there which drives come and go",
    ),
    ("PrivateDevices=", "it would hide the drives"),
    (
        "CapabilityBoundingSet=~CAP_SYS_RAWIO",
        "the kernel passes SECURITY PROTOCOL OUT on to no one else",
    ),
    ("AmbientCapabilities=", "the same one: the daemon is not root"),
    (
        "PrivateUsers=",
        "a capability in a user namespace of its own is none for devices",
    ),
    (
        "SupplementaryGroups=",
        "the nodes of tape drives belong to the group tape",
    ),
    (
        "SystemCallFilter=~@privileged",
        "of these only chown: its socket belongs to the group that may command it",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn unit(name: &str) -> PathBuf {
    root().join("systemd").join(name)
}

/// `None` where there is no systemd.
fn analyze(arguments: &[&str], file: &Path) -> Option<Output> {
    let output = Command::new("systemd-analyze").args(arguments).arg(file).output();
    match output {
        Ok(output) => Some(output),
        Err(error) => {
            let needed = std::env::var_os("TAPEKEY_TESTS_NEED_SYSTEMD").is_some();
            assert!(!needed, "systemd-analyze: {error}\nhint: apt-get install systemd");
            None
        }
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_tapekeyd")).parent().unwrap();
    for name in ["tapekeyd.service", "tapekey-kms.service"] {
        let text = fs::read_to_string(unit(name)).unwrap();
        // It looks for the program, which is where cargo builds it.
        let here = text.replace("ExecStart=/usr/bin", &format!("ExecStart={}", programs.display()));
        assert_ne!(text, here);
        let file = folder.path().join(name);
        fs::write(&file, here).unwrap();
        if let Some(verified) = analyze(&["verify", "--man=no"], &file) {
            let said = String::from_utf8_lossy(&verified.stderr);
            // Of units of this machine that ours name it may say what it likes.
            let ours = said.lines().find(|line| line.contains(name));
            assert!(verified.status.success() && ours.is_none(), "{said}");
        }
    }
}

/// Sets the unit's exposure beside `limit`, and what it leaves open beside the exceptions that are explained.
#[track_caller]
fn is_closed(name: &str, limit: f64, exceptions: &[Exceptions]) {
    let threshold = format!("--threshold={}", limit * 10.0);
    let arguments = ["security", "--offline=true", "--no-pager", "--json=short", &threshold];
    let Some(said) = analyze(&arguments, &unit(name)) else {
        return;
    };
    let checks: Vec<Value> = serde_json::from_slice(&said.stdout).unwrap();
    assert!(checks.len() > 70, "{} checks", checks.len());
    let open = checks
        .iter()
        .filter(|check| check["set"] == false && check["exposure"].as_str().is_some_and(|exposure| exposure != "0.0"));
    for check in open {
        let what = check["name"].as_str().unwrap();
        let explained = exceptions
            .iter()
            .copied()
            .flatten()
            .any(|(exception, _)| *exception == what);
        assert!(explained, "{name} leaves {what} open: {}", check["description"]);
    }
    assert!(said.status.success(), "{name} is exposed to more than {limit}");
}

#[test]
fn what_the_key_service_leaves_open_is_explained_and_little() {
    is_closed("tapekey-kms.service", 2.0, &[OF_BOTH]);
}

#[test]
fn what_the_daemon_leaves_open_is_explained_and_is_what_its_devices_need() {
    is_closed("tapekeyd.service", 2.0, &[OF_BOTH, OF_THE_DAEMON]);
}

#[test]
fn both_are_watched_started_again_for_ever_and_leave_no_core() {
    for name in ["tapekeyd.service", "tapekey-kms.service"] {
        let text = fs::read_to_string(unit(name)).unwrap();
        for line in [
            "Type=notify",
            "WatchdogSec=30",
            "Restart=always",
            "StartLimitIntervalSec=0",
            "LimitCORE=0",
            "LimitMEMLOCK=infinity",
            "UMask=0077",
        ] {
            assert!(text.lines().any(|there| there == line), "{name}: {line}");
        }
    }
}
