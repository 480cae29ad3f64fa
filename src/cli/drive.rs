//! `tapekey drive`: the drives of this host.

use std::time::Duration;

use clap::Subcommand;

use super::daemon::{DaemonAt, unexpected};
use super::output::{Failure, Output, Table, printable};
use super::show::gate;
use crate::control::messages::inventory::{
    Activity, BayName, DriveList, DriveNodes, InUse, Knowledge, ListedDrive, ListedMedium, Program, Source,
};
use crate::control::messages::{Answer, Command};

/// Show the drives of this host, and keep programs off them
#[derive(Debug, Subcommand)]
pub(super) enum DriveVerb {
    /// List all drives that the kernel shows or the configuration names, where they are and what is in them
    ///
    /// No drive is sent a command for this. Drives are named by their serial numbers: nodes such as /dev/sg3 may belong to another drive after the
    /// next restart.
    List,
    /// Keep programs off a drive until a key is in it
    ///
    /// tapekeyd does that by itself for drives that its configuration says are to be held. This ends a release before its time, or takes back a drive
    /// that was let go for a volume; tapekey load makes it ready again. Refused while a program has the drive open.
    Hold {
        /// Name of the drive
        drive: String,
    },
    /// Let programs use a drive for a time, whatever is in it
    ///
    /// For firmware, cleaning by hand and emergencies. What programs write meanwhile may be plain. Reason, user and time are on record (tapekey job list), and the
    /// drive is held again by itself.
    Release {
        /// Name of the drive
        drive: String,
        /// Why, for those who read the records later
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// For how long: seconds, minutes, hours or days, as in 30m, 4h or 2d; at most 7d
        #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = time)]
        time: Duration,
    },
}

pub(super) fn run(verb: &DriveVerb, daemon: &DaemonAt, output: &mut Output<'_>) -> Result<(), Failure> {
    match verb {
        DriveVerb::List => match daemon.ask(Command::DriveList {})? {
            Answer::Drives(list) => output.answer(&list, table),
            other => Err(unexpected(&other)),
        },
        DriveVerb::Hold { drive } => daemon.job(Command::DriveHold { drive: drive.clone() }, output),
        DriveVerb::Release { drive, reason, time } => {
            let command = Command::DriveRelease {
                drive: drive.clone(),
                reason: reason.clone(),
                seconds: time.as_secs(),
            };
            daemon.job(command, output)
        }
    }
}

/// A number and a unit.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write seconds, minutes, hours or days, as in 30m, 4h or 2d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = number
        .checked_mul(seconds)
        .filter(|seconds| *seconds > 0)
        .ok_or_else(wrong)?;
    Ok(Duration::from_secs(seconds))
}

fn table(list: &DriveList) -> String {
    let mut table = Table::new(&[
        "drive",
        "serial",
        "model",
        "bay",
        "nodes",
        "volume",
        "known by",
        "gate",
        "in use by",
    ]);
    for drive in &list.drives {
        let [volume, known_by] = volume(&drive.volume);
        table.row([
            drive.name.clone().unwrap_or_else(|| "-".into()),
            drive.serial.clone().unwrap_or_else(|| "UNKNOWN".into()),
            model(drive),
            drive.bay.as_ref().map_or_else(|| "-".into(), bay),
            nodes(drive),
            volume,
            known_by,
            drive.gate.as_ref().map_or_else(|| "-".into(), gate),
            in_use(drive),
        ]);
    }
    let mut text = table.to_string();
    for line in list
        .drives
        .iter()
        .filter_map(remark)
        .chain(list.problems.iter().cloned())
    {
        text.push_str(&printable(&line));
        text.push('\n');
    }
    text
}

fn bay(bay: &BayName) -> String {
    format!("{} bay {}", bay.library, bay.number)
}

fn model(drive: &ListedDrive) -> String {
    let parts = [&drive.vendor, &drive.product];
    let known: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    if known.is_empty() {
        "UNKNOWN".into()
    } else {
        known.join(" ")
    }
}

