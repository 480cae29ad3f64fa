//! `tapekey kms snapshot|status|quiesce|unquiesce`: the KMS as a whole.

use clap::Subcommand;

use super::failure;
use crate::cli::output::{Exit, Failure, Output, Table};
use crate::clock::to_text;
use crate::kms_api::{
    CreateSnapshot, ExternalServerStatus, SealStatus, ServiceStatus, SnapshotRecord, SnapshotSchedule, WaitingRotation,
};
use crate::kms_client::KmsClient;

/// Verbs for snapshots.
#[derive(Debug, Subcommand)]
pub(super) enum SnapshotVerb {
    /// Make a snapshot of the store, in a file on the KMS's host, while it serves
    Create {
        /// The file to make: an absolute path on the KMS's host, on another disk than the store's
        #[arg(value_name = "FILE")]
        path: String,
        /// Accept that FILE lies on the store's file system: it then counts for no key; audited
        #[arg(long)]
        same_filesystem: bool,
    },
    /// List the newest snapshots and recovery kits
    List,
}

/// Verbs for the cache.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum CacheVerb {
    /// Forget all of it: the next requests ask the external servers again
    Clear,
}

/// The cache.
pub(super) async fn on_cache(
    client: &KmsClient,
    CacheVerb::Clear: CacheVerb,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let cleared = client.clear_cache().await.map_err(failure)?;
    output.answer(&cleared, |cleared| format!("{} answers forgotten\n", cleared.answers))
}

/// Verbs for what the store is sealed under.
#[derive(Debug, Subcommand)]
pub(super) enum SealVerb {
    /// Draw another key protection key; what is stored is sealed under it in the background, see status
    Rotate,
}

/// Another key protection key.
pub(super) async fn on_seal_rotate(client: &KmsClient, output: &mut Output<'_>) -> Result<(), Failure> {
    let seal = client.rotate_seal().await.map_err(failure)?;
    output.answer(&seal, |seal| format!("{}\n", describe_seal(seal)))
}

fn describe_seal(seal: &SealStatus) -> String {
    let SealStatus {
        key_protection_key,
        former,
        records_left,
    } = seal;
    match former {
        0 => format!("under key protection key {key_protection_key}"),
        1 => {
            format!("under key protection key {key_protection_key}, but for {records_left} records under a former one")
        }
        _ => format!(
            "under key protection key {key_protection_key}, but for {records_left} records under {former} former ones"
        ),
    }
}

/// Snapshots.
pub(super) async fn on_snapshots(
    client: &KmsClient,
    verb: SnapshotVerb,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match verb {
        SnapshotVerb::Create { path, same_filesystem } => {
            let wanted = CreateSnapshot { path, same_filesystem };
            let made = client.create_snapshot(&wanted).await.map_err(failure)?;
            output.answer(&made, |made| snapshot_table(std::slice::from_ref(made)))
        }
        SnapshotVerb::List => {
            let snapshots = client.snapshots().await.map_err(failure)?;
            output.answer(&snapshots, |snapshots| snapshot_table(snapshots))
        }
    }
}

/// The status, with exit code 1 if a key is on one disk only or a certificate ends soon.
pub(super) async fn on_status(client: &KmsClient, output: &mut Output<'_>) -> Result<(), Failure> {
    let status = client.status().await.map_err(failure)?;
    output.answer(&status, describe)?;
    for alarm in &status.security_alarms {
        output.alarm(&alarm.text, &alarm.hint);
    }
    if let Some(alarm) = status.alarms.first() {
        let more = match status.alarms.len() {
            1 => String::new(),
            alarms => format!(" ({alarms} alarms in all)"),
        };
        let hint = "the service tries again by itself, and at once with tapekey kms rotate --due or tapekey kms snapshot create";
        return Err(Failure::new(
            Exit::Failed,
            format_args!("alarm: {alarm}{more}\nhint: {hint}"),
        ));
    }
    match status.keys_in_no_snapshot {
        0 if status.security_alarms.is_empty() => certificates_are_good(&status),
        0 => Err(Failure::new(
            Exit::Failed,
            format_args!(
                "alarms of the KMS: {}\nhint: the lines above say what to do",
                status.security_alarms.len()
            ),
        )),
        keys => Err(Failure::new(
            Exit::Failed,
            format_args!(
                "{keys} of {} keys are in no snapshot on another file system and are lost if the store's disk dies\nhint: tapekey kms snapshot create /ON/ANOTHER/DISK/FILE",
                status.keys
            ),
        )),
    }
}

/// A failure if a certificate ends soon.
fn certificates_are_good(status: &ServiceStatus) -> Result<(), Failure> {
    let ending = status
        .certificates
        .iter()
        .filter_map(|one| Some((&one.what, one.expiry?)));
    let ending: Vec<_> = ending.map(|(what, expiry)| format!("{what} {expiry}")).collect();
    if ending.is_empty() {
        return Ok(());
    }
    let hint = "hint: clients renew with tapekey kms certificate renew, the server by itself, CAs by a new KMS; those of external servers are renewed there and given with tapekey kms server set";
    Err(Failure::new(
        Exit::Failed,
        format_args!("certificates end: {}\n{hint}", ending.join("; ")),
    ))
}

