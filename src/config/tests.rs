//! Every rule of the configuration, broken once.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(host.path("state")).unwrap();
        for (name, mode) in [("ca.pem", 0o644), ("cert.pem", 0o644), ("key.pem", 0o600)] {
            fs::write(host.path(name), "x").unwrap();
            fs::set_permissions(host.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self) -> String {
        let directory = self.directory.path().display();
        format!(
            "state_directory = \"{directory}/state\"\n\
             allow_simulated_drives = true\n\
             [[drive]]\nname = \"d0\"\npath = \"/dev/sg3\"\nserial = \"HU1234\"\n\
             [[drive]]\nname = \"sim\"\nsocket = \"{directory}/sim.sock\"\n\
             [kms]\naddresses = [\"https://kms1:8443\", \"https://[::1]:8443\"]\n\
             ca = \"{directory}/ca.pem\"\ncertificate = \"{directory}/cert.pem\"\nkey = \"{directory}/key.pem\"\n\
             [control]\nsocket = \"{directory}/control.sock\"\n\
             [policy]\nscope = \"local\"\n\
             [[pool]]\nname = \"ENCR_mixed\"\nplain_blocks = \"allow\"\n"
        )
    }

    fn load(&self, text: &str) -> Result<Config, ConfigError> {
        fs::write(self.path("tapekeyd.toml"), text).unwrap();
        load(&self.path("tapekeyd.toml"))
    }

    /// The error that the good file gives with `from` replaced by `to`.
    fn error(&self, from: &str, to: &str) -> String {
        let text = self.text();
        assert!(text.contains(from), "{from}");
        self.load(&text.replacen(from, to, 1)).unwrap_err().to_string()
    }
}

#[test]
fn a_host_without_a_kms_is_good_and_half_a_kms_is_not() {
    let host = Host::new();
    let text = host.text();
    let (before, after) = (
        text.split("[kms]").next().unwrap(),
        text.split("[control]").nth(1).unwrap(),
    );
    let without = host.load(&format!("{before}[control]{after}")).unwrap();
    assert_eq!(without.kms, None);
    assert!(host.load(&format!("{before}[kms]\n[control]{after}")).is_err());
}

#[test]
fn a_good_file_means_what_it_says() {
    let host = Host::new();
    let config = host.load(&host.text()).unwrap();
    assert_eq!(config.drives[0].path, DevicePath::Node("/dev/sg3".into()));
    assert_eq!(
        config.drives[1].path,
        DevicePath::Simulator {
            socket: host.path("sim.sock"),
            nexus: "tapekey-host".into()
        }
    );
    assert_eq!(config.policy.scope, KeyScope::Local);
    assert!(config.policy.finish_volumes);
    assert_eq!(config.policy.plain_blocks(Some("ENCR_mixed")), PlainBlocks::Allow);
    assert_eq!(config.policy.plain_blocks(Some("ENCR_other")), PlainBlocks::Refuse);
    assert_eq!(config.kms.as_ref().unwrap().timeout, Duration::from_secs(10));
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let host = Host::new();
    let error = host.error("serial =", "seriall =");
    assert!(
        error.contains("tapekeyd.toml, line 6: unknown field `seriall`"),
        "{error}"
    );
    assert!(error.contains("\nhint: "), "{error}");
}

#[test]
fn a_file_that_is_no_toml_or_of_wrong_types_is_refused_with_its_line() {
    let host = Host::new();
    assert!(host.error("[kms]", "[kms").contains("line 10: "));
    assert!(
        host.error("[\"https://kms1:8443\", \"https://[::1]:8443\"]", "5")
            .contains("line 11: invalid type")
    );
    assert!(
        host.error("\"local\"", "\"public\"")
            .contains("unknown variant `public`")
    );
}

