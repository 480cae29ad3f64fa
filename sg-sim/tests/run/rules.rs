//! The tape driver's rules, and those of the command itself.

use crate::{run, script, script_keeping, standard_error, standard_output};

#[test]
fn the_exit_status_is_that_of_the_command() {
    for (text, status) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        assert_eq!(script(text).status.code(), Some(status), "{text}");
    }
}

#[test]
fn each_close_after_writing_writes_a_filemark() {
    let text = "dd if=/dev/zero of=/sim/nst0 bs=100 count=2 status=none; echo second > /sim/nst0; : < /sim/st0
        for file in 1 2; do cat < /sim/nst0 | wc -c; done";
    assert_eq!(
        standard_output(&script(text)).split_whitespace().collect::<Vec<_>>(),
        ["200", "7"]
    );
}

#[test]
fn a_tape_is_read_block_by_block_and_a_filemark_is_no_bytes() {
    let text = "echo one > /sim/nst0; : < /sim/st0; exec 3< /sim/nst0
        dd bs=64k count=1 status=none <&3; dd bs=64k status=none <&3; echo nothing; dd bs=64k status=none <&3; echo again nothing
        dd bs=64k status=none <&3 || echo then an error";
    let output = script(text);
    assert_eq!(standard_output(&output), "one\nnothing\nagain nothing\nthen an error\n");
    assert!(standard_error(&output).contains("Input/output error"), "{output:?}");
}

#[test]
fn a_buffer_shorter_than_the_block_is_too_little_memory() {
    let output = script("dd if=/dev/zero of=/sim/st0 bs=512 count=1 status=none; dd if=/sim/nst0 bs=511 count=1");
    assert_eq!(output.status.code(), Some(1));
    assert!(standard_error(&output).contains("Cannot allocate memory"), "{output:?}");
}

#[test]
fn a_tape_has_one_opener_whichever_process_it_is() {
    let output = script("exec 3< /sim/nst0; cat < /sim/nst0; cat < /sim/st0; exec 3<&-; cat < /sim/nst0 && echo free");
    assert_eq!(standard_error(&output).matches("busy").count(), 2, "{output:?}");
    // The tape is blank, so reading it is an error, but another one.
    assert!(standard_error(&output).contains("Input/output error"), "{output:?}");
}

#[test]
fn a_killed_writer_leaves_a_filemark_like_any_other() {
    let text = "sh -c 'dd if=/dev/zero bs=300 count=1 status=none; kill -KILL $$' > /sim/nst0
        echo next > /sim/nst0; : < /sim/st0; for file in 1 2; do cat < /sim/nst0 | wc -c; done";
    assert_eq!(
        standard_output(&script(text)).split_whitespace().collect::<Vec<_>>(),
        ["300", "5"]
    );
}

#[test]
fn a_kept_cartridge_is_there_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("tapes");
    assert!(script_keeping(&kept, "echo kept > /sim/nst0").status.success());
    assert_eq!(standard_output(&script_keeping(&kept, "cat /sim/nst0")), "kept\n");
    assert_eq!(
        standard_error(&script("cat /sim/nst0"))
            .matches("Input/output error")
            .count(),
        1
    );
}

#[test]
fn a_described_library_gives_a_node_to_each_drive_and_then_to_the_changer() {
    let folder = tempfile::tempdir().unwrap();
    let description = folder.path().join("library.toml");
    let text = "cartridges = \"tapes\"\nslots = 2\n[[drive]]\nserial = \"1013000101\"\n[[drive]]\nserial = \"1013000102\"\n[[tape]]\nbarcode = \"A00001L8\"\nat = \"drive 1\"\n";
    std::fs::write(&description, text).unwrap();
    let library = ["--library", description.to_str().unwrap()];
    let look = "for node in sg0 sg1 sg2 sg3 st0 st1 nst0 nst1 nst2; do test -c /sim/$node && echo $node; done
        cat /sim/nst0; echo $?; echo written > /sim/nst1";
    let output = run(&library, &["sh", "-c", look]).output().unwrap();
    assert_eq!(standard_output(&output), "sg0\nsg1\nsg2\nst0\nst1\nnst0\nnst1\n1\n");
    assert!(standard_error(&output).contains("No medium found"), "{output:?}");
    assert!(folder.path().join("tapes/A00001L8.tape").exists());

    let elsewhere = folder.path().join("elsewhere");
    let kept = [&library[..], &["--keep", elsewhere.to_str().unwrap()]].concat();
    assert!(
        run(&kept, &["sh", "-c", "echo other > /sim/nst1"])
            .status()
            .unwrap()
            .success()
    );
    assert!(elsewhere.join("A00001L8.tape").exists());
}

#[test]
fn the_record_has_every_command_and_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record");
    let switches = ["--record", record.to_str().unwrap()];
    assert!(
        run(&switches, &["sh", "-c", "echo x > /sim/nst0"])
            .status()
            .unwrap()
            .success()
    );
    let lines: Vec<serde_json::Value> = std::fs::read_to_string(&record)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let operations: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["cdb"].as_str())
        .map(|cdb| &cdb[..2])
        .collect();
    // Two unit attentions, then ready; block limits; mode; the block; the filemark.
    assert_eq!(operations, ["00", "00", "00", "05", "1a", "0a", "10"]);
    assert_eq!(run(&switches, &["true"]).output().unwrap().status.code(), Some(1));
}
