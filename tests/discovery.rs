//! Drives and changers as a real kernel showed them: found, named by serial number, and listed without a command to any of them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and no test file needs all of what they share"
)]

#[path = "support/in_process.rs"]
mod in_process;
#[path = "support/kernel_tree.rs"]
mod kernel_tree;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use in_process::Bench;
use kernel_tree::KernelTree;
use tapekey::clock::{Clock, Timestamp};
use tapekey::controller::inventory::{DriveList, InUse, Knowledge, ListedMedium, Source};
use tapekey::controller::operation::{PlainBlocks, Rules};
use tapekey::controller::report::Reading;
use tapekey::controller::runtime::Daemon;
use tapekey::controller::runtime::lane::Opener;
use tapekey::controller::runtime::serials::Inquirer;
use tapekey::controller::runtime::start::{Given, GivenDrive};
use tapekey::discovery::openers::Openers;
use tapekey::discovery::statistics::Activity;
use tapekey::discovery::{Device, DiscoveryError, Kind, Node};
use tapekey::drive::{Drive, SetScope};
use tapekey::keysource::HeadBook;
use tapekey::keysource::none::NoKms;

const SECOND: &str = "0:0:1:0";

fn drive(host: &KernelTree, serial: &str) -> Device {
    let mut found = host.tree().with_serial(Kind::Drive, serial).unwrap();
    assert_eq!(found.len(), 1, "{serial}");
    found.remove(0)
}

#[test]
fn drives_and_changers_are_found_with_their_serial_numbers_and_nodes() {
    let host = KernelTree::debian();
    let devices = host.tree().scan().unwrap();
    let serials: Vec<_> = devices.iter().map(|device| device.serial.as_deref().unwrap()).collect();
    assert_eq!(serials, ["1013000301", "1013000302", "SGSIMLIB01"]);
    let [first, _, changer] = devices.try_into().unwrap();
    assert_eq!((first.kind, changer.kind), (Kind::Drive, Kind::Changer));
    assert_eq!(first.product.as_deref(), Some("ULT3580-TD8"));
    assert_eq!(first.vendor.as_deref(), Some("IBM"));
    assert_eq!(first.revision.as_deref(), Some("J4D0"));
    let generic = first.generic.as_ref().unwrap();
    assert_eq!(
        (generic.path.clone(), generic.number.to_string()),
        (host.path("dev/sg0"), "21:0".into())
    );
    let tape = first.no_rewind().unwrap();
    assert_eq!(
        (tape.path.clone(), tape.number.to_string()),
        (host.path("dev/nst0"), "9:128".into())
    );
    assert_eq!(first.tape.len(), 8);
    assert_eq!(changer.tape, Vec::new());
    assert_eq!(changer.generic.unwrap().path, host.path("dev/sg2"));
}

#[test]
fn a_drive_is_the_same_one_under_whatever_node_the_kernel_gives_it() {
    let host = KernelTree::debian();
    let nodes = host.unit(SECOND).join("scsi_generic");
    fs::rename(nodes.join("sg1"), nodes.join("sg7")).unwrap();
    fs::write(nodes.join("sg7/uevent"), "MAJOR=21\nMINOR=7\nDEVNAME=sg7\n").unwrap();
    fs::write(nodes.join("sg7/dev"), "21:7\n").unwrap();
    assert_eq!(drive(&host, "1013000302").generic.unwrap().path, host.path("dev/sg7"));
}

#[test]
fn a_drive_that_goes_is_left_out_and_the_others_stay() {
    let host = KernelTree::debian();
    host.unplug(SECOND);
    let found = host.tree().scan().unwrap();
    let serials: Vec<_> = found.iter().filter_map(|device| device.serial.as_deref()).collect();
    assert_eq!(serials, ["1013000301", "SGSIMLIB01"]);
    assert!(host.tree().with_serial(Kind::Drive, "1013000302").unwrap().is_empty());
}

