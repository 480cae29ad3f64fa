//! `tapekey config check` and the daemon say the same of a configuration; the example that is shipped is a good one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use support::programs::{Ended, Running};
use support::stage::Stage;

/// Both refuse `text` and name `reason`, with a remedy.
#[track_caller]
fn both_refuse(stage: &Stage, text: &str, reason: &str) {
    std::fs::write(stage.config(), text).unwrap();
    let config = stage.config().display().to_string();
    let checked = Ended::of(stage.tapekey_command().args(["config", "check", &config]));
    assert_eq!(checked.code, 2, "{}", checked.err);
    for said in [checked.err, { daemon_says(stage) }] {
        assert!(
            said.contains(reason) && said.contains("\nhint: "),
            "{reason:?} is not in:\n{said}"
        );
        assert!(said.contains("tapekeyd.toml"), "the file is named: {said}");
    }
}

fn daemon_says(stage: &Stage) -> String {
    let mut daemon = Running::start(stage.daemon_command());
    daemon.wait_for("cannot go on");
    daemon.wait_for("hint: ");
    assert!(!daemon.end());
    String::from_utf8(daemon.said()).unwrap()
}

#[test]
fn bad_configurations_are_refused_by_both_with_key_and_remedy() {
    let stage = Stage::without_daemon(1);
    let good = stage.config_text();
    let address = stage.kms_address.clone();
    both_refuse(
        &stage,
        &good.replace("[control]", "[control]\nsockets = 1"),
        "unknown field `sockets`",
    );
    both_refuse(&stage, &good.replace("[control]", "[control"), "line 3: ");
    both_refuse(
        &stage,
        &good.replace("allow_simulated_drives = true", ""),
        "simulated drive, and those are not allowed",
    );
    both_refuse(
        &stage,
        &good.replace(&address, "http://127.0.0.1:1"),
        "is no address of a KMS",
    );
    both_refuse(
        &stage,
        &good.replace("timeout_ms = 20000", "timeout_ms = 1"),
        "kms.timeout_ms: 1 is out of range",
    );
    let twice = format!("{good}[[drive]]\nname = \"d1\"\npath = \"/dev/sg0\"\n");
    both_refuse(&stage, &twice, "drive \"d1\": two sections of a drive have this name");
    both_refuse(&stage, &good.replace("/key.pem", "/no-key.pem"), "kms.key: ");
    both_refuse(&stage, &good.replace("/ca.pem", "/key.pem"), "key.pem");
}

#[test]
fn secrets_that_others_can_read_and_certificates_that_are_none_are_refused_by_both() {
    let stage = Stage::without_daemon(1);
    let good = stage.config_text();
    let key = stage.path("kms/clients/media-server-1/key.pem");
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    both_refuse(&stage, &good, "has mode 0644");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    std::fs::write(
        stage.path("broken.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let client = stage.path("kms/clients/media-server-1");
    let broken = good.replace(
        &format!("{}/certificate.pem", client.display()),
        &stage.path("broken.pem").display().to_string(),
    );
    both_refuse(&stage, &broken, "broken.pem");
    let foreign = good.replace(
        &format!("{}/key.pem", client.display()),
        &stage.path("kms/clients/admin-1/key.pem").display().to_string(),
    );
    both_refuse(&stage, &foreign, "must be a pair");
}

#[test]
fn a_good_configuration_is_called_good() {
    let stage = Stage::without_daemon(2);
    std::fs::write(stage.config(), stage.config_text()).unwrap();
    let config = stage.config().display().to_string();
    assert!(
        stage
            .tapekey(&["config", "check", &config])
            .well()
            .contains("good; drives: d1, d2")
    );
}

#[test]
fn the_example_that_is_shipped_is_good() {
    let stage = Stage::without_daemon(0);
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tapekeyd.toml")).unwrap();
    let client = stage.path("kms/clients/media-server-1").display().to_string();
    // The example's places do not exist here, and its group only where the package is installed.
    let here = example
        .replace("/etc/tapekey/kms", &client)
        .replace("/var/lib/tapekey", &stage.path("state").display().to_string())
        .replace("group = \"tapekey\"", "group = \"root\"");
    assert!(here.matches(&client).count() == 3 && here.contains("group = \"root\""));
    std::fs::write(stage.config(), here).unwrap();
    Ended::of(stage.tapekey_command().args(["config", "check"]).arg(stage.config())).well();
    for key in every_key() {
        assert!(example.contains(&key), "the example does not show {key}");
    }
}

#[test]
fn the_unit_lets_the_daemon_renew_its_certificate_where_the_example_keeps_it() {
    let read = |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let example: toml::Table = read("docs/tapekeyd.toml").parse().unwrap();
    let unit = read("systemd/tapekeyd.service");
    for file in ["certificate", "key"] {
        let file = std::path::Path::new(example["kms"][file].as_str().unwrap());
        let folder = file.parent().unwrap().display().to_string();
        assert!(
            unit.lines().any(|line| line == format!("ReadWritePaths=-{folder}")),
            "{folder}"
        );
    }
}

/// The keys that the configuration knows, as its own error message lists them.
fn every_key() -> Vec<String> {
    let mut keys = Vec::new();
    for section in [
        "",
        "[kms]\n",
        "[control]\n",
        "[policy]\n",
        "[[drive]]\n",
        "[[library]]\n",
        "[[pool]]\n",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.toml");
        std::fs::write(&file, format!("{section}unknown_key = 1\n")).unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_tapekey"));
        let said = Ended::of(check.args(["config", "check"]).arg(&file)).err;
        let (_, listed) = said.split_once("expected ").unwrap_or_else(|| panic!("{said}"));
        let listed = listed.lines().next().unwrap();
        keys.extend(listed.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    assert!(keys.len() > 20, "{keys:?}");
    keys
}
