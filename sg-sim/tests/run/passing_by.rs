//! What the shim must leave alone, and the programs it cannot get into.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::{run, script, standard_error, standard_output};

#[test]
fn programs_that_use_no_node_behave_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let text = format!(
        "cd {path}; umask 022; echo text > file; echo more >> file; cat < file; test -c file || echo plain; stat -c '%F %a %s' file
        ls file; rm file; cat file; echo $?; sh -c 'exec 5> other; echo a >&5; exec 5>&-'; cat other; head -c 3 < /dev/zero | wc -c"
    );
    let output = script(&text);
    assert_eq!(
        standard_output(&output),
        "text\nmore\nplain\nregular file 644 10\nfile\n1\na\n3\n",
        "{output:?}"
    );
}

#[test]
fn the_folder_of_the_nodes_does_not_exist() {
    let output = script("echo lost > /sim/file; test -e /sim; echo $?; echo lost > /sim/nst1");
    assert_eq!(standard_output(&output), "1\n");
    assert_eq!(standard_error(&output).lines().count(), 2, "{output:?}");
}

#[test]
fn a_node_is_a_character_device_with_linux_numbers() {
    let output = script(
        "stat -c '%F %t:%T' /sim/sg0 /sim/nst0 /sim/st0; stat -L -c %t:%T - < /sim/nst0; mkdir /sim/nst0 || echo refused",
    );
    let device = "character special file";
    assert_eq!(
        standard_output(&output),
        format!("{device} 15:0\n{device} 9:80\n{device} 9:0\n9:80\nrefused\n"),
        "{output:?}"
    );
}

#[test]
fn a_program_without_the_environment_finds_nothing() {
    let output = script("env -i cat /sim/nst0");
    assert!(
        standard_error(&output).contains("No such file or directory"),
        "{output:?}"
    );
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let output = run(&[], &["no-such-command"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        standard_error(&output).contains("run \"no-such-command\": there is no such command"),
        "{output:?}"
    );
}

#[test]
fn a_static_program_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("static");
    // The header of an ELF file without program headers: nothing that a dynamic linker would look at.
    let mut file = b"\x7FELF\x02\x01\x01".to_vec();
    file.resize(64, 0);
    std::fs::write(&path, file).unwrap();
    let output = run(&[], &[path.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(standard_error(&output).contains("linked statically"), "{output:?}");
}

#[test]
fn nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = run(&[], &["sh", "-c", "ls $SG_SIM_RUN; echo x > /sim/nst0"]);
    let output = command.env("TMPDIR", folder.path()).output().unwrap();
    assert!(standard_output(&output).contains("sg-sim-preload.so"), "{output:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_run_that_is_told_to_end_passes_it_on() {
    let mut running = Command::new(env!("CARGO_BIN_EXE_sg-sim"))
        .args([
            "run",
            "--",
            "sh",
            "-c",
            "trap 'echo told; exit 9' TERM; echo ready; read line",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    assert!(
        Command::new("kill")
            .arg(running.id().to_string())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(lines.next().unwrap().unwrap(), "told");
    assert_eq!(running.wait().unwrap().code(), Some(9));
}
