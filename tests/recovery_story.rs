//! The whole story of docs/recovery.md, with real programs: a backup under a key service, then nothing left but the kit's text, its passphrase
//! and the cartridge, and the commands of that page, word by word.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use support::programs::{PATIENCE, sg_sim};

const PAGE: &str = include_str!("../docs/recovery.md");
const WORDS: &str = "orbit lemon castle river paper quiet falcon seven";

/// The placeholder that stands on the page for what `unlock` prints.
const KAD: &str = "--kad KAD";

/// The commands of the page, one block each.
fn blocks() -> Vec<String> {
    let blocks = PAGE.split("```sh\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// Runs `script` in `folder` with the programs in its path, in a process group that ends with it; what it printed.
fn shell(folder: &Path, script: &str) -> String {
    let programs = sg_sim().parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let log = folder.join("shell.log");
    let out = fs::File::create(&log).unwrap();
    let mut command = Command::new("bash");
    command
        .args(["-e", "-o", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .process_group(0);
    let mut child = command.spawn().unwrap();
    let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (ended, wait) = std::sync::mpsc::channel();
    let watch = std::thread::spawn(move || {
        // Whatever the script left running, or the script itself if it hangs, ends here.
        let in_time = wait.recv_timeout(PATIENCE * 3).is_ok();
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        in_time
    });
    let status = child.wait().unwrap();
    let _ = ended.send(());
    assert!(watch.join().unwrap(), "{script} did not end");
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    fs::remove_file(log).unwrap();
    let daemon = fs::read_to_string(folder.join("tapekeyd.log")).unwrap_or_default();
    assert!(status.success(), "{script}\nsaid:\n{said}\nthe daemon said:\n{daemon}");
    said
}

/// `script` as a file, run as the shell that `sg-sim run` starts.
fn inside_the_drive(folder: &Path, start: &str, script: &str) -> String {
    let path = folder.join("script");
    fs::write(&path, script).unwrap();
    let said = shell(folder, &format!("{} -e -o pipefail script", start.trim_end()));
    fs::remove_file(path).unwrap();
    said
}

/// Waits until the daemon of the script before answers; a person looks and types again.
const ONCE_READY: &str = "for attempt in $(seq 600); do grep -q 'tapekeyd is ready' tapekeyd.log && break; read -t 0.1 <> <(:) || true; done\n";

fn back_up(folder: &Path) {
    fs::create_dir_all(folder.join("data/inner")).unwrap();
    fs::write(folder.join("data/note"), "the secret of the house\n").unwrap();
    let bytes: Vec<u8> = (0..300_000_u32)
        .map(|number| u8::try_from(number * 7 % 251).unwrap())
        .collect();
    fs::write(folder.join("data/inner/bytes"), bytes).unwrap();
    fs::write(folder.join("passphrase"), format!("{WORDS}\n")).unwrap();
    let script = format!(
        "tapekey-kms init kms
TAPEKEY_LOG=warn tapekey-kms serve kms --listen 127.0.0.1:0 > kms.log &
for attempt in $(seq 600); do grep -q ready kms.log && break; read -t 0.1 <> <(:) || true; done
address=https://localhost:$(sed -n 's/.*https:.*:\\([0-9]*\\)$/\\1/p' kms.log)
admin=\"tapekey kms --address $address --client kms/clients/admin-1\"
$admin group create ENCR_daily
$admin key create ENCR_daily 2026-12
tapekey-kms kit kms kit.txt --same-filesystem --passphrase-fd 3 3< passphrase
$admin key activate ENCR_daily 2026-12 --single-copy
cat > tapekeyd.toml <<EOF
state_directory = \"$PWD/state\"
[[drive]]
name = \"drive0\"
path = \"/sim/sg0\"
[kms]
addresses = [\"$address\"]
ca = \"$PWD/kms/clients/media-server-1/ca.pem\"
certificate = \"$PWD/kms/clients/media-server-1/certificate.pem\"
key = \"$PWD/kms/clients/media-server-1/key.pem\"
[control]
socket = \"$PWD/tapekeyd.sock\"
EOF
tapekeyd --config $PWD/tapekeyd.toml 2> tapekeyd.log &
{ONCE_READY}tapekey --socket $PWD/tapekeyd.sock load drive0 --pool ENCR_daily
tar -c -b 128 -f /sim/nst0 data
tapekey --socket $PWD/tapekeyd.sock clear drive0
"
    );
    inside_the_drive(folder, "sg-sim run --keep tapes -- bash", &script);
}

/// All that a fire leaves: the text on the paper (pages, headings and all, in small letters), the passphrase, the cartridge.
fn what_is_left(before: &Path) -> tempfile::TempDir {
    let after = tempfile::Builder::new().prefix("tk").tempdir().unwrap();
    let kit = fs::read_to_string(before.join("kit.txt")).unwrap();
    fs::write(after.path().join("kit.txt"), kit.to_lowercase()).unwrap();
    fs::copy(before.join("passphrase"), after.path().join("passphrase")).unwrap();
    fs::create_dir(after.path().join("tapes")).unwrap();
    let cartridge = "tapes/SIM001L8.tape";
    let bytes = fs::read(before.join(cartridge)).unwrap();
    assert!(!bytes.windows(23).any(|window| window == b"the secret of the house"));
    fs::write(after.path().join(cartridge), bytes).unwrap();
    after
}

fn trees_agree(before: &Path, after: &Path) {
    for file in ["data/note", "data/inner/bytes"] {
        assert!(
            fs::read(before.join(file)).unwrap() == fs::read(after.join(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn the_kit_s_text_the_passphrase_and_the_cartridge_bring_the_data_back_word_by_word() {
    let before = tempfile::Builder::new().prefix("tk").tempdir().unwrap();
    back_up(before.path());
    let left = what_is_left(before.path());
    let data = tempfile::tempdir().unwrap();
    fs::rename(before.path().join("data"), data.path().join("data")).unwrap();
    before.close().unwrap();

    let [build, drive, daemon, ask, recover, read] = blocks().try_into().expect("the page has six blocks of commands");
    assert_eq!(
        build, "cargo build --workspace\n",
        "the test's own programs were built by cargo"
    );
    let (start_daemon, status) = daemon.split_at(daemon.rfind("tapekey --socket").unwrap());

    // First the refusal, whose last line is the command to go on with.
    let refused = format!("{start_daemon}{ONCE_READY}{status}{} || true\n", ask.trim_end());
    let said = inside_the_drive(left.path(), &drive, &refused);
    let kad = said
        .lines()
        .find_map(|line| line.strip_prefix("KAD on the tape"))
        .unwrap_or_else(|| panic!("{said}"))
        .trim();
    let printed = said
        .lines()
        .find_map(|line| line.strip_prefix("hint: with a recovery kit: "))
        .unwrap();
    let folder = left.path().display().to_string();
    let on_the_page = recover.replace(KAD, &format!("--kad {kad}")).replace("$PWD", &folder);
    assert_eq!(printed, on_the_page.trim_end(), "the page shows what is printed");
    fs::remove_dir_all(left.path().join("state")).unwrap();

    // Then all of it, with what was printed for the placeholder and the passphrase from a descriptor.
    let typed = on_the_page.replacen(" | ", " --passphrase-fd 3 3< passphrase | ", 1);
    let script = format!(
        "{start_daemon}{ONCE_READY}{status}{} || true\n{typed}{read}",
        ask.trim_end()
    );
    let said = inside_the_drive(left.path(), &drive, &script);
    trees_agree(data.path(), left.path());
    assert!(said.contains("given by descriptor, by process"), "{said}");
    assert!(said.contains("check value agrees"), "{said}");
    let log = fs::read_to_string(left.path().join("tapekeyd.log")).unwrap();
    assert!(log.contains("the configuration names no KMS"), "{log}");
}
