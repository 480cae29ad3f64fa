//! Jobs and drives as people read them.

use time::format_description::well_known::Rfc3339;

use super::output::{Table, printable};
use crate::clock::Timestamp;
use crate::control::messages::job::{JobKind, JobKms, JobMessage, JobRecord, JobServer};
use crate::control::messages::report::{DriveStatus, GateStatus, MediumStatus, ModesStatus, Reading, StatusReport};

/// Jobs, one a line.
pub(super) fn jobs(jobs: &[JobRecord]) -> String {
    let mut table = Table::new(&["job", "begun", "drive", "kind", "volume", "pool", "outcome", "proof"]);
    for job in jobs {
        let proof = job.proof.as_ref().map_or("not taken", |proof| proof.verdict.as_str());
        let proof = if job.not_proven.is_some() { "NOT PROVEN" } else { proof };
        table.row([
            job.id.to_string(),
            shown(job.begun),
            job.drive.name.clone(),
            job.kind.to_string(),
            volume_name(job),
            job.pool.clone().unwrap_or_else(|| "-".into()),
            job.outcome.to_string(),
            proof.to_owned(),
        ]);
    }
    table.to_string()
}

fn volume_name(job: &JobRecord) -> String {
    let name = job.volume.barcode.as_ref().or(job.volume.serial.as_ref());
    name.cloned().unwrap_or_else(|| "-".into())
}

/// Everything about one job.
pub(super) fn job(job: &JobRecord) -> String {
    let mut table = Table::without_headings();
    table.row([
        "job".to_owned(),
        format!("{}: {} on {}", job.id, job.kind, job.drive.name),
    ]);
    table.row(["outcome".to_owned(), job.outcome.to_string()]);
    table.row([
        "begun".to_owned(),
        format!("{} by user {}", shown(job.begun), job.requested_by),
    ]);
    optional(&mut table, "ended", job.ended.map(shown));
    let serial = job.drive.serial.as_deref().unwrap_or("unknown");
    let product = job.drive.product.as_deref().unwrap_or("unknown model");
    table.row([
        "drive".to_owned(),
        format!("{product}, serial number {serial}, at {}", job.drive.path),
    ]);
    table.row(["volume".to_owned(), job.volume.to_string()]);
    optional(&mut table, "pool on medium", job.volume.pool_on_medium.clone());
    optional(&mut table, "KAD on the tape", job.volume.kad.clone());
    optional(&mut table, "A-KAD on the tape", job.volume.a_kad.clone());
    optional(&mut table, "pool", job.pool.clone());
    if let Some(maintenance) = &job.maintenance {
        table.row(["reason".to_owned(), maintenance.reason.clone()]);
        table.row(["until".to_owned(), shown(maintenance.until)]);
    }
    key_rows(&mut table, job);
    optional(&mut table, "KMS", job.kms.as_ref().map(kms));
    let identifier = job.kms.as_ref().and_then(|kms| kms.identifier.clone());
    optional(&mut table, "key's identifier there", identifier);
    for JobServer { server, result } in &job.servers {
        table.row(["asked".to_owned(), format!("{}: {result}", kms(server))]);
    }
    if let Some(in_force) = &job.in_force {
        let modes = format!("encryption {}, decryption {}", in_force.encryption, in_force.decryption);
        table.row(["drive reports".to_owned(), format!("{modes}, scope {}", in_force.scope)]);
        table.row([
            "key instance counter".to_owned(),
            in_force.key_instance_counter.to_string(),
        ]);
    }
    let proof = job
        .proof
        .as_ref()
        .map(|proof| format!("{} (taken {})", proof.verdict, shown(proof.taken)));
    table.row(["proof".to_owned(), proof.unwrap_or_else(|| "not taken".into())]);
    optional(&mut table, "NOT PROVEN", job.not_proven.clone());
    optional(
        &mut table,
        "related job",
        job.related_job.map(|related| related.to_string()),
    );
    scan_rows(&mut table, job);
    for message in &job.messages {
        table.row([message.level.to_string(), message.text.clone()]);
        optional(&mut table, "  hint", message.hint.clone());
    }
    table.to_string()
}

