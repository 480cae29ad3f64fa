//! The library: what its inventory says, what the daemon makes of it, and that nobody waits for a changer that hangs.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and no test file needs all of what they share"
)]

#[path = "support/in_process_keys.rs"]
mod in_process_keys;
#[path = "support/in_process_library.rs"]
mod in_process_library;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use in_process_keys::Keys;
use in_process_library::{Before, CHANGER, DESCRIPTION, Shelf};
use tapekey::clock::{Clock, Timestamp};
use tapekey::controller::inventory::{Knowledge, ListedDrive, ListedMedium, PlaceKind, Source};
use tapekey::controller::job::Outcome;
use tapekey::controller::operation::{PlainBlocks, Rules, Wish};
use tapekey::controller::pool::Pool;
use tapekey::controller::report::{MediumStatus, Reading};
use tapekey::controller::runtime::libraries::GivenLibrary;
use tapekey::controller::runtime::start::{Given, GivenDrive};
use tapekey::controller::runtime::{CommandError, Daemon};
use tapekey::discovery::Tree;
use tapekey::drive::{Drive, SetScope};
use tapekey::keysource::{HeadBook, VolumeName};
use tapekey::library::{Changer, Inventory, LibraryError};
use tapekey::transport::Completion;

const TIMEOUT: Duration = Duration::from_secs(60);
const READ_ELEMENT_STATUS: u8 = 0xB8;
const TEST_UNIT_READY: u8 = 0x00;
const SECURITY_PROTOCOL_OUT: u8 = 0xB5;

fn changer(shelf: &Shelf, before: Before) -> Changer {
    Changer::new(Box::new(shelf.path(CHANGER).before(before)), TIMEOUT)
}

fn untouched() -> Before {
    Box::new(|_| None)
}

/// CHECK CONDITION, ILLEGAL REQUEST, INVALID FIELD IN CDB (SPC-5, fixed format).
fn invalid_field() -> Completion {
    Completion {
        status: 0x02,
        sense: vec![0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0, 0, 0],
        transferred: 0,
    }
}

fn barcodes(inventory: &Inventory) -> Vec<(u16, &str, bool)> {
    let bays = inventory.bays.iter().map(|bay| &bay.place);
    let places = bays
        .chain(&inventory.slots)
        .chain(&inventory.import_export)
        .chain(&inventory.transports);
    let full = places.filter_map(|place| Some((place.address, place.volume.as_ref()?)));
    full.map(|(address, volume)| (address, volume.barcode.as_deref().unwrap(), volume.cleaning))
        .collect()
}

fn drives(inventory: &Inventory) -> Vec<(u16, Option<&str>)> {
    inventory
        .bays
        .iter()
        .map(|bay| (bay.place.address, bay.drive_serial.as_deref()))
        .collect()
}

const FULL: [(u16, &str, bool); 3] = [
    (0x01F4, "A00001L8", false),
    (0x03E9, "A00002L8", false),
    (0x03EB, "CLNU01L1", true),
];
const DRIVES: [(u16, Option<&str>); 2] = [(0x01F4, Some("1013000301")), (0x01F5, Some("1013000302"))];

#[test]
fn an_inventory_says_what_is_where_and_which_drive_is_in_which_bay() {
    let with_serials = DESCRIPTION.replace("slots = 4", "slots = 4\ndrive-identification = \"serial\"");
    for description in [DESCRIPTION, &with_serials] {
        let shelf = Shelf::new(description);
        let mut changer = changer(&shelf, untouched());
        assert_eq!(changer.identify().unwrap().serial, "LIBRARY001");
        let inventory = changer.inventory().unwrap();
        assert_eq!(barcodes(&inventory), FULL);
        assert_eq!(drives(&inventory), DRIVES);
        assert_eq!(
            (
                inventory.slots.len(),
                inventory.import_export.len(),
                inventory.transports.len()
            ),
            (4, 2, 1)
        );
        let sent = shelf.sent_to(CHANGER);
        assert!(
            sent.iter().all(|code| [0x12, READ_ELEMENT_STATUS].contains(code)),
            "it only asked: {sent:02X?}"
        );
    }
}