#[test]
fn a_drive_that_only_one_driver_knows_is_found_all_the_same() {
    let host = KernelTree::debian();
    fs::remove_dir_all(host.path("sys/class/scsi_generic")).unwrap();
    fs::remove_dir_all(host.unit(SECOND).join("scsi_generic")).unwrap();
    let second = drive(&host, "1013000302");
    assert_eq!((second.generic, second.tape.len()), (None, 8));
}

#[test]
fn other_devices_are_left_alone_and_a_changer_is_no_drive() {
    let host = KernelTree::debian();
    fs::write(host.unit(SECOND).join("type"), "0\n").unwrap();
    assert_eq!(host.tree().scan().unwrap().len(), 2);
    assert!(host.tree().with_serial(Kind::Drive, "1013000302").unwrap().is_empty());
    assert!(host.tree().with_serial(Kind::Drive, "SGSIMLIB01").unwrap().is_empty());
}

#[test]
fn without_drivers_there_is_nothing_and_without_sysfs_nothing_is_known() {
    let host = KernelTree::debian();
    fs::remove_dir_all(host.path("sys/class")).unwrap();
    assert_eq!(host.tree().scan().unwrap(), Vec::new());
    fs::remove_dir_all(host.path("sys")).unwrap();
    assert!(matches!(host.tree().scan(), Err(DiscoveryError::Unlistable { .. })));
}

#[test]
fn the_counters_of_st_tell_what_a_program_does() {
    let host = KernelTree::debian();
    let tape = drive(&host, "1013000301").no_rewind().unwrap().clone();
    let counters = || host.tree().statistics(&tape).unwrap();
    let before = counters();
    assert_eq!(before.since(&before), Activity::Idle);
    host.after("a program has opened /dev/nst0");
    let opened = counters();
    assert_eq!(opened.since(&before), Activity::Positioning);
    host.after("it has written 16 blocks of 64 KiB and closed it");
    let written = counters();
    assert_eq!(written.since(&opened), Activity::Writing);
    assert_eq!(written.bytes_written, 16 * 65_536);
    host.unplug("0:0:0:0");
    assert_eq!(host.tree().statistics(&tape), None);
}

/// Has `/dev/nst0` be a device that a test may open: the kernel's own nodes need its drivers.
fn openable(host: &KernelTree) {
    fs::write(host.unit("0:0:0:0").join("scsi_tape/nst0/dev"), "1:3\n").unwrap();
    fs::create_dir(host.path("dev")).unwrap();
    symlink("/dev/null", host.path("dev/nst0")).unwrap();
}

