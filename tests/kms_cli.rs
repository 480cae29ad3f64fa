//! `tapekey kms` against a running KMS: what it prints, and what it exits with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::sync::Arc;

use clap::Parser;
use kms_support::Home;
use tapekey::cli::kms::{KmsArgs, run};
use tapekey::cli::output::{Exit, Failure, Output};
use tapekey::clock::Clock;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    kms: KmsArgs,
}

struct Terminal<'a> {
    home: &'a Home,
    address: String,
}

impl Terminal<'_> {
    async fn typed(&self, line: &str, client: &str, json: bool) -> Result<String, Failure> {
        let bundle = self.home.bundle(client);
        let words = ["kms", "--client", bundle.to_str().unwrap(), "--address", &self.address];
        let arguments = CommandLine::try_parse_from(words.into_iter().chain(line.split_whitespace()));
        let arguments = arguments.map_err(|error| Failure::new(Exit::Usage, error))?;
        let clock: Arc<dyn Clock> = self.home.clock.clone();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut output = Output::new(json, &mut out, &mut err);
        run(arguments.kms, &clock, &*self.home.entropy, &mut output).await?;
        assert!(err.is_empty());
        Ok(String::from_utf8(out).unwrap())
    }

    async fn says(&self, line: &str) -> String {
        self.typed(line, "admin-1", false)
            .await
            .unwrap_or_else(|failure| panic!("{line}: {}", failure.text))
    }

    async fn fails(&self, line: &str) -> (Exit, String) {
        let failure = self.typed(line, "admin-1", false).await.expect_err(line);
        assert!(
            failure.text.contains("hint: ") || failure.exit == Exit::Usage,
            "{}",
            failure.text
        );
        (failure.exit, failure.text)
    }
}

#[tokio::test]
async fn an_administrator_sees_groups_and_keys_as_tables_and_as_json() {
    let home = Home::new();
    let running = home.serve().await;
    let terminal = Terminal {
        home: &home,
        address: format!("https://{}", running.address),
    };
    let group = terminal.says("group create ENCR_daily --description nightly").await;
    assert_eq!(
        group,
        "GROUP       KIND     CIPHER       KEYS FROM  ROTATED  CREATED               DESCRIPTION\n\
         ENCR_daily  derived  AES-256-GCM  any        by hand  2026-11-24T12:00:00Z  nightly\n"
    );
    terminal.says("group create ENCR_shared --kind as-is").await;
    let (_, text) = terminal.fails("group create disk_pool_7").await;
    assert!(text.contains("not for tape"), "{text}");
    terminal.says("group create disk_pool_7 --for disk").await;
    assert_eq!(terminal.says("group list").await.lines().count(), 4);

    let made = terminal.says("key create ENCR_daily november").await;
    assert!(
        made.lines()
            .nth(1)
            .unwrap()
            .starts_with("ENCR_daily  november  prelive  "),
        "{made}"
    );
    terminal.says("key activate ENCR_daily november --single-copy").await;
    let again = terminal.says("key activate ENCR_daily november --single-copy").await;
    assert!(
        again.ends_with("nothing changed: the key was active already\n"),
        "{again}"
    );
    let rotated = terminal
        .says("key rotate ENCR_daily --name december --single-copy")
        .await;
    let states: Vec<_> = rotated
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().nth(2).unwrap())
        .collect();
    assert_eq!(states, ["inactive", "active"]);
    terminal.says("key retire ENCR_daily november deprecated").await;
    assert_eq!(terminal.says("key list ENCR_daily").await.lines().count(), 3);

    let keys = terminal.typed("key list", "admin-1", true).await.unwrap();
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(
        (keys[0]["name"].as_str(), keys[1]["state"].as_str()),
        (Some("december"), Some("deprecated"))
    );
    running.stop().await;
}

#[tokio::test]
async fn groups_and_keys_are_renamed_described_and_moved() {
    let home = Home::new();
    let running = home.serve().await;
    let terminal = Terminal {
        home: &home,
        address: format!("https://{}", running.address),
    };
    terminal.says("group create ENCR_daily").await;
    terminal.says("group create ENCR_archive").await;
    terminal.says("key create ENCR_daily november").await;
    let row = |table: String| {
        table
            .lines()
            .nth(1)
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        row(terminal.says("group rename ENCR_daily ENCR_nightly").await)[0],
        "ENCR_nightly"
    );
    assert_eq!(
        row(terminal.says("group describe ENCR_nightly short").await)[7],
        "short"
    );
    assert_eq!(
        row(terminal.says("key rename ENCR_nightly november nov").await)[1],
        "nov"
    );
    assert_eq!(
        row(terminal.says("key describe ENCR_nightly nov short").await)[7],
        "short"
    );
    let moved = row(terminal.says("key move ENCR_nightly nov ENCR_archive --name old").await);
    assert_eq!(moved[..3], ["ENCR_archive", "old", "prelive"]);
    let (exit, text) = terminal.fails("key move ENCR_archive old ENCR_none").await;
    assert!(
        exit == Exit::Failed && text.contains("there is no group ENCR_none"),
        "{text}"
    );
    running.stop().await;
}

