//! The audit log against somebody who can write the store's tables but has not its keys: whatever they change is found.
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
use kms_support::{Home, group, new_group, rotate, volume};
use tapekey::cli::kms::{KmsArgs, run};
use tapekey::cli::output::{Exit, Output};
use tapekey::clock::Clock;
use tapekey::kad::KeyKind;
use tapekey::kms::seal::HostMasterKey;
use tapekey::kms::store::{AuditCheckWith, check_audit};
use tapekey::kms_api::{AuditEntry, AuditHead, AuditVerdict, KeyState, MoveKey};

/// A chain of a few records, each of whose fields has a value in one of them.
async fn with_records() -> Home {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    admin
        .create_group(&new_group("ENCR_a", KeyKind::Derived))
        .await
        .unwrap();
    let key = rotate(&admin, "ENCR_a").await.key;
    let kad = media.backup_key("ENCR_a", &volume("A1")).await.unwrap().kad;
    media.restore_keys(&kad.encode(), Some(&volume("A1"))).await.unwrap();
    let to = MoveKey {
        state: KeyState::Inactive,
        single_copy: false,
    };
    admin.move_key(&group("ENCR_a"), &key.name, &to).await.unwrap();
    running.stop().await;
    home
}

fn check(home: &Home, remembered: &[AuditHead]) -> (Vec<AuditEntry>, AuditVerdict) {
    let master = HostMasterKey::read(&home.master_key_file()).unwrap();
    let with = AuditCheckWith {
        master: &master,
        entropy: &*home.entropy,
        now: home.clock.now(),
        remembered: remembered.to_vec(),
    };
    let mut entries = Vec::new();
    let verdict = check_audit(&home.config().store, with, &mut |entry, _| {
        entries.push(entry.clone());
        Ok(())
    });
    (entries, verdict.unwrap())
}

/// The problems after `sql`, which is then undone.
fn after(home: &Home, sql: &str, remembered: &[AuditHead]) -> Vec<String> {
    home.sql(&format!(
        "BEGIN; CREATE TABLE kept AS SELECT * FROM audit; {sql}; COMMIT;"
    ));
    let problems = check(home, remembered).1.problems;
    home.sql("BEGIN; DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept; COMMIT;");
    problems
}

#[tokio::test]
async fn every_change_of_every_field_of_every_record_is_found() {
    let home = with_records().await;
    let (entries, verdict) = check(&home, &[]);
    assert!(verdict.problems.is_empty() && entries.len() == 6, "{verdict:?}");
    let texts = [
        "subject",
        "fingerprint",
        "action",
        "group_name",
        "key_id",
        "volume",
        "detail",
        "outcome",
    ];
    let mut changes = 0;
    for entry in &entries {
        let place = format!("WHERE sequence = {}", entry.sequence);
        let mut tried: Vec<String> = texts
            .iter()
            .map(|field| format!("{field} = coalesce({field}, '') || 'x'"))
            .collect();
        tried.extend(["group_name", "key_id", "volume", "detail"].map(|field| {
            // From nothing to an empty text, or from a text to nothing.
            format!("{field} = CASE WHEN {field} IS NULL THEN '' ELSE NULL END")
        }));
        tried.extend(["time = time + 1", "time = time - 1000", "mac = zeroblob(32)"].map(str::to_owned));
        tried.push("node = x'99999999999999999999999999999999'".to_owned());
        tried.push(format!("sequence = {}", -entry.sequence));
        tried.push("sequence = sequence + 100".to_owned());
        for change in tried {
            let problems = after(&home, &format!("UPDATE audit SET {change} {place}"), &[]);
            assert!(!problems.is_empty(), "{change} of record {}", entry.sequence);
            changes += 1;
        }
    }
    assert_eq!(changes, 6 * 18);
    assert!(check(&home, &[]).1.problems.is_empty(), "the test undoes what it does");
}