fn scan_rows(table: &mut Table, job: &JobRecord) {
    let Some(scan) = &job.scan else { return };
    let end = if scan.complete {
        "to the end of the data"
    } else {
        "NOT to the end of the data"
    };
    table.row(["files".to_owned(), format!("{}, {end}", scan.files)]);
    for found in &scan.found {
        let files = match (found.first_file, found.last_file) {
            (first, last) if first == last => format!("file {first}"),
            (first, last) => format!("files {first}-{last}"),
        };
        let object = found
            .first_object
            .map_or("object unknown".to_owned(), |object| format!("from object {object}"));
        let mut text = format!("{object}: {}", found.begins_with);
        if let Some(id) = &found.key_id {
            text.push_str(&format!(", key {id}"));
        }
        for (name, kad) in [("KAD", &found.kad), ("A-KAD", &found.a_kad)] {
            if let Some(kad) = kad {
                text.push_str(&format!(", {name} {}", kad_words(kad)));
            }
        }
        table.row([files, text]);
    }
    if scan.cut_off {
        table.row([
            "more".to_owned(),
            "there is more than is kept; it was counted".to_owned(),
        ]);
    }
}

/// A KAD in hex, and as text where somebody wrote text.
fn kad_words(kad: &str) -> String {
    let bytes = hex::decode(kad).unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    let text = text.trim_end_matches(['\0', ' ']);
    if text.is_empty() || !text.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ') {
        return kad.to_owned();
    }
    format!("\"{text}\" ({kad})")
}

fn key_rows(table: &mut Table, job: &JobRecord) {
    let Some(key) = &job.key else { return };
    let origin = match (job.kind, key.new) {
        (JobKind::Load, true) => ", new for this volume",
        (JobKind::Load | JobKind::Unlock, _) => ", as the volume is encrypted",
        (JobKind::Clear | JobKind::Scan | JobKind::Doctor | JobKind::Hold | JobKind::Release, _) => "",
    };
    if let (Some(name), Some(group)) = (&key.name, &key.group) {
        let state = key.state.as_deref().unwrap_or("unknown state");
        table.row(["key".to_owned(), format!("{name} of group {group} ({state}){origin}")]);
    }
    if let Some(by) = &key.given_by {
        let text = format!("given by descriptor, by process {} of user {}{origin}", by.pid, by.uid);
        table.row(["key".to_owned(), text]);
    }
    optional(table, "key id", key.id.clone());
    table.row(["KAD".to_owned(), key.kad.clone()]);
    if let Some(a_kad) = &key.a_kad {
        table.row(["A-KAD".to_owned(), a_kad.clone()]);
    }
}

fn kms(kms: &JobKms) -> String {
    let version = kms.protocol_version.as_ref().map(|version| format!(" {version}"));
    let mut text = format!("{} ({}{})", kms.name, kms.kind, version.unwrap_or_default());
    match &kms.server_address {
        Some(server_address) => text.push_str(&format!(" at {server_address}, through {}", kms.address)),
        None => text.push_str(&format!(" at {}", kms.address)),
    }
    if let Some(priority) = kms.priority {
        text.push_str(&format!(", priority {priority}"));
    }
    if kms.cached {
        text.push_str(", from the KMS's cache");
    } else {
        text.push_str(&format!(", in {} ms", kms.took_ms));
    }
    if kms.fallback {
        text.push_str(", as a fallback");
    }
    text
}

fn optional(table: &mut Table, name: &str, value: Option<String>) {
    if let Some(value) = value {
        table.row([name.to_owned(), value]);
    }
}

/// What the drives do: a table, then what needs more than a cell.
pub(super) fn status(report: &StatusReport) -> String {
    let mut table = Table::new(&[
        "drive",
        "volume",
        "encryption",
        "decryption",
        "kic",
        "key id",
        "loaded by",
        "gate",
        "job",
    ]);
    for drive in &report.drives {
        table.row(status_row(drive));
    }
    let more: String = report.drives.iter().map(remarks).collect();
    let of_kms = report.kms_alarms.iter().map(alarm);
    let of_kms: String = of_kms.map(|line| format!("KMS: {}\n", printable(&line))).collect();
    format!("{table}{more}{of_kms}")
}