#[tokio::test]
async fn an_administrator_makes_snapshots_quiesces_and_sees_how_the_service_is() {
    let home = Home::new();
    let disk = home.other_disk();
    let running = home.serve().await;
    let terminal = Terminal {
        home: &home,
        address: format!("https://{}", running.address),
    };
    terminal.says("group create ENCR_daily").await;
    terminal.says("key create ENCR_daily november").await;
    let (exit, text) = terminal.fails("status").await;
    assert!(
        exit == Exit::Failed && text.contains("1 of 1 keys are in no snapshot"),
        "{text}"
    );
    let (exit, text) = terminal.fails("key activate ENCR_daily november").await;
    assert!(
        exit == Exit::Failed && text.contains("tapekey kms snapshot create"),
        "{text}"
    );
    let file = disk.path().join("1.snapshot");
    let made = terminal.says(&format!("snapshot create {}", file.display())).await;
    assert!(
        made.starts_with("MADE  ") && made.contains("2026-11-24T12:00:00Z  "),
        "{made}"
    );
    assert_eq!(terminal.says("snapshot list").await, made);
    terminal.says("key activate ENCR_daily november").await;
    let status = terminal.says("quiesce").await;
    assert!(
        status.contains("in no snapshot  0\n")
            && status.contains("changes         refused, 1 outstanding quiesces\n")
            && status.ends_with("quiesced        2026-11-24T12:00:00Z by CN=admin-1\n"),
        "{status}"
    );
    let (_, text) = terminal.fails("key create ENCR_daily").await;
    assert!(text.contains("the service is quiesced"), "{text}");
    let status = terminal.says("unquiesce").await;
    assert!(status.ends_with("changes         allowed\n"), "{status}");
    assert_eq!(terminal.says("status").await, status);
    let json = terminal.typed("status", "admin-1", true).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["last_snapshot"]["keys"], 1);
    assert_eq!(terminal.says("cache clear").await, "0 answers forgotten\n");
    running.stop().await;
}

#[tokio::test]
async fn refusals_usage_and_silence_have_exit_codes_of_their_own() {
    let home = Home::new();
    let running = home.serve().await;
    let mut terminal = Terminal {
        home: &home,
        address: format!("https://{}", running.address),
    };
    let (exit, text) = terminal.fails("key rotate ENCR_none --single-copy").await;
    assert!(
        exit == Exit::Failed && text.contains("there is no group ENCR_none"),
        "{text}"
    );
    terminal.says("group create ENCR_daily").await;
    let (exit, text) = terminal.fails("key rotate ENCR_daily").await;
    assert!(exit == Exit::Failed && text.contains("--single-copy"), "{text}");
    for line in [
        "group create",
        "group create a/b",
        "key retire ENCR_daily x active",
        "key list --colour red",
    ] {
        assert_eq!(terminal.fails(line).await.0, Exit::Usage, "{line}");
    }
    let failure = terminal.typed("group list", "media-server-1", false).await.unwrap_err();
    assert!(
        failure.exit == Exit::Failed && failure.text.contains("role admin or operator or auditor"),
        "{}",
        failure.text
    );
    let failure = terminal.typed("group list", "nobody", false).await.unwrap_err();
    assert!(
        failure.exit == Exit::Usage && failure.text.contains("clients/nobody/client.toml"),
        "{}",
        failure.text
    );
    running.stop().await;
    terminal.address = "https://127.0.0.1:1".to_owned();
    assert_eq!(terminal.fails("group list").await.0, Exit::Unreachable);
}