#[test]
fn who_has_a_tape_open_is_told_if_it_can_be_and_never_guessed() {
    let host = KernelTree::debian();
    openable(&host);
    let [first, second] = ["1013000301", "1013000302"].map(|serial| drive(&host, serial));
    host.process(712, "bacula-sd", &[Path::new("/dev/zero"), &host.path("dev/nst0")]);
    let openers = |drive: &Device| host.tree().look_at_openers().openers_of(drive);
    assert_eq!(openers(&first), Openers::Nobody, "the kernel's own count is 0");

    host.after("a program has opened /dev/nst0");
    let Openers::These(these) = openers(&first) else {
        panic!("nobody")
    };
    assert_eq!(
        (these[0].pid, these[0].program.as_deref(), these.len()),
        (712, Some("bacula-sd"), 1)
    );
    assert_eq!(openers(&second), Openers::Nobody);

    // A process whose descriptors may not be listed.
    host.write("proc/713/comm", b"hidden\n");
    host.write("proc/713/fd", b"");
    assert!(matches!(openers(&first), Openers::These(_)));
    assert_eq!(openers(&second), Openers::Unknown);
    fs::remove_dir_all(host.path("proc/713")).unwrap();
    fs::remove_dir_all(host.path("proc/712")).unwrap();
    assert_eq!(
        openers(&first),
        Openers::Unknown,
        "somebody has one, and nobody is seen"
    );
    fs::remove_dir_all(host.path("proc")).unwrap();
    assert_eq!(openers(&first), Openers::Unknown);
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn by_serial(name: &str, serial: &str, opener: Opener) -> GivenDrive {
    GivenDrive {
        name: name.into(),
        path: format!("serial number {serial}"),
        by_serial: true,
        simulated: false,
        rules: Rules {
            expected_serial: Some(serial.into()),
            finish_volumes: true,
            scope: SetScope::AllItNexus,
            plain_blocks: PlainBlocks::default(),
        },
        command_timeout: Duration::from_secs(20),
        opener,
        hold: None,
    }
}

fn daemon(host: &KernelTree, drives: Vec<GivenDrive>) -> Arc<Daemon> {
    daemon_asking(
        host,
        drives,
        Arc::new(|node| panic!("{} was asked", node.path.display())),
    )
}

fn daemon_asking(host: &KernelTree, drives: Vec<GivenDrive>, inquirer: Inquirer) -> Arc<Daemon> {
    let clock = Arc::new(Still);
    Daemon::new(Given {
        state_directory: host.path("state"),
        drives,
        libraries: Vec::new(),
        found_libraries: Box::new(|serial| panic!("{serial} was opened only to be listed")),
        inquirer,
        tree: host.tree(),
        clock: clock.clone(),
        keys: Arc::new(NoKms),
        heads: Arc::new(HeadBook::open(&host.path("heads"), clock)),
    })
    .unwrap()
}

fn never() -> Opener {
    Box::new(|| panic!("a drive was opened only to be listed"))
}

fn names(list: &DriveList) -> Vec<(Option<&str>, Option<&str>)> {
    let name = |drive| -> (Option<&str>, Option<&str>) {
        let drive: &tapekey::controller::inventory::ListedDrive = drive;
        (drive.name.as_deref(), drive.serial.as_deref())
    };
    list.drives.iter().map(name).collect()
}

#[tokio::test]
async fn the_list_has_the_configured_drives_and_those_that_could_be_and_asks_none() {
    let host = KernelTree::debian();
    let drives = vec![
        by_serial("b", "1013000302", never()),
        by_serial("gone", "1013000999", never()),
    ];
    let list = daemon(&host, drives).drive_list().await;
    assert_eq!(
        names(&list),
        [
            (Some("b"), Some("1013000302")),
            (Some("gone"), Some("1013000999")),
            (None, Some("1013000301"))
        ]
    );
    let b = &list.drives[0];
    assert_eq!(b.nodes[0].generic.as_deref(), host.path("dev/sg1").to_str());
    assert_eq!(b.nodes[0].tape.as_deref(), host.path("dev/nst1").to_str());
    assert_eq!((b.product.as_deref(), &b.in_use), (Some("ULT3580-TD8"), &InUse::Free));
    assert!(matches!(b.volume, Knowledge::Unknown(_)), "nobody asked it");
    assert!(list.drives[1].nodes.is_empty());
    assert!(matches!(list.drives[1].in_use, InUse::Unknown(_)));
}

#[tokio::test]
async fn two_paths_to_a_drive_are_one_drive() {
    let host = KernelTree::debian();
    fs::copy(
        host.unit("0:0:0:0").join("vpd_pg80"),
        host.unit(SECOND).join("vpd_pg80"),
    )
    .unwrap();
    let list = daemon(&host, Vec::new()).drive_list().await;
    assert_eq!((list.drives.len(), list.drives[0].nodes.len()), (1, 2));
}

#[tokio::test]
async fn without_sysfs_the_list_says_why_it_may_not_be_whole() {
    let host = KernelTree::debian();
    fs::remove_dir_all(host.path("sys")).unwrap();
    let list = daemon(&host, vec![by_serial("b", "1013000302", never())])
        .drive_list()
        .await;
    assert_eq!(list.drives.len(), 1);
    assert!(list.problems[0].contains("is sysfs mounted"), "{:?}", list.problems);
}

/// A drive in this process that answers for the one with serial number `1013000301`.
fn answering() -> (Bench, Opener) {
    let bench = Bench::with_blank_volume("VOLUME0001");
    let opened = bench.clone();
    let opener = move || Ok(Drive::new(Box::new(opened.path("host1")), Duration::from_secs(20)));
    (bench, Box::new(opener))
}

#[tokio::test]
async fn a_drive_whose_node_a_program_has_open_gets_no_command_and_its_volume_is_known_from_before() {
    let host = KernelTree::debian();
    openable(&host);
    host.process(712, "bacula-sd", &[&host.path("dev/nst0")]);
    let (bench, opener) = answering();
    let daemon = daemon(&host, vec![by_serial("a", "1013000301", opener)]);
    daemon.look_at_all().await;
    let asked = bench.sent().len();
    assert!(asked > 0);

    host.after("a program has opened /dev/nst0");
    let status = daemon.status(Some("a"), false).await.unwrap();
    let Reading::NotAsked(why) = &status.drives[0].modes else {
        panic!("{status:?}")
    };
    assert!(why.contains("bacula-sd (712) has its tape node open"), "{why}");
    let list = daemon.drive_list().await;
    let Knowledge::Known { what, source, .. } = &list.drives[0].volume else {
        panic!("{list:?}")
    };
    let ListedMedium::Volume { serial, .. } = what else {
        panic!("{list:?}")
    };
    assert_eq!((serial.as_deref(), *source), (Some("VOLUME0001"), Source::Drive));
    assert!(matches!(&list.drives[0].in_use, InUse::By(programs) if programs[0].pid == 712));
    assert_eq!(bench.sent().len(), asked, "no command went to the drive");
}

/// The kernel shows no serial number of either drive.
fn without_serials() -> KernelTree {
    let host = KernelTree::debian();
    for address in ["0:0:0:0", SECOND] {
        for page in ["vpd_pg80", "vpd_pg83"] {
            let _ = fs::remove_file(host.unit(address).join(page));
        }
    }
    host
}

#[tokio::test]
async fn a_drive_whose_serial_number_the_kernel_does_not_show_is_asked_once_while_no_program_has_it_open() {
    let host = without_serials();
    host.unplug("0:0:2:0");
    openable(&host);
    host.process(712, "bacula-sd", &[&host.path("dev/nst0")]);
    host.after("a program has opened /dev/nst0");
    let asked: Arc<Mutex<Vec<PathBuf>>> = Arc::default();
    let (nodes, first) = (asked.clone(), host.path("dev/sg0"));
    let inquirer = move |node: &Node| {
        nodes.lock().unwrap().push(node.path.clone());
        Ok(if node.path == first { "1013000301" } else { "1013000302" }.to_owned())
    };
    let drives = ["1013000301", "1013000302"].map(|serial| by_serial(serial, serial, never()));
    let daemon = daemon_asking(&host, drives.into(), Arc::new(inquirer));
    let is_found = async |index: usize| !daemon.drive_list().await.drives[index].nodes.is_empty();
    assert!(!is_found(1).await);
    for (index, nodes) in [(1, vec!["dev/sg1"]), (0, vec!["dev/sg1", "dev/sg0"])] {
        let watch = tokio::spawn(daemon.clone().watch());
        let found = async {
            while !is_found(index).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), found).await.unwrap();
        watch.abort();
        let nodes: Vec<PathBuf> = nodes.into_iter().map(|node| host.path(node)).collect();
        assert_eq!(*asked.lock().unwrap(), nodes);
        host.write("sys/module/st/refcnt", b"0\n");
    }
}

#[test]
fn what_a_drive_said_of_itself_goes_with_it() {
    let host = without_serials();
    let tree = host.tree();
    let second = || tree.scan().unwrap().remove(1);
    let device = second();
    assert!(tree.may_learn_serial(&device));
    tree.learn_serial(&device, Some("1013000302".into()));
    assert_eq!(
        tree.clone().scan().unwrap().remove(1).serial.as_deref(),
        Some("1013000302")
    );
    let elsewhere = host.path("elsewhere");
    fs::rename(host.unit(SECOND), &elsewhere).unwrap();
    assert_eq!(tree.scan().unwrap().len(), 2, "it has gone");
    fs::rename(&elsewhere, host.unit(SECOND)).unwrap();
    assert!(
        tree.may_learn_serial(&second()),
        "whatever is there now may be another one"
    );
}