fn status_row(drive: &DriveStatus) -> [String; 9] {
    let [encryption, decryption, counter, key] = match &drive.modes {
        Reading::Known(modes) => modes_cells(modes),
        Reading::Unknown(_) => ["UNKNOWN".into(), "UNKNOWN".into(), "-".into(), "-".into()],
        Reading::NotAsked(_) => ["not asked".into(), "not asked".into(), "-".into(), "-".into()],
    };
    [
        drive.name.clone(),
        medium(&drive.medium),
        encryption,
        decryption,
        counter,
        key,
        drive.loaded_by.map_or("-".into(), |job| format!("job {job}")),
        drive.gate.as_ref().map_or("-".into(), gate),
        drive
            .job
            .as_ref()
            .map_or("-".into(), |job| format!("{} ({})", job.id, job.kind)),
    ]
}

/// Whether programs are kept off a drive.
pub(super) fn gate(gate: &GateStatus) -> String {
    match gate {
        GateStatus::Absent => "no node".into(),
        GateStatus::Held => "held".into(),
        GateStatus::Free => "free".into(),
        GateStatus::Lost(_) => "LOST".into(),
        GateStatus::Released { until, .. } => format!("RELEASED until {}", shown(*until)),
    }
}

fn gate_remark(gate: &GateStatus) -> Option<String> {
    match gate {
        GateStatus::Absent | GateStatus::Held | GateStatus::Free => None,
        GateStatus::Lost(why) => Some(format!("it should be held, and is not: {why}")),
        GateStatus::Released { until, reason, job } => Some(format!(
            "released until {} by job {job}: {reason}; what is written meanwhile may be plain",
            shown(*until)
        )),
    }
}

fn modes_cells(modes: &ModesStatus) -> [String; 4] {
    let key = match (&modes.key_id, &modes.kad) {
        (Some(id), _) => id.clone(),
        (None, Some(kad)) => format!("not ours: {kad}"),
        (None, None) => "none".into(),
    };
    [
        modes.encryption.clone(),
        modes.decryption.clone(),
        modes.key_instance_counter.to_string(),
        key,
    ]
}

fn medium(medium: &Reading<MediumStatus>) -> String {
    match medium {
        Reading::Unknown(_) => "UNKNOWN".into(),
        Reading::NotAsked(_) => "not asked".into(),
        Reading::Known(MediumStatus::Empty) => "empty".into(),
        Reading::Known(MediumStatus::CleaningCartridge) => "cleaning cartridge".into(),
        Reading::Known(MediumStatus::BecomingReady) => "becoming ready".into(),
        Reading::Known(MediumStatus::Volume { serial, barcode, .. }) => barcode
            .clone()
            .or_else(|| serial.clone())
            .unwrap_or_else(|| "without a name".into()),
    }
}

fn remarks(drive: &DriveStatus) -> String {
    let mut lines = Vec::new();
    if drive.simulated {
        lines.push("a simulated drive".to_owned());
    }
    match &drive.modes {
        Reading::Known(_) => {}
        Reading::Unknown(why) => lines.push(format!("its state is unknown: {why}")),
        Reading::NotAsked(why) => lines.push(format!("not asked: {why}")),
    }
    if let Some(command) = &drive.command {
        let word = if command.overdue { "HANGS: " } else { "" };
        lines.push(format!(
            "{word}\"{}\" since {} ({} s)",
            command.name,
            shown(command.since),
            command.seconds
        ));
    }
    lines.extend(drive.gate.as_ref().and_then(gate_remark));
    lines.extend(drive.alarms.iter().map(alarm));
    lines
        .iter()
        .map(|line| format!("{}: {}\n", printable(&drive.name), printable(line)))
        .collect()
}

fn alarm(alarm: &JobMessage) -> String {
    let hint = alarm.hint.as_ref().map(|hint| format!(" (hint: {hint})"));
    format!("ALARM {}: {}{}", shown(alarm.at), alarm.text, hint.unwrap_or_default())
}