#[tokio::test]
async fn an_administrator_lets_a_host_in_binds_it_and_ends_it() {
    let home = Home::new();
    let running = home.serve().await;
    let terminal = Terminal {
        home: &home,
        address: format!("https://{}", running.address),
    };
    let line = "enroll create host-7 --role media-server --group ENCR_daily --group ENCR_weekly";
    let made = terminal.says(line).await;
    let token = made.lines().next().unwrap();
    assert!(
        token.starts_with("tapekey-enroll-1.") && made.contains("tapekey kms join DIR"),
        "{made}"
    );
    let (exit, text) = terminal.fails("enroll create admin-3 --role admin").await;
    assert!(
        exit == Exit::Failed && text.contains("needs two others and a waiting time"),
        "{text}"
    );

    // On the host: the token comes by a file descriptor.
    let temporary = tempfile::tempdir().unwrap();
    let (file, folder) = (temporary.path().join("token"), temporary.path().join("bundle"));
    std::fs::write(&file, token).unwrap();
    let opened = std::fs::File::open(&file).unwrap();
    let join = format!(
        "join {} --token-fd {}",
        folder.display(),
        std::os::fd::AsRawFd::as_raw_fd(&opened)
    );
    let joined = terminal.says(&join).await;
    assert!(
        joined.starts_with("NAME    ROLE          GROUPS ") && joined.contains("ENCR_daily ENCR_weekly"),
        "{joined}"
    );
    let over = terminal.fails(&join).await;
    assert!(over.0 == Exit::Usage && over.1.contains("is not empty"), "{}", over.1);
    for (written, mode) in [
        ("key.pem", 0o600),
        ("certificate.pem", 0o644),
        ("ca.pem", 0o644),
        ("client.toml", 0o644),
    ] {
        let found =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(folder.join(written)).unwrap().permissions());
        assert_eq!(found & 0o777, mode, "{written}");
    }

    let listed = terminal.says("certificate list").await;
    assert!(
        listed.lines().count() == 7 && listed.contains("media-server-1  media-server  all groups"),
        "{listed}"
    );
    let bound = terminal.says("certificate bind host-7 --all-groups").await;
    assert!(bound.contains("host-7  media-server  all groups"), "{bound}");
    assert_eq!(terminal.fails("certificate bind host-7").await.0, Exit::Usage);
    let ended = terminal.says("certificate revoke host-7").await;
    assert!(ended.contains("revoked 2026-11-24T12:00:00Z by CN=admin-1"), "{ended}");
    asks_for_a_further_administrator_and_sees_open_tokens(&terminal).await;
    let renewed = terminal.says("certificate renew").await;
    assert!(renewed.contains("admin-1  admin  -  "), "{renewed}");
    running.stop().await;
}

async fn asks_for_a_further_administrator_and_sees_open_tokens(terminal: &Terminal<'_>) {
    let reason = "--reason spring";
    let asked = terminal.says(&format!("enroll create zoe --role admin {reason}")).await;
    assert!(
        asked.contains("let zoe become an administrator") && asked.contains("30 days left for another administrator"),
        "{asked}"
    );
    let approved = terminal.typed("request approve 1", "admin-2", false).await.unwrap();
    assert!(
        approved.contains("30 days of service left until a token can be made"),
        "{approved}"
    );
    let (_, early) = terminal.fails("enroll create zoe --role admin").await;
    assert!(
        early.contains("has 30 days of service left") && early.contains("request show 1"),
        "{early}"
    );
    let (exit, text) = terminal
        .fails(&format!("enroll create bert --role operator {reason}"))
        .await;
    assert!(
        exit == Exit::Usage && text.contains("--reason is for --role admin"),
        "{text}"
    );
    terminal.says("enroll create bert --role operator").await;
    let row = "bert  operator  -       CN=admin-1  2026-11-24T13:00:00Z\n";
    let table = format!("NAME  ROLE      GROUPS  MADE BY     UNTIL\n{row}");
    assert_eq!(terminal.says("enroll list").await, table);
    assert_eq!(terminal.says("enroll cancel bert").await, table);
    let (exit, none) = terminal.fails("enroll cancel bert").await;
    assert!(
        exit == Exit::Failed && none.contains("no open enrollment token for bert"),
        "{none}"
    );
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_said_beside_every_answer() {
    let home = Home::new();
    let running = home.serve().await;
    home.clock.advance_days(725);
    let (bundle, address) = (home.bundle("admin-1"), format!("https://{}", running.address));
    let words = [
        "kms",
        "--client",
        bundle.to_str().unwrap(),
        "--address",
        &address,
        "group",
        "list",
    ];
    let clock: Arc<dyn Clock> = home.clock.clone();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut output = Output::new(false, &mut out, &mut err);
    let arguments = CommandLine::try_parse_from(words).ok().unwrap();
    run(arguments.kms, &clock, &*home.entropy, &mut output).await.unwrap();
    let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
    assert!(out.starts_with("GROUP  "), "{out}");
    assert!(
        err.contains("expires in 7 days or less, on 2028-11-23") && err.contains("hint: tapekey kms certificate renew"),
        "{err}"
    );
    let terminal = Terminal { home: &home, address };
    let failure = terminal.typed("status", "admin-1", false).await.unwrap_err();
    assert!(
        failure.text.contains("certificates end: ") && failure.text.contains("admin admin-2 expires in 7 days"),
        "{}",
        failure.text
    );
    running.stop().await;
}
