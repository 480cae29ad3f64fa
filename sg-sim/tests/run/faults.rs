//! `sg-sim run` with faults, a control socket, a trace and virtual time: what goes wrong on order is what the program sees.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{run, standard_error, standard_output};

/// A folder with a script of faults in it.
struct Stage(TempDir);

impl Stage {
    fn new(faults: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("faults.toml"), faults).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a shell script in which `$folder` is this folder and `$sg_sim` the simulator.
    fn run(&self, switches: &[&str], text: &str) -> std::process::Output {
        let faults = self.path("faults.toml");
        let switches = [&["--faults", faults.to_str().unwrap()], switches].concat();
        run(&switches, &["sh", "-c", text])
            .env("folder", self.0.path())
            .env("sg_sim", env!("CARGO_BIN_EXE_sg-sim"))
            .output()
            .unwrap()
    }
}

fn lines_with(text: &str, words: &str) -> usize {
    text.lines().filter(|line| line.contains(words)).count()
}

fn decoded(trace: &Path) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sg-sim"))
        .arg("trace")
        .arg(trace)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    standard_output(&output)
}

#[test]
fn sense_at_the_second_write_is_an_error_of_that_write() {
    let stage = Stage::new(
        r#"
        seed = 5
        [[fault]]
        at = { opcode = 0x0A, nth = 2 }
        do = { what = "sense", sense = "03/0C/00" }
        "#,
    );
    let text = "dd if=/dev/zero of=/sim/nst0 bs=512 count=3; : < /sim/st0; cat < /sim/nst0 | wc -c";
    let output = stage.run(&[], text);
    let error = standard_error(&output);
    assert!(error.contains("1 fault from"), "{error}");
    assert!(error.contains("seed 5"), "{error}");
    assert!(error.contains("sg-sim: fault 1 at command 7 (0Ah):"), "{error}");
    assert!(
        error.contains("error writing '/sim/nst0': Input/output error"),
        "{error}"
    );
    assert_eq!(standard_output(&output), "512\n");
}