fn nodes(drive: &ListedDrive) -> String {
    let of = |nodes: &DriveNodes| {
        let both = [&nodes.generic, &nodes.tape].into_iter().flatten();
        both.map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    match (drive.nodes.as_slice(), &drive.configured_path) {
        ([], Some(path)) => path.clone(),
        ([], None) => "NOT FOUND".into(),
        (paths, _) => paths.iter().map(of).collect::<Vec<_>>().join(" and "),
    }
}

fn volume(volume: &Knowledge<ListedMedium>) -> [String; 2] {
    let Knowledge::Known { what, source, at } = volume else {
        return ["UNKNOWN".into(), "-".into()];
    };
    let name = match what {
        ListedMedium::Empty => "empty".to_owned(),
        ListedMedium::Volume {
            barcode,
            serial,
            cleaning,
        } => {
            let name = barcode.as_deref().or(serial.as_deref());
            match (name, *cleaning) {
                (Some(name), true) => format!("{name} (cleaning)"),
                (None, true) => "cleaning cartridge".into(),
                (name, false) => name.unwrap_or("without a name").to_owned(),
            }
        }
    };
    let source = match source {
        Source::Library => "library",
        Source::Drive => "drive",
        Source::Job => "job",
    };
    [name, format!("{source} at {}", crate::clock::to_text(*at))]
}

fn in_use(drive: &ListedDrive) -> String {
    let name = |program: &Program| match &program.name {
        Some(name) => format!("{name} ({})", program.pid),
        None => format!("process {}", program.pid),
    };
    let by = match &drive.in_use {
        InUse::Free => "nobody".into(),
        InUse::By(programs) => programs.iter().map(name).collect::<Vec<_>>().join(", "),
        InUse::Unknown(_) => "UNKNOWN".into(),
    };
    match drive.activity {
        Some(Activity::Writing) => format!("{by}, writing"),
        Some(Activity::Reading) => format!("{by}, reading"),
        Some(Activity::Positioning) => format!("{by}, positioning"),
        Some(Activity::Idle) | None => by,
    }
}

/// What a person should do about a drive.
fn remark(drive: &ListedDrive) -> Option<String> {
    let serial = drive.serial.as_deref().unwrap_or("unknown");
    match &drive.name {
        None => Some(format!(
            "drive with serial number {serial}: not in the configuration, so it is left alone; to use it add [[drive]] with name and serial"
        )),
        Some(name) if drive.nodes.is_empty() && drive.configured_path.is_none() => Some(format!(
            "drive {name}: the kernel shows no drive with serial number {serial}; look at its power and cabling, and that the modules sg and st are loaded"
        )),
        Some(name) => match (&drive.volume, &drive.in_use) {
            (Knowledge::Unknown(why), _) => Some(format!("drive {name}: what is in it is unknown: {why}")),
            (_, InUse::Unknown(why)) if !drive.simulated => {
                Some(format!("drive {name}: who uses it is unknown: {why}"))
            }
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::control::messages::report::GateStatus;

    fn drive(name: Option<&str>, serial: &str) -> ListedDrive {
        ListedDrive {
            name: name.map(str::to_owned),
            serial: Some(serial.into()),
            vendor: Some("IBM".into()),
            product: Some("ULT3580-TD8".into()),
            revision: Some("J4D0".into()),
            simulated: false,
            configured_path: None,
            bay: Some(BayName {
                library: "main".into(),
                number: 0,
                address: 0x0100,
            }),
            nodes: vec![DriveNodes {
                scsi_address: "0:0:0:0".into(),
                generic: Some("/dev/sg0".into()),
                tape: Some("/dev/nst0".into()),
            }],
            volume: Knowledge::Known {
                what: ListedMedium::Volume {
                    barcode: Some("A00001L8".into()),
                    serial: None,
                    cleaning: false,
                },
                source: Source::Library,
                at: Timestamp::UNIX_EPOCH,
            },
            gate: Some(GateStatus::Free),
            in_use: InUse::By(vec![Program {
                pid: 712,
                name: Some("bacula-sd".into()),
            }]),
            activity: Some(Activity::Writing),
        }
    }

    fn lines(drives: Vec<ListedDrive>) -> Vec<String> {
        let list = DriveList {
            at: Timestamp::UNIX_EPOCH,
            drives,
            problems: Vec::new(),
        };
        table(&list).lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_drive_is_one_line_that_says_where_it_is_what_is_in_it_and_who_uses_it() {
        let lines = lines(vec![drive(Some("d0"), "1013000301")]);
        assert_eq!(
            lines,
            [
                "DRIVE  SERIAL      MODEL            BAY         NODES               VOLUME    KNOWN BY                         GATE  IN USE BY",
                "d0     1013000301  IBM ULT3580-TD8  main bay 0  /dev/sg0 /dev/nst0  A00001L8  library at 1970-01-01T00:00:00Z  free  bacula-sd (712), writing"
            ]
        );
    }

    #[test]
    fn a_time_has_a_unit_and_is_more_than_nothing() {
        let seconds = |text| time(text).map(|time| time.as_secs());
        assert_eq!(
            (seconds("30m"), seconds("4h"), seconds("2d")),
            (Ok(1800), Ok(14_400), Ok(172_800))
        );
        for wrong in [
            "",
            "1",
            "h",
            "0m",
            "-1h",
            "1.5h",
            "1w",
            "1hh",
            "99999999999999999999d",
            "9999999999999999999m",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_needs_a_person_is_said_below_the_table() {
        let gone = ListedDrive {
            nodes: Vec::new(),
            ..drive(Some("d1"), "1013000302")
        };
        let unknown = ListedDrive {
            volume: Knowledge::Unknown("it was busy\u{1b}[2J".into()),
            ..drive(Some("d2"), "1013000303")
        };
        let lines = lines(vec![gone, drive(None, "1013000304"), unknown]);
        assert!(
            lines[1].contains("NOT FOUND") && lines[2].starts_with("-  "),
            "{lines:?}"
        );
        assert!(lines[4].starts_with("drive d1: the kernel shows no drive with serial number 1013000302"));
        assert!(lines[5].starts_with("drive with serial number 1013000304: not in the configuration"));
        assert_eq!(lines[6], "drive d2: what is in it is unknown: it was busy\u{FFFD}[2J");
        assert_eq!(lines.len(), 7);
    }
}