#[test]
fn a_changer_that_takes_no_combined_question_or_no_current_data_is_asked_otherwise() {
    type Refuses = fn(&[u8]) -> bool;
    let refusals: [(&str, Refuses); 3] = [
        ("VOLTAG with DVCID", |cdb| cdb[1] & 0x10 != 0 && cdb[6] & 0x01 != 0),
        ("CURDATA", |cdb| cdb[6] & 0x02 != 0),
        ("both", |cdb| {
            cdb[6] & 0x02 != 0 || (cdb[1] & 0x10 != 0 && cdb[6] & 0x01 != 0)
        }),
    ];
    for (name, refuses) in refusals {
        let shelf = Shelf::new(DESCRIPTION);
        let before: Before =
            Box::new(move |cdb| (cdb[0] == READ_ELEMENT_STATUS && refuses(cdb)).then(|| Ok(invalid_field())));
        let inventory = changer(&shelf, before).inventory().unwrap();
        assert_eq!(
            (barcodes(&inventory).as_slice(), drives(&inventory).as_slice()),
            (&FULL[..], &DRIVES[..]),
            "{name}"
        );
    }
}

#[test]
fn a_changer_without_drive_identifiers_still_says_what_is_where() {
    let shelf = Shelf::new(DESCRIPTION);
    let before: Before =
        Box::new(|cdb| (cdb[0] == READ_ELEMENT_STATUS && cdb[6] & 0x01 != 0).then(|| Ok(invalid_field())));
    let inventory = changer(&shelf, before).inventory().unwrap();
    assert_eq!(barcodes(&inventory), FULL);
    assert_eq!(drives(&inventory), [(0x01F4, None), (0x01F5, None)]);
}

#[test]
fn a_changer_that_sends_few_elements_at_a_time_is_asked_for_the_rest() {
    let shelf = Shelf::new(DESCRIPTION);
    let before: Before = Box::new(|cdb| {
        if cdb[0] == READ_ELEMENT_STATUS {
            // Room for one descriptor of a slot and for one of a bay, not for two.
            [cdb[8], cdb[9]] = [0, 110];
        }
        None
    });
    let inventory = changer(&shelf, before).inventory().unwrap();
    assert_eq!(barcodes(&inventory), FULL);
    assert_eq!(inventory.slots.len(), 4);
}

