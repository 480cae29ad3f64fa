//! `sg-sim inspect` on cartridges that a drive wrote, whole and torn.

#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod socket_support;

use std::fs;
use std::path::Path;
use std::process::Output;

use socket_support::{Server, run};

const KAD: &[u8] = b"TKkad-of-thirty-bytes-exactly!";

fn inspect(file: &Path, json: bool) -> Output {
    let file = file.to_str().unwrap();
    if json {
        run(&["inspect", "--json", file])
    } else {
        run(&["inspect", file])
    }
}

/// One plain block, a filemark, three encrypted blocks with a U-KAD.
fn written(folder: &Path) -> std::path::PathBuf {
    let server = Server::with_cartridge(folder);
    let mut client = server.client("host1");
    client.until_ready();
    assert!(client.write(&[0xA5; 512]).unwrap().is_good());
    assert!(client.execute(&[0x10, 0, 0, 0, 1, 0], &[], 0).is_good());
    let mut list = vec![
        0x00,
        0x10,
        0x00,
        0x30 + 4 + 30,
        0x40,
        0x00,
        2,
        2,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        32,
    ];
    list.extend([0x5A; 32]);
    list.extend([0x00, 0x00, 0x00, 30]);
    list.extend(KAD);
    assert!(client.spout(&list).is_good());
    for _ in 0..3 {
        assert!(client.write(&[0xC3; 1024]).unwrap().is_good());
    }
    assert!(client.rewind().is_good());
    folder.join("A00001L8.cart")
}

#[test]
fn says_what_is_plain_and_what_is_encrypted_and_under_which_kad() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let report: serde_json::Value = serde_json::from_slice(&inspect(&file, true).stdout).unwrap();
    let counts = [
        "blocks",
        "plain_blocks",
        "encrypted_blocks",
        "filemarks",
        "damaged",
        "block_bytes",
        "torn_bytes",
    ];
    assert_eq!(
        counts.map(|name| report[name].as_u64().unwrap()),
        [4, 1, 3, 1, 0, 512 + 3 * 1024, 0]
    );
    let kinds: Vec<_> = report["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["plain", "filemark", "encrypted", "encrypted", "encrypted"]);
    let kad = &report["objects"][4]["sealed"]["kads"][0];
    assert_eq!(
        (&kad["kind"], &kad["hex"]),
        (&"U-KAD".into(), &hex::encode_upper(KAD).into())
    );
    let text = String::from_utf8(inspect(&file, false).stdout).unwrap();
    assert!(
        text.contains(&format!("2-4  encrypted       1024  U-KAD {}", hex::encode_upper(KAD))),
        "{text}"
    );
    assert!(
        text.contains("objects 5, blocks 4 (plain 1, encrypted 3), filemarks 1, damaged 0, bytes in blocks 3584\n"),
        "{text}"
    );
}

#[test]
fn a_torn_file_is_reported_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let whole = fs::read(&file).unwrap();
    let torn = &whole[..whole.len() - 1];
    fs::write(&file, torn).unwrap();
    let output = inspect(&file, false);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && text.contains("a torn record at the end: "),
        "{text}"
    );
    assert!(text.contains("blocks 3 (plain 1, encrypted 2)"), "{text}");
    assert!(fs::read(&file).unwrap() == torn);
}

#[test]
fn looks_into_a_file_that_a_drive_holds_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    assert!(client.write(b"block").unwrap().is_good());
    let file = folder.path().join("A00001L8.cart");
    let output = inspect(&file, false);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("in use"), "{text}");
    assert!(text.contains("blocks 1 (plain 1, encrypted 0)"), "{text}");
    assert!(
        client.write(b"on and on").unwrap().is_good(),
        "looking disturbs nothing"
    );
    drop(server);
    let report: serde_json::Value = serde_json::from_slice(&inspect(&file, true).stdout).unwrap();
    assert_eq!((&report["in_use"], &report["blocks"]), (&false.into(), &2.into()));
}

#[test]
fn needs_no_permission_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let mut permissions = fs::metadata(&file).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&file, permissions).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&inspect(&file, true).stdout).unwrap();
    assert_eq!((&report["in_use"], &report["files"]), (&false.into(), &2.into()));
    let files: Vec<_> = report["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["file"].as_u64().unwrap())
        .collect();
    assert_eq!(files, [0, 0, 1, 1, 1], "a filemark ends its file");
}

#[test]
fn refuses_what_is_no_cartridge() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("notes.txt");
    fs::write(&foreign, "shopping list").unwrap();
    let output = inspect(&foreign, true);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert_eq!(fs::read(&foreign).unwrap(), b"shopping list");
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let output = inspect(&pipe, true);
    assert!(String::from_utf8(output.stderr).unwrap().contains("not a regular file"));
}