#[tokio::test]
async fn records_dropped_swapped_or_put_in_twice_are_found() {
    let home = with_records().await;
    for sequence in 1..6 {
        let problems = after(&home, &format!("DELETE FROM audit WHERE sequence = {sequence}"), &[]);
        assert!(
            problems
                .iter()
                .any(|problem| problem.starts_with(&format!("record {sequence} of node"))
                    && problem.ends_with("is missing")),
            "{problems:?}"
        );
        let closed = format!(
            "DELETE FROM audit WHERE sequence = {sequence};
             UPDATE audit SET sequence = sequence + 100 WHERE sequence > {sequence};
             UPDATE audit SET sequence = sequence - 101 WHERE sequence > {sequence};"
        );
        assert!(
            !after(&home, &closed, &[]).is_empty(),
            "{sequence}, with the gap closed"
        );
        let swapped = format!(
            "UPDATE audit SET sequence = 1000 WHERE sequence = {sequence};
             UPDATE audit SET sequence = {sequence} WHERE sequence = {sequence} + 1;
             UPDATE audit SET sequence = {sequence} + 1 WHERE sequence = 1000;"
        );
        assert!(
            !after(&home, &swapped, &[]).is_empty(),
            "{sequence}, swapped with the next"
        );
        let twice = format!(
            "INSERT INTO audit SELECT node, 7, time, subject, fingerprint, action, group_name, key_id, volume, detail, outcome, mac
             FROM audit WHERE sequence = {sequence}"
        );
        assert!(
            !after(&home, &twice, &[]).is_empty(),
            "{sequence}, once more at the end"
        );
    }
}

#[tokio::test]
async fn an_end_that_was_cut_off_is_found_by_a_head_that_was_seen_before() {
    let home = with_records().await;
    let (entries, _) = check(&home, &[]);
    let last = entries.last().unwrap().head.clone();
    assert!(check(&home, std::slice::from_ref(&last)).1.problems.is_empty());
    for sequence in 2..=6 {
        let cut = format!("DELETE FROM audit WHERE sequence >= {sequence}");
        assert_eq!(
            after(&home, &cut, &[]),
            Vec::<String>::new(),
            "a chain alone cannot show it"
        );
        let problems = after(&home, &cut, std::slice::from_ref(&last));
        assert!(
            problems[0].contains(&format!("ends at record {}, but record 6 was seen", sequence - 1)),
            "{problems:?}"
        );
    }
    let none = after(&home, "DELETE FROM audit", &[last]);
    assert!(none[0].contains("ends at record 0, but record 6 was seen"), "{none:?}");
}

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    kms: KmsArgs,
}

/// What `tapekey kms …` prints and how it fails.
async fn typed(home: &Home, address: &str, client: &str, line: &str) -> (String, Option<(Exit, String)>) {
    let bundle = home.bundle(client);
    let words = ["kms", "--client", bundle.to_str().unwrap(), "--address", address];
    let arguments = CommandLine::try_parse_from(words.into_iter().chain(line.split_whitespace())).unwrap();
    let clock: Arc<dyn Clock> = home.clock.clone();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let done = run(
        arguments.kms,
        &clock,
        &*home.entropy,
        &mut Output::new(false, &mut out, &mut err),
    )
    .await;
    let failed = done.err().map(|failure| (failure.exit, failure.text));
    (String::from_utf8(out).unwrap(), failed)
}

#[tokio::test]
async fn an_auditor_lists_exports_and_verifies_over_the_web_service() {
    let home = with_records().await;
    let running = home.serve().await;
    let address = format!("https://{}", running.address);
    let (listed, failed) = typed(&home, &address, "auditor-1", "audit list").await;
    assert!(failed.is_none() && listed.lines().count() == 6, "{listed}");
    assert!(
        listed.contains("CN=media-server-1  backup_key  group ENCR_a  key "),
        "{listed}"
    );
    let node = check(&home, &[]).0[0].node.to_string();
    assert!(listed.lines().all(|line| line.starts_with(&node)), "{listed}");
    let (exported, failed) = typed(&home, &address, "auditor-1", "audit export").await;
    assert!(failed.is_none());
    let (local, _) = check(&home, &[]);
    let lines: Vec<AuditEntry> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, local, "the same from both ends");
    let file = home.folder().join("export.jsonl");
    let (said, failed) = typed(
        &home,
        &address,
        "auditor-1",
        &format!("audit export --out {}", file.display()),
    )
    .await;
    assert!(
        failed.is_none() && said.contains("Every record is as it was written"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), exported);
    let last = lines.last().unwrap().head.to_string();
    let (verified, failed) = typed(&home, &address, "auditor-1", &format!("audit verify --head {last}")).await;
    assert!(
        failed.is_none() && verified.contains(&last) && verified.contains("Every record"),
        "{verified}"
    );
    let beyond = last.replacen(":6:", ":9:", 1);
    let (verified, failed) = typed(&home, &address, "auditor-1", &format!("audit verify --head {beyond}")).await;
    let (exit, why) = failed.expect("a head beyond the end");
    assert!(
        exit == Exit::Failed && why.contains("ends at record 6, but record 9 was seen"),
        "{why}"
    );
    assert!(verified.contains("PROBLEM"), "{verified}");
    let (_, failed) = typed(&home, &address, "media-server-1", "audit list").await;
    assert!(
        failed.unwrap().1.contains("refused (403"),
        "a media server reads no audit log"
    );
    running.stop().await;
}