#[test]
fn a_changer_that_announces_elements_and_sends_none_is_an_error_and_no_endless_loop() {
    let shelf = Shelf::new(DESCRIPTION);
    let before: Before = Box::new(|cdb| {
        if cdb[0] == READ_ELEMENT_STATUS {
            [cdb[8], cdb[9]] = [0, 12];
        }
        None
    });
    let error = changer(&shelf, before).inventory().unwrap_err();
    assert!(
        matches!(
            error,
            LibraryError::Withheld {
                available: 2,
                from: 0,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn another_changer_and_a_drive_are_not_taken_for_the_library() {
    let shelf = Shelf::new(DESCRIPTION);
    let mut library = changer(&shelf, untouched());
    assert!(library.confirm_serial("LIBRARY001").is_ok());
    let error = library.confirm_serial("LIBRARY002").unwrap_err();
    assert!(
        error.to_string().contains("serial number LIBRARY001, not LIBRARY002"),
        "{error}"
    );
    let mut drive = Changer::new(Box::new(shelf.path(0)), TIMEOUT);
    assert!(matches!(
        drive.identify(),
        Err(LibraryError::NotAChanger { device_type: 1, .. })
    ));
}

/// A clock that goes twenty times as fast, so that the next inventory comes soon.
struct Hurry(Instant);

impl Clock for Hurry {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed() * 20
    }
}

struct House {
    shelf: Shelf,
    daemon: Arc<Daemon>,
    keys: Arc<Keys>,
    _state: tempfile::TempDir,
}

fn given_drive(shelf: &Shelf, name: &str, unit: usize, before: Before) -> GivenDrive {
    let shelf = shelf.clone();
    let before = Arc::new(Mutex::new(before));
    GivenDrive {
        name: name.into(),
        path: "in-process".into(),
        by_serial: false,
        simulated: true,
        rules: Rules {
            expected_serial: Some(format!("101300030{}", unit + 1)),
            finish_volumes: true,
            scope: SetScope::AllItNexus,
            plain_blocks: PlainBlocks::default(),
        },
        command_timeout: TIMEOUT,
        opener: Box::new(move || {
            let before = before.clone();
            let meddle: Before = Box::new(move |cdb| (before.lock().unwrap())(cdb));
            Ok(Drive::new(Box::new(shelf.path(unit).before(meddle)), TIMEOUT))
        }),
        hold: None,
    }
}

impl House {
    /// The drives `a` and `b` and the library `main`, whose changer's commands `before` sees first.
    fn new(before: impl FnMut(&mut Vec<u8>) + Send + 'static) -> Self {
        Self::meddled_with(Arc::default(), before, untouched())
    }

    /// The same, with a place to meddle with the commands to `b`.
    fn with_drive_b(before: Before) -> Self {
        Self::meddled_with(Arc::default(), |_| {}, before)
    }

    /// The same with `A00002L8` in `b`, which becomes ready only once a key was asked for.
    fn with_slow_drive_b() -> Self {
        let keys: Arc<Keys> = Arc::default();
        let asked = keys.clone();
        let is_late = move |cdb: &mut Vec<u8>| cdb[0] == TEST_UNIT_READY && asked.asked.lock().unwrap().is_empty();
        let house = Self::meddled_with(
            keys,
            |_| {},
            Box::new(move |cdb| is_late(cdb).then(|| Ok(becoming_ready()))),
        );
        house.shelf.carry(0x03E9, 0x01F5);
        house
    }

    fn meddled_with(keys: Arc<Keys>, before: impl FnMut(&mut Vec<u8>) + Send + 'static, before_b: Before) -> Self {
        let shelf = Shelf::new(DESCRIPTION);
        let state = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hurry(Instant::now()));
        let (opened, before) = (shelf.clone(), Arc::new(Mutex::new(before)));
        let opener = Box::new(move || {
            let before = before.clone();
            let meddle: Before = Box::new(move |cdb| {
                (before.lock().unwrap())(cdb);
                None
            });
            Ok(Changer::new(Box::new(opened.path(CHANGER).before(meddle)), TIMEOUT))
        });
        let daemon = Daemon::new(Given {
            state_directory: state.path().into(),
            drives: vec![
                given_drive(&shelf, "a", 0, untouched()),
                given_drive(&shelf, "b", 1, before_b),
            ],
            libraries: vec![GivenLibrary {
                name: "main".into(),
                serial: None,
                path: "in-process".into(),
                simulated: true,
                command_timeout: Duration::from_secs(1),
                opener,
            }],
            found_libraries: Box::new(|serial| panic!("there is no changer {serial}")),
            inquirer: Arc::new(|node| panic!("{} was asked", node.path.display())),
            tree: Tree::below(state.path()),
            clock: clock.clone(),
            keys: keys.clone(),
            heads: Arc::new(HeadBook::open(&state.path().join("heads"), clock)),
        });
        Self {
            shelf,
            daemon: daemon.unwrap(),
            keys,
            _state: state,
        }
    }

    async fn drive(&self, name: &str) -> ListedDrive {
        let list = self.daemon.drive_list().await;
        list.drives
            .into_iter()
            .find(|drive| drive.name.as_deref() == Some(name))
            .unwrap()
    }

    /// Watches until `is_so`, at most a minute.
    async fn until(&self, is_so: impl AsyncFn() -> bool) {
        let watch = tokio::spawn(self.daemon.clone().watch());
        let come = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(60), come).await;
        watch.abort();
        assert!(came.is_ok(), "it did not come to that");
    }
}

fn load() -> Wish {
    Wish::Load {
        pool: Some(Pool::parse("ENCR_a").unwrap()),
        barcode: None,
    }
}

/// What the library says is in a drive.
fn by_library(drive: &ListedDrive) -> Option<&ListedMedium> {
    match &drive.volume {
        Knowledge::Known {
            what,
            source: Source::Library,
            ..
        } => Some(what),
        _ => None,
    }
}

fn holds(drive: &ListedDrive, wanted: &str) -> bool {
    matches!(by_library(drive), Some(ListedMedium::Volume { barcode: Some(barcode), .. }) if barcode == wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_drives_is_known_from_the_library_without_a_command_to_a_drive() {
    let house = House::new(|_| {});
    house.until(async || holds(&house.drive("a").await, "A00001L8")).await;
    let b = house.drive("b").await;
    assert_eq!(by_library(&b), Some(&ListedMedium::Empty));
    let bay = b.bay.unwrap();
    assert_eq!((bay.library.as_str(), bay.number, bay.address), ("main", 1, 0x01F5));

    house.shelf.carry(0x03E9, 0x01F5);
    house.until(async || holds(&house.drive("b").await, "A00002L8")).await;
    assert_eq!(
        (house.shelf.sent_to(0), house.shelf.sent_to(1)),
        (Vec::new(), Vec::new())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_is_shown_with_its_bays_drives_and_cleaning_cartridges() {
    let house = House::new(|_| {});
    let is_read = async || !house.daemon.library_list(None).unwrap().libraries[0].places.is_empty();
    house.until(is_read).await;
    for name in ["main", "LIBRARY001"] {
        let list = house.daemon.library_list(Some(name)).unwrap();
        let library = &list.libraries[0];
        assert_eq!(
            (library.serial.as_deref(), &library.problem),
            (Some("LIBRARY001"), &None)
        );
        let bay = &library.places[0];
        assert_eq!(
            (bay.kind, bay.drive.as_deref(), bay.drive_serial.as_deref()),
            (PlaceKind::Bay, Some("a"), Some("1013000301"))
        );
        let cleaning = library
            .places
            .iter()
            .filter(|place| place.volume.as_ref().is_some_and(|volume| volume.cleaning));
        let cleaning: Vec<_> = cleaning.map(|place| (place.kind, place.number)).collect();
        assert_eq!(cleaning, [(PlaceKind::Slot, 4)]);
    }
    let error = house.daemon.library_list(Some("other")).unwrap_err();
    assert!(matches!(error, CommandError::NoSuchLibrary { .. }));
    assert!(
        error.to_string().contains("the libraries of this host are main"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_changer_that_hangs_and_its_last_word_stays_with_its_age() {
    let (end_of_hang, hang) = channel::<()>();
    let commands = Arc::new(Mutex::new(0));
    let counted = commands.clone();
    let house = House::new(move |_| {
        let number = {
            let mut commands = counted.lock().unwrap();
            *commands += 1;
            *commands
        };
        // Identity and inventory are the first seven commands, the eighth begins the next inventory.
        if number > 7 {
            let _ = hang.recv();
        }
    });
    let problem = || house.daemon.library_list(None).unwrap().libraries[0].problem.clone();
    house
        .until(async || problem().is_some_and(|problem| problem.contains("hangs")))
        .await;
    let asked = *commands.lock().unwrap();
    let begun = Instant::now();
    let a = house.drive("a").await;
    assert!(holds(&a, "A00001L8"), "{a:?}");
    let status = house.daemon.status(None, false).await.unwrap();
    assert_eq!(status.drives.len(), 2);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "a drive waited for the changer"
    );
    let watch = tokio::time::timeout(Duration::from_secs(3), house.daemon.clone().watch());
    assert!(watch.await.is_err(), "the watch goes on");
    assert_eq!(*commands.lock().unwrap(), asked, "at most one command in flight");
    drop(end_of_hang);
    house.until(async || problem().is_none()).await;
}

/// NOT READY, becoming ready (SPC-5, fixed format).
fn becoming_ready() -> Completion {
    Completion {
        status: 0x02,
        sense: vec![0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x04, 0x01, 0, 0, 0, 0],
        transferred: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleaning_cartridge_is_refused_by_the_drives_word_or_else_by_the_librarys() {
    for drive_says_so in [true, false] {
        let house = House::with_drive_b(Box::new(move |cdb| {
            (!drive_says_so && cdb[0] == TEST_UNIT_READY).then(|| Ok(becoming_ready()))
        }));
        house.shelf.carry(0x03EB, 0x01F5);
        house.until(async || holds(&house.drive("b").await, "CLNU01L1")).await;
        let watch = tokio::spawn(house.daemon.clone().watch());
        for wish in [load(), Wish::Unlock] {
            let job = house.daemon.carry_out("b", wish, 0).await.unwrap();
            assert_eq!(job.outcome, Outcome::Refused, "{job:#?}");
            let said = |text| job.messages.iter().any(|message| message.text.contains(text));
            assert!(said("a cleaning cartridge is in the drive"), "{job:#?}");
        }
        watch.abort();
        assert!(!house.shelf.sent_to(1).contains(&SECURITY_PROTOCOL_OUT));
        let status = house.daemon.status(Some("b"), false).await.unwrap();
        let by_drive = &status.drives[0].medium;
        assert_eq!(
            *by_drive == Reading::Known(MediumStatus::CleaningCartridge),
            drive_says_so,
            "{by_drive:?}"
        );
    }
}

fn load_named(barcode: &str) -> Wish {
    Wish::Load {
        pool: Some(Pool::parse("ENCR_a").unwrap()),
        barcode: Some(VolumeName::new(barcode).unwrap()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_asked_for_while_the_volume_becomes_ready_and_only_once() {
    let house = House::with_slow_drive_b();
    let loaded = house.daemon.carry_out("b", load_named("A00002L8"), 0);
    let job = tokio::time::timeout(Duration::from_secs(60), loaded).await;
    let job = job.unwrap().unwrap();
    assert_eq!(job.outcome, Outcome::KeyLoaded, "{job:#?}");
    assert_eq!(*house.keys.asked.lock().unwrap(), ["A00002L8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_asked_for_ahead_for_another_volume_is_not_loaded() {
    let house = House::with_slow_drive_b();
    let refused = house.daemon.carry_out("b", load_named("A00009L8"), 0);
    let job = tokio::time::timeout(Duration::from_secs(60), refused)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(job.outcome, Outcome::Refused, "{job:#?}");
    assert_eq!(*house.keys.asked.lock().unwrap(), ["A00009L8"]);
    let said = |text| job.messages.iter().any(|message| message.text.contains(text));
    assert!(
        said("has barcode A00002L8, not A00009L8") && said("it was wiped"),
        "{job:#?}"
    );
    assert!(!house.shelf.sent_to(1).contains(&SECURITY_PROTOCOL_OUT));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_the_library_took_away_takes_its_key_along_and_the_job_says_so() {
    let house = House::new(|_| {});
    house.until(async || holds(&house.drive("a").await, "A00001L8")).await;
    let job = house.daemon.carry_out("a", load(), 0).await.unwrap();
    assert_eq!(job.outcome, Outcome::KeyLoaded, "{job:#?}");
    house.shelf.carry(0x01F4, 0x03E8);
    let gone = async || {
        house
            .daemon
            .jobs()
            .show(job.id)
            .is_some_and(|job| job.key_gone.is_some())
    };
    house.until(gone).await;
    let status = house.daemon.status(Some("a"), false).await.unwrap();
    assert_eq!(status.drives[0].loaded_by, None);
    let messages = house.daemon.jobs().show(job.id).unwrap().messages;
    assert!(
        messages
            .iter()
            .any(|message| message.text.contains("left the drive without tapekey clear"))
    );
}
