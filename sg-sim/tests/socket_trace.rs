//! `sg-sim serve --trace` and `sg-sim trace`: what went to and fro in words, and never a key.

mod socket_support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use socket_support::{Server, program, run};

const KEY: [u8; 32] = *b"not to be seen by anybody at all";

/// A Set Data Encryption page with the key and a name.
fn page() -> Vec<u8> {
    let mut page = vec![
        0x00, 0x10, 0x00, 0x38, 0x40, 0x44, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20,
    ];
    page.extend(KEY);
    page.extend(b"\0\0\0\x04name");
    page
}

#[test]
fn a_trace_tells_the_story_and_keeps_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let server = Server::start(
        folder.path(),
        &[
            "--trace",
            trace.to_str().unwrap(),
            "--create",
            "--cartridge",
            folder.path().join("a.cart").to_str().unwrap(),
        ],
    );
    let mut client = server.client("host1");
    client.until_ready();
    assert!(client.spout(&page()).is_good());
    assert!(client.write(&KEY).unwrap().is_good());
    assert!(client.rewind().is_good());
    assert!(client.spin(0x20, 0x21, 100).is_good());
    assert_eq!(client.read(40).sense_code(), Some((0, 0, 0)));
    let mut lying = page();
    lying[19] = 0;
    assert!(!client.spout(&lying).is_good());
    server.control().order(r#"{"verb":"transport-error","host_status":3}"#);
    assert_eq!(client.test_unit_ready().kind, 1);
    drop(server);

    let file = fs::read(&trace).unwrap();
    let output = run(&["trace", trace.to_str().unwrap()]);
    assert!(output.status.success());
    for told in [&file, &output.stdout, &hex::encode(&file).into_bytes()] {
        for key in [
            KEY.to_vec(),
            hex::encode(KEY).into_bytes(),
            hex::encode_upper(KEY).into_bytes(),
        ] {
            assert!(
                !told
                    .windows(12)
                    .any(|window| key.windows(12).any(|part| part == window))
            );
        }
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    for expected in [
        "1 host1 TEST UNIT READY -> CHECK CONDITION 06/29/00 power on, reset or bus device reset occurred",
        "4 host1 SECURITY PROTOCOL OUT 20h page 0010h: scope ALL I_T NEXUS, encryption ENCRYPT, decryption DECRYPT, algorithm index 1, \
         CEEM 1, CKOD, a key of 32 bytes (format 00h, not shown), U-KAD 6E616D65 \"name\" -> GOOD",
        "5 host1 WRITE(6) 32 bytes -> GOOD",
        "7 host1 SECURITY PROTOCOL IN 20h page 0021h -> GOOD, object 0: encrypted, the key fits, U-KAD 6E616D65 \"name\"",
        "8 host1 READ(6) 40 bytes -> CHECK CONDITION 00/00/00, ILI, information 8, 32 bytes in",
        "10 host1 TEST UNIT READY -> no SCSI status, host status 03h",
    ] {
        assert!(lines.contains(&expected), "{expected}\nis not in\n{text}");
    }
}

#[test]
fn a_trace_is_followed_while_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let server = Server::start(folder.path(), &["--trace", trace.to_str().unwrap()]);
    let mut child = program()
        .args(["trace", "--follow"])
        .arg(&trace)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut client = server.client("host1");
    for number in 1..=3 {
        client.test_unit_ready();
        let line = lines.next().unwrap().unwrap();
        assert!(
            line.trim_start()
                .starts_with(&format!("{number} host1 TEST UNIT READY")),
            "{line}"
        );
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_file_that_is_no_trace_and_one_that_exists_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    fs::write(&notes, "shopping list\n").unwrap();
    let output = run(&["trace", notes.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("line 1"));
    let socket = folder.path().join("scsi");
    let output = run(&[
        "serve",
        "--socket",
        socket.to_str().unwrap(),
        "--trace",
        notes.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read(&notes).unwrap(), b"shopping list\n");
}