/// One quiesce more, or one less.
pub(super) async fn on_quiesce(client: &KmsClient, more: bool, output: &mut Output<'_>) -> Result<(), Failure> {
    let status = if more {
        client.quiesce().await
    } else {
        client.unquiesce().await
    };
    output.answer(&status.map_err(failure)?, describe)
}

fn describe(status: &ServiceStatus) -> String {
    let mut table = Table::without_headings();
    table.row(["store", &status.store]);
    table.row(["keys", &status.keys.to_string()]);
    let mut uncovered = status.keys_in_no_snapshot.to_string();
    if !status.examples.is_empty() {
        uncovered = format!("{uncovered}: {}", status.examples.join(" "));
    }
    table.row(["in no snapshot", &uncovered]);
    numbers(&mut table, status);
    let last = match &status.last_snapshot {
        Some(last) => format!("{} {}", to_text(last.made), last.path),
        None => "none on another file system".to_owned(),
    };
    table.row(["last snapshot", &last]);
    if let Some(seal) = &status.seal {
        table.row(["sealed", &describe_seal(seal)]);
    }
    if let Some(schedule) = &status.schedule {
        table.row(["schedule", &describe_schedule(schedule)]);
    }
    for WaitingRotation { group, due, why, .. } in &status.rotations {
        let since = due
            .map(|due| format!(", due since {}", to_text(due)))
            .unwrap_or_default();
        table.row(["rotation", &format!("of {group}{since}: {why}")]);
    }
    what_is_not_as_usual(&mut table, status);
    table.to_string()
}

/// Alarms, certificates, quiesces and requests.
fn what_is_not_as_usual(table: &mut Table, status: &ServiceStatus) {
    for alarm in &status.alarms {
        table.row(["alarm", alarm]);
    }
    for certificate in &status.certificates {
        let near = certificate
            .expiry
            .map_or_else(String::new, |expiry| format!(": {expiry}"));
        let until = format!("{} until {}{near}", certificate.what, to_text(certificate.not_after));
        table.row(["certificate", &until]);
    }
    let changes = match status.quiesces {
        0 => "allowed".to_owned(),
        count => format!("refused, {count} outstanding quiesces"),
    };
    table.row(["changes", &changes]);
    for quiesce in &status.quiesced_by {
        table.row([
            "quiesced",
            &format!("{} by {}", to_text(quiesce.since), quiesce.subject),
        ]);
    }
    for request in &status.requests {
        let left = super::request::left(request).unwrap_or_default();
        let text = format!("{} {}, {left} left: {}", request.number, request.state, request.change);
        table.row(["request", &text]);
    }
    for alarm in &status.security_alarms {
        table.row(["ALARM", &format!("{} {}", to_text(alarm.at), alarm.text)]);
    }
}

fn describe_schedule(schedule: &SnapshotSchedule) -> String {
    let every = match schedule.every_seconds {
        None => "for rotations only".to_owned(),
        Some(seconds) if seconds.is_multiple_of(3600) => format!("every {} h", seconds / 3600),
        Some(seconds) => format!("every {} min", seconds / 60),
    };
    let SnapshotSchedule { folder, keep, .. } = schedule;
    let next = schedule
        .next
        .map(|next| format!(", next {}", to_text(next)))
        .unwrap_or_default();
    format!("{every} to {folder}, {keep} kept{next}")
}

/// What is worth counting; numbers that are too low say so.
fn numbers(table: &mut Table, status: &ServiceStatus) {
    let states = status.keys_by_state.iter().filter(|count| count.keys > 0);
    let states: Vec<String> = states.map(|count| format!("{} {}", count.keys, count.state)).collect();
    if !states.is_empty() {
        table.row(["by state", &states.join(", ")]);
    }
    let numbers = &status.statistics;
    let more = if numbers.complete { "" } else { " or more" };
    let lately = |day: u64, week: u64| format!("{day} in 24 h, {week} in 7 days{more}");
    table.row(["releases", &lately(numbers.releases_day, numbers.releases_week)]);
    table.row(["refusals", &lately(numbers.refusals_day, numbers.refusals_week)]);
    for group in &numbers.groups {
        let count = format!("{} {} in 7 days{more}", group.group, group.releases_week);
        table.row(["  of group", &count]);
    }
    for server in &status.servers {
        table.row(["server", &in_words(server)]);
    }
}

fn in_words(server: &ExternalServerStatus) -> String {
    let ExternalServerStatus {
        name,
        kind,
        address,
        priority,
        enabled_for_backup,
        failure,
        last,
    } = server;
    let restores = if *enabled_for_backup { "" } else { ", for restores only" };
    let last = match (failure, last) {
        (Some(why), _) => format!("CANNOT BE USED: {why}"),
        (None, None) => "not asked yet".to_owned(),
        (None, Some(last)) => format!("{} at {}", last.result, to_text(last.at)),
    };
    format!("{name} ({kind}) at {address}, priority {priority}{restores}: {last}")
}

fn snapshot_table(snapshots: &[SnapshotRecord]) -> String {
    let mut table = Table::new(&["made", "form", "id", "groups", "keys", "counts", "path"]);
    for snapshot in snapshots {
        table.row([
            to_text(snapshot.made),
            snapshot.form.name().to_owned(),
            snapshot.id.clone(),
            snapshot.groups.to_string(),
            snapshot.keys.to_string(),
            if snapshot.counts { "yes" } else { "no" }.to_owned(),
            snapshot.path.clone(),
        ]);
    }
    table.to_string()
}
