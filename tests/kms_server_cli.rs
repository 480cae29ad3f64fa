//! `tapekey kms server` against a running KMS: the files it reads, what it prints, and what it exits with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use clap::Parser;
use kms_support::connectors::{Connectors, Trust};
use kms_support::outside::{OtherKms, Weather};
use kms_support::{Home, volume};
use tapekey::cli::kms::{KmsArgs, run};
use tapekey::cli::output::{Exit, Failure, Output};
use tapekey::clock::Clock;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    kms: KmsArgs,
}

/// An administrator at a terminal, with the files for a server in a folder; `BUNDLE` in a line stands for that folder.
struct Terminal<'a> {
    home: &'a Home,
    address: String,
    files: tempfile::TempDir,
}

impl Terminal<'_> {
    /// What a line prints, and how it ends.
    async fn typed(&self, line: &str, json: bool) -> (String, Result<(), Failure>) {
        let (client, files) = (self.home.bundle("admin-1"), self.files.path().display().to_string());
        let line = line.replace("BUNDLE", &files);
        let words = ["kms", "--client", client.to_str().unwrap(), "--address", &self.address];
        let arguments = match CommandLine::try_parse_from(words.into_iter().chain(line.split_whitespace())) {
            Ok(arguments) => arguments,
            Err(error) => return (String::new(), Err(Failure::new(Exit::Usage, error))),
        };
        let clock: Arc<dyn Clock> = self.home.clock.clone();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(json, &mut out, &mut err);
        let ended = run(arguments.kms, &clock, &*self.home.entropy, &mut output).await;
        (String::from_utf8(out).unwrap(), ended)
    }

    async fn says(&self, line: &str) -> String {
        let (said, ended) = self.typed(line, false).await;
        ended.unwrap_or_else(|failure| panic!("{line}: {}", failure.text));
        said
    }

    async fn fails(&self, line: &str) -> (Exit, String) {
        let (said, ended) = self.typed(line, false).await;
        let failure = ended.expect_err(line);
        (failure.exit, said + &failure.text)
    }
}

fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, told in the order in which an administrator lives it"
)]
async fn an_administrator_goes_from_files_to_a_server_that_is_checked_bound_renewed_and_removed() {
    let offsite = Arc::new(OtherKms::new("offsite", 0));
    let home = Home::new();
    let running = home.serve_through(&Connectors::to(&[&offsite])).await;
    let terminal = Terminal {
        home: &home,
        address: format!("https://{}", running.address),
        files: tempfile::tempdir().unwrap(),
    };
    let (folder, trust) = (terminal.files.path(), Trust::new(&home));
    let leaf = trust.leaf();
    write(folder, "ca.pem", &trust.ca_pem(), 0o644);
    write(folder, "certificate.pem", &leaf.certificate_pem, 0o644);
    write(folder, "key.pem", &leaf.key_pem, 0o644);
    write(
        folder,
        "both.pem",
        &(leaf.certificate_pem.clone() + &leaf.key_pem),
        0o600,
    );

    let add = "server add offsite --endpoint kmip1.example.org:5696 --endpoint [2001:db8::7]:5696";
    for (more, expected) in [
        ("", "a new server needs three files"),
        ("--ca BUNDLE/ca.pem", "a new server needs three files"),
        (
            "--bundle BUNDLE",
            "key.pem has mode 0644: others could read or replace it\nhint: chmod 600 ",
        ),
        ("--bundle BUNDLE --ca BUNDLE/ca.pem", "cannot be used with"),
        ("--certificate BUNDLE/certificate.pem", "--private-key"),
        ("--ca BUNDLE/none.pem", "none.pem: No such file"),
        ("--ca BUNDLE/both.pem", "it has a private key in it"),
    ] {
        let (exit, text) = terminal.fails(&format!("{add} {more}")).await;
        assert!(exit == Exit::Usage && text.contains(expected), "{more}: {text}");
    }
    let (_, text) = terminal.fails("server add x --endpoint kmip --bundle BUNDLE").await;
    assert!(text.contains("is not HOST:PORT"), "{text}");
    write(folder, "key.pem", &leaf.key_pem, 0o600);
    let added = terminal
        .says(&format!("{add} --bundle BUNDLE --priority -3 --limit-ms 4000"))
        .await;
    for line in [
        "server              offsite",
        "endpoint            kmip1.example.org:5696",
        "endpoint            [2001:db8::7]:5696",
        "priority            -3",
        "used for            backup, restore",
        "limit               4000 ms for one question",
        "now see whether it works: tapekey kms server check offsite",
    ] {
        assert!(added.lines().any(|shown| shown == line), "{line:?} is not in:\n{added}");
    }
    assert!(!added.contains("PRIVATE"));

    let key = terminal.says("key create --server offsite --group ENCR_a").await;
    assert!(key.contains("offsite  ENCR_a  active"), "{key}");
    let check = terminal.says("server check offsite --group ENCR_a").await;
    assert_eq!(
        check,
        "VERDICT  WHAT           SEEN                   WHAT TO DO\nok       the other KMS  looked at with ENCR_a  -\n"
    );
    offsite.set_weather(Weather::Refusing);
    let (exit, text) = terminal.fails("server check offsite").await;
    assert_eq!(exit, Exit::Failed);
    assert!(
        text.contains("FAILED   the other KMS  permission denied  mend it"),
        "{text}"
    );
    assert!(text.contains("1 of 1 findings failed\nhint: "), "{text}");
    let (json, ended) = terminal.typed("server check offsite", true).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (ended.is_err(), &json["findings"][0]["verdict"]),
        (true, &"failed".into())
    );
    offsite.set_weather(Weather::Fine);

    terminal.says("group create ENCR_a").await;
    let bound = terminal.says("group bind ENCR_a --server offsite").await;
    assert!(bound.contains("AES-256-GCM  offsite "), "{bound}");
    let (_, text) = terminal.fails("server remove offsite").await;
    assert!(
        text.contains("a group is bound to server offsite: ENCR_a\nhint: "),
        "{text}"
    );
    assert!(
        terminal
            .says("group bind ENCR_a --server any")
            .await
            .contains("AES-256-GCM  any ")
    );

    let renewed = trust.leaf();
    write(folder, "certificate.pem", &renewed.certificate_pem, 0o644);
    let set = "server set offsite --certificate BUNDLE/certificate.pem --private-key BUNDLE/key.pem";
    let (exit, text) = terminal.fails(set).await;
    assert!(
        exit == Exit::Failed && text.contains("client certificate and private key: "),
        "{text}"
    );
    write(folder, "key.pem", &renewed.key_pem, 0o600);
    terminal.says(set).await;
    let (exit, _) = terminal.fails("server set offsite").await;
    assert_eq!(exit, Exit::Usage, "nothing is to be changed");
    let set = terminal
        .says("server set offsite --restore-only --no-compromised-restore")
        .await;
    assert!(
        set.contains("used for            restore\n") && set.contains("compromised keys    are not used\n"),
        "{set}"
    );
    terminal
        .says("server set offsite --for-backup --group-attribute object-group")
        .await;

    let media = home.client("media-server-1", running.address);
    media.backup_key("ENCR_a", &volume("A00001L8")).await.unwrap();
    let list = terminal.says("server list").await;
    let mut lines = list.lines();
    assert!(lines.next().unwrap().starts_with("SERVER   KIND  ADDRESS "), "{list}");
    assert!(
        lines.next().unwrap().ends_with("has 1 at 2026-11-24T12:00:00Z"),
        "{list}"
    );
    let (exit, text) = terminal.fails("server remove offsite").await;
    assert!(
        exit == Exit::Failed && text.contains("a volume: A00001L8 (ENCR_a, 2026-11-24)"),
        "{text}"
    );
    let removed = terminal.says("server remove offsite --despite-volumes").await;
    assert!(
        removed.contains("its key is in nobody's reach now: A00001L8"),
        "{removed}"
    );
    let (_, text) = terminal.fails("server show offsite").await;
    assert!(text.contains("there is no external server offsite"), "{text}");
    running.stop().await;
}