/// To the second.
fn shown(time: Timestamp) -> String {
    time.replace_nanosecond(0)
        .unwrap_or(time)
        .format(&Rfc3339)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::messages::job::{JobDrive, JobKind, JobVolume, Level, Outcome};
    use crate::control::messages::report::{CommandInFlight, IdentityStatus};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn refused() -> JobRecord {
        let message = JobMessage {
            at: NOW,
            level: Level::Error,
            text: "the volume \u{1b}[2J is blank".into(),
            hint: Some("name the pool".into()),
        };
        JobRecord {
            id: 3,
            kind: JobKind::Load,
            outcome: Outcome::Refused,
            requested_by: 0,
            begun: NOW,
            ended: None,
            drive: JobDrive {
                name: "d1".into(),
                path: "/dev/sg3".into(),
                ..JobDrive::default()
            },
            volume: JobVolume::default(),
            pool: None,
            key: None,
            kms: None,
            servers: Vec::new(),
            in_force: None,
            proof: None,
            not_proven: None,
            related_job: None,
            key_gone: None,
            wrong_keys: Vec::new(),
            scan: None,
            maintenance: None,
            messages: vec![message],
        }
    }

    #[test]
    fn what_is_not_known_of_a_job_is_said_and_what_came_from_a_tape_cannot_move_the_cursor() {
        let text = job(&refused());
        for line in [
            "outcome  refused",
            "drive    unknown model, serial number unknown, at /dev/sg3",
            "volume   a volume without a name",
            "proof    not taken",
            "error    the volume \u{FFFD}[2J is blank",
            "hint     name the pool",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line:?} is not in:\n{text}");
        }
    }

    #[test]
    fn a_job_says_which_server_gave_the_key_and_how() {
        let built_in = JobKms {
            name: "built-in".into(),
            kind: "built-in".into(),
            address: "https://kms1:8443".into(),
            server_address: None,
            priority: None,
            cached: false,
            fallback: true,
            took_ms: 2,
            protocol_version: None,
            identifier: None,
        };
        let external = JobKms {
            name: "offsite".into(),
            kind: "KMIP".into(),
            server_address: Some("kmip1:5696".into()),
            priority: Some(7),
            fallback: false,
            protocol_version: Some("1.4".into()),
            ..built_in.clone()
        };
        let cached = JobKms {
            cached: true,
            ..external.clone()
        };
        assert_eq!(
            kms(&built_in),
            "built-in (built-in) at https://kms1:8443, in 2 ms, as a fallback"
        );
        assert_eq!(
            kms(&external),
            "offsite (KMIP 1.4) at kmip1:5696, through https://kms1:8443, priority 7, in 2 ms"
        );
        assert!(kms(&cached).ends_with(", priority 7, from the KMS's cache"));
    }

    #[test]
    fn a_job_that_is_not_proven_is_never_listed_with_its_proof() {
        let job = JobRecord {
            not_proven: Some("the key was changed".into()),
            ..refused()
        };
        assert!(jobs(&[job]).lines().nth(1).unwrap().ends_with("NOT PROVEN"));
    }

    #[test]
    fn a_drive_that_hangs_is_shown_as_unknown_with_the_command_and_since_when() {
        let drive = DriveStatus {
            name: "d1".into(),
            path: "/dev/sg3".into(),
            simulated: false,
            identity: Reading::<IdentityStatus>::Unknown("it hangs".into()),
            medium: Reading::Unknown("it hangs".into()),
            modes: Reading::Unknown("it hangs".into()),
            job: None,
            command: Some(CommandInFlight {
                name: "load the key".into(),
                since: NOW,
                seconds: 90,
                overdue: true,
            }),
            loaded_by: None,
            gate: None,
            alarms: Vec::new(),
        };
        let text = status(&StatusReport {
            at: NOW,
            drives: vec![drive],
            kms_alarms: Vec::new(),
        });
        assert!(
            text.lines()
                .nth(1)
                .unwrap()
                .starts_with("d1     UNKNOWN  UNKNOWN     UNKNOWN"),
            "{text}"
        );
        assert!(text.contains("d1: its state is unknown: it hangs\n"), "{text}");
        assert!(
            text.contains("d1: HANGS: \"load the key\" since 1970-01-01T00:00:00Z (90 s)\n"),
            "{text}"
        );
    }
}