#[test]
fn a_drive_that_hangs_is_a_time_out_at_once_and_control_ends_the_hang() {
    let stage = Stage::new(r#"fault = [{ at = { opcode = 0x0A, nth = 2 }, do = { what = "hang" } }]"#);
    let control = stage.path("control");
    let text = "dd if=/dev/zero of=/sim/nst0 bs=512 count=3; true < /sim/nst0 || echo still hangs
        $sg_sim control --control $folder/control hang off; true < /sim/st0 && cat < /sim/nst0 | wc -c";
    for time in ["instant", "virtual"] {
        let trace = stage.path(time);
        let switches = ["--time", time, "--control", control.to_str().unwrap()];
        let output = stage.run(&[&switches[..], &["--trace", trace.to_str().unwrap()]].concat(), text);
        assert_eq!(standard_output(&output), "still hangs\n512\n", "{output:?}");
        let decoded = decoded(&trace);
        // The second write, the filemark at close, the look of the next opening.
        assert_eq!(lines_with(&decoded, "no SCSI status, host status 03h"), 3, "{decoded}");
        assert!(!control.exists());
    }
}

#[test]
fn orders_reach_a_running_drive_and_say_what_they_found() {
    let stage = Stage::new("");
    let control = stage.path("control");
    let text = "echo first > /sim/nst0
        $sg_sim control --control $folder/control fault '{\"at\":{\"opcode\":10},\"do\":{\"what\":\"transport\",\"host_status\":1}}'
        echo second > /sim/nst0; echo $?
        $sg_sim control --control $folder/control status | grep -E 'commands|faults|seed'
        $sg_sim control --control $folder/control --unit 1 status";
    let switches = ["--seed", "77", "--control", control.to_str().unwrap()];
    let output = stage.run(&switches, text);
    let out = standard_output(&output);
    assert!(out.starts_with("1\n"), "{output:?}");
    for words in ["\"faults\": 0", "\"seed\": 77"] {
        assert!(out.contains(words), "{out}");
    }
    let error = standard_error(&output);
    assert!(
        error.contains("Input/output error") || error.contains("I/O error"),
        "{error}"
    );
    assert!(error.contains("there is no unit 1"), "{error}");
}

#[test]
fn a_reset_is_an_error_of_the_read_that_meets_it_and_the_tape_is_back_at_its_beginning() {
    let stage = Stage::new(r#"fault = [{ at = { opcode = 0x08, nth = 2 }, do = { what = "reset" } }]"#);
    let text = "dd if=/dev/zero of=/sim/st0 bs=512 count=3 status=none
        exec 3< /sim/nst0; for read in 1 2 3; do dd bs=512 count=1 status=none <&3 | wc -c; done; exec 3<&-
        cat < /sim/nst0 | wc -c";
    let output = stage.run(&[], text);
    // The third read is of the first block again.
    assert_eq!(standard_output(&output), "512\n0\n512\n1024\n", "{output:?}");
    assert_eq!(
        lines_with(&standard_error(&output), "Input/output error"),
        1,
        "{output:?}"
    );
}

#[test]
fn virtual_time_goes_by_without_waiting_and_chance_follows_from_the_seed() {
    let stage = Stage::new(
        r#"fault = [{ at = { chance = 0.2, opcode = 0x0A }, do = { what = "slow", milliseconds = 300000 }, always = true }]"#,
    );
    let control = stage.path("control");
    let text = "for file in 1 2 3 4 5 6 7 8 9 10; do echo $file > /sim/nst0 || exit 1; done
        $sg_sim control --control $folder/control status | grep elapsed_ms";
    let run_with = |seed: &str| {
        let switches = [
            "--time",
            "virtual",
            "--seed",
            seed,
            "--control",
            control.to_str().unwrap(),
        ];
        let output = stage.run(&switches, text);
        assert!(output.status.success(), "{output:?}");
        let error = standard_error(&output);
        let strikes = error.lines().filter(|line| line.contains("at command"));
        (
            standard_output(&output),
            strikes.map(ToOwned::to_owned).collect::<Vec<_>>(),
        )
    };
    let (elapsed, strikes) = run_with("3");
    assert_eq!((elapsed.clone(), strikes.clone()), run_with("3"));
    assert_ne!(strikes, run_with("4").1);
    let ms: u64 = elapsed
        .trim()
        .trim_end_matches(',')
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let slow = u64::try_from(strikes.len()).unwrap();
    assert!(slow > 0 && ms >= slow * 300_000, "{elapsed} {strikes:?}");
}

#[test]
fn a_fault_of_one_drive_of_a_library_does_not_touch_the_other() {
    let stage =
        Stage::new(r#"fault = [{ at = { unit = 1, opcode = 0x0A }, do = { what = "sense", sense = "04/44/00" } }]"#);
    let description = stage.path("library.toml");
    let text = "cartridges = \"tapes\"\nslots = 2\n[[drive]]\nserial = \"1013000101\"\n[[drive]]\nserial = \"1013000102\"\n[[tape]]\nbarcode = \"A00001L8\"\nat = \"drive 0\"\n[[tape]]\nbarcode = \"A00002L8\"\nat = \"drive 1\"\n";
    fs::write(&description, text).unwrap();
    let trace = stage.path("trace");
    let switches = [
        "--library",
        description.to_str().unwrap(),
        "--trace",
        trace.to_str().unwrap(),
    ];
    let output = stage.run(&switches, "echo a > /sim/nst0; echo $?; echo b > /sim/nst1; echo $?");
    assert_eq!(standard_output(&output), "0\n1\n", "{output:?}");
    let decoded = decoded(&trace);
    assert_eq!(lines_with(&decoded, "sg-sim-run unit 1 WRITE(6)"), 1, "{decoded}");
    assert_eq!(lines_with(&decoded, "sg-sim-run WRITE(6)"), 1, "{decoded}");
}

#[test]
fn a_script_for_a_unit_that_is_not_there_starts_nothing() {
    let stage = Stage::new("fault = [{ at = { unit = 1 }, do = { what = \"reset\" } }]");
    let output = stage.run(&[], "echo started");
    assert_eq!((output.status.code(), standard_output(&output).as_str()), (Some(1), ""));
    let error = standard_error(&output);
    assert!(
        error.contains("fault 1: there is no unit 1, the last is 0\nhint: "),
        "{error}"
    );
}

#[test]
fn the_end_of_the_command_does_not_wait_for_a_drive_that_hangs() {
    let stage = Stage::new(r#"fault = [{ at = { opcode = 0x0A }, do = { what = "hang" } }]"#);
    // In real time the write would wait for a quarter of an hour. `run` kills what does not end after a minute.
    let text = "echo lost > /sim/nst0 & until $sg_sim control --control $folder/control status | grep -q '\"waiting\": 1'; do :; done; exit 4";
    let control = stage.path("control");
    let output = stage.run(&["--time", "real", "--control", control.to_str().unwrap()], text);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}
