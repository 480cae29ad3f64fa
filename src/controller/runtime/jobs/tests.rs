//! Job records on a disk of their own.

use super::*;
use crate::controller::job::{JobDrive, JobKey, JobKind, JobVolume};
use crate::kad::KeyId;
use crate::secret::DataKey;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn kad(byte: u8) -> OurKad {
    OurKad::derived(KeyId([byte; 16]), [byte; 6], &DataKey::take(&mut [byte; 32]))
}

fn record(book: &JobBook, drive: &str, volume: &str, kad: Option<OurKad>) -> JobRecord {
    let key = kad.map(|kad| JobKey {
        group: Some("ENCR_a".into()),
        id: Some(kad.key_id().to_string()),
        name: Some("first".into()),
        state: Some("active".into()),
        kad: kad.to_string(),
        a_kad: None,
        new: true,
        given_by: None,
    });
    JobRecord {
        id: book.reserve(),
        kind: JobKind::Load,
        outcome: Outcome::Running,
        requested_by: 0,
        begun: NOW,
        ended: None,
        drive: JobDrive {
            name: drive.into(),
            ..JobDrive::default()
        },
        volume: JobVolume {
            serial: Some(volume.into()),
            ..JobVolume::default()
        },
        pool: None,
        key,
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
        messages: Vec::new(),
    }
}

#[tokio::test]
async fn records_are_found_again_and_running_ones_are_marked_as_interrupted() {
    let directory = tempfile::tempdir().unwrap();
    let book = JobBook::open(directory.path(), NOW).unwrap();
    book.begin(record(&book, "d1", "V1", Some(kad(1)))).await.unwrap();
    book.begin(record(&book, "d2", "V2", None)).await.unwrap();
    book.change(1, |job| job.outcome = Outcome::KeyLoaded);
    book.save(1).await.unwrap();
    let first = book.show(1).unwrap();
    assert!(matches!(
        JobBook::open(directory.path(), NOW),
        Err(JobsError::InUse { .. })
    ));
    drop(book);

    let book = JobBook::open(directory.path(), NOW).unwrap();
    assert_eq!(book.show(1).unwrap(), first);
    let second = book.show(2).unwrap();
    assert_eq!((second.outcome, second.ended), (Outcome::Interrupted, Some(NOW)));
    assert!(second.messages[0].text.contains("daemon stopped"));
    assert_eq!(book.reserve(), 3);
    let ids = |drive, limit| book.list(drive, limit).iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(
        (ids(None, 9), ids(None, 1), ids(Some("d1"), 9)),
        (vec![2, 1], vec![2], vec![1])
    );
}

#[tokio::test]
async fn what_is_not_saved_is_not_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let book = JobBook::open(directory.path(), NOW).unwrap();
    book.begin(record(&book, "d1", "V1", None)).await.unwrap();
    book.change(1, |job| job.outcome = Outcome::Refused);
    drop(book);
    let book = JobBook::open(directory.path(), NOW).unwrap();
    assert_eq!(book.show(1).unwrap().outcome, Outcome::Interrupted);
}

#[tokio::test]
async fn volumes_and_kads_find_each_other_by_the_newest_job() {
    let directory = tempfile::tempdir().unwrap();
    let book = JobBook::open(directory.path(), NOW).unwrap();
    for (volume, kad) in [
        ("V1", Some(kad(1))),
        ("V1", Some(kad(2))),
        ("V1", None),
        ("V2", Some(kad(3))),
    ] {
        book.begin(record(&book, "d1", volume, kad)).await.unwrap();
    }
    assert_eq!(
        (book.kad_of("V1"), book.kad_of("V2"), book.kad_of("V3")),
        (Some(kad(2)), Some(kad(3)), None)
    );
    assert_eq!(
        (book.volume_of(kad(1)).as_deref(), book.volume_of(kad(9))),
        (Some("V1"), None)
    );
}

#[tokio::test]
async fn a_job_that_cannot_be_stored_does_not_exist() {
    let directory = tempfile::tempdir().unwrap();
    let book = JobBook::open(directory.path(), NOW).unwrap();
    fs::remove_dir(directory.path().join("jobs")).unwrap();
    let error = book
        .begin(record(&book, "d1", "V1", None))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("0000000001.json") && error.contains("\nhint: "),
        "{error}"
    );
    assert_eq!(book.show(1), None);
}

#[test]
fn a_record_that_cannot_be_read_is_kept_and_its_number_stays_taken() {
    let directory = tempfile::tempdir().unwrap();
    let jobs = directory.path().join("jobs");
    fs::create_dir(&jobs).unwrap();
    for (name, text) in [
        ("0000000007.json", "{\"id\":7"),
        ("0000000009.json", "\u{0}"),
        ("x.json", "{}"),
        ("3.new", ""),
    ] {
        fs::write(jobs.join(name), text).unwrap();
    }
    let book = JobBook::open(directory.path(), NOW).unwrap();
    assert_eq!((book.list(None, 9).len(), book.reserve()), (0, 10));
    assert_eq!(fs::read(jobs.join("0000000007.json")).unwrap(), b"{\"id\":7");
}

#[test]
fn what_is_no_regular_file_or_has_no_number_of_ours_is_passed_over_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let jobs = directory.path().join("jobs");
    fs::create_dir(&jobs).unwrap();
    nix::unistd::mkfifo(&jobs.join("0000000004.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for foreign in ["9.json", "+000000009.json", "18446744073709551615.json"] {
        fs::write(jobs.join(foreign), "{}").unwrap();
    }
    let book = JobBook::open(directory.path(), NOW).unwrap();
    assert!(book.list(None, 10).is_empty());
    assert_eq!((book.reserve(), book.reserve()), (5, 6), "the FIFO keeps its number");
}