#[test]
fn a_missing_or_endless_file_is_named() {
    let host = Host::new();
    let missing = load(&host.path("none.toml")).unwrap_err().to_string();
    assert!(
        missing.contains("none.toml") && missing.contains("\nhint: "),
        "{missing}"
    );
    let endless = load(Path::new("/dev/zero")).unwrap_err().to_string();
    assert!(endless.contains("more than 1048576 bytes"), "{endless}");
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let host = Host::new();
    for mode in [0o604, 0o620, 0o601] {
        fs::set_permissions(host.path("key.pem"), fs::Permissions::from_mode(mode)).unwrap();
        let error = host.load(&host.text()).unwrap_err().to_string();
        assert!(
            error.contains(&format!(
                "kms.key: {} has mode {mode:04o}",
                host.path("key.pem").display()
            )),
            "{error}"
        );
        assert!(error.contains("hint: chmod 0600"), "{error}");
    }
    fs::set_permissions(host.path("key.pem"), fs::Permissions::from_mode(0o640)).unwrap();
    host.load(&host.text()).unwrap();
}

#[test]
fn files_that_are_missing_or_no_files_are_named() {
    let host = Host::new();
    fs::remove_file(host.path("key.pem")).unwrap();
    fs::remove_file(host.path("ca.pem")).unwrap();
    fs::create_dir(host.path("ca.pem")).unwrap();
    let error = host.load(&host.text()).unwrap_err().to_string();
    assert!(error.contains("kms.key: ") && error.contains("No such file"), "{error}");
    assert!(
        error.contains("kms.ca: ") && error.contains("no regular file"),
        "{error}"
    );
}

#[test]
fn every_value_out_of_range_is_named_with_its_remedy() {
    let host = Host::new();
    let broken = [
        (
            "name = \"sim\"",
            "name = \"d0\"",
            "two sections of a drive have this name",
        ),
        ("name = \"d0\"", "name = \"d 0\"", "this cannot be a name"),
        ("path = \"/dev/sg3\"", "path = \"sg3\"", "is not an absolute path"),
        (
            "path = \"/dev/sg3\"",
            "path = \"/dev/sg3\"\nsocket = \"/x\"",
            "both path and socket",
        ),
        (
            "path = \"/dev/sg3\"\nserial = \"HU1234\"",
            "",
            "neither serial nor path nor socket",
        ),
        (
            "path = \"/dev/sg3\"\n",
            "nexus = \"x\"\n",
            "only for a simulated drive or library",
        ),
        (
            "name = \"sim\"",
            "name = \"sim\"\nserial = \"HU1234\"",
            "two have the serial number HU1234",
        ),
        (
            "path = \"/dev/sg3\"",
            "path = \"/dev/sg3\"\nnexus = \"x\"",
            "only for a simulated drive or library",
        ),
        ("serial = \"HU1234\"", "serial = \" \"", "is no serial number"),
        ("serial = \"HU1234\"", "command_timeout_ms = 999", "999 is out of range"),
        (
            "allow_simulated_drives = true",
            "",
            "simulated drive, and those are not allowed",
        ),
        ("https://kms1:8443", "kms1:8443", "is no address of a KMS"),
        ("https://kms1:8443", "https://[::1]:8443", "is there twice"),
        (
            "[\"https://kms1:8443\", \"https://[::1]:8443\"]",
            "[]",
            "0 addresses are given",
        ),
        ("ca = ", "timeout_ms = 5\nca = ", "5 is out of range"),
        (
            "[control]",
            "[control]\ngroup = \"no-such-group-here\"",
            "there is no group",
        ),
        ("ENCR_mixed", "mixed", "only pools with the prefix ENCR_"),
        ("ENCR_mixed", "ENCR_mi xed", "cannot be the name of a pool"),
        ("/state\"", "/no/where\"", "state_directory: "),
        ("/state\"", "/ca.pem\"", "is no directory"),
    ];
    for (from, to, expected) in broken {
        let error = host.error(from, to);
        assert!(
            error.contains(expected) && error.contains("\nhint: "),
            "{from} → {to}: {error}"
        );
        assert!(error.contains("tapekeyd.toml"), "{error}");
    }
}

#[test]
fn one_run_names_every_problem() {
    let host = Host::new();
    let text = host
        .text()
        .replace("https://kms1:8443", "kms1")
        .replace("ENCR_mixed", "mixed")
        .replace("name = \"d0\"", "name = \"\"");
    let Err(ConfigError::Invalid { problems, .. }) = host.load(&text) else {
        panic!("accepted")
    };
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn a_state_directory_that_others_can_write_to_is_refused() {
    let host = Host::new();
    fs::set_permissions(host.path("state"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(
        host.load(&host.text())
            .unwrap_err()
            .to_string()
            .contains("has mode 0777")
    );
}
