//! docs/kmip.md with real programs: from nothing to a KMIP server that is checked, and back, by the commands of that page, word by word,
//! against PyKMIP with and without custom attributes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kmip_support;
mod kms_support;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use kmip_support::PATIENCE;
use kmip_support::certificates::Authority;
use kmip_support::pykmip::{Kind, PyKmip};
use kms_support::process::{PROGRAM, Process, says};
use kms_support::volume;
use tapekey::kms_api::{KeyServerKind, ServerResult};

const PAGE: &str = include_str!("../docs/kmip.md");

/// The address that stands on the page for the server's.
const ADDRESS: &str = "kmip.example.org:5696";

/// The commands of the page, one block each.
fn blocks() -> Vec<String> {
    let blocks = PAGE.split("```sh\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// Runs `script` in `folder` with the programs in its path, in a process group that ends with it; what it printed.
fn shell(folder: &Path, script: &str) -> String {
    let programs = Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let log = folder.join("shell.log");
    let out = std::fs::File::create(&log).unwrap();
    let mut child = Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .process_group(0)
        .spawn()
        .unwrap();
    let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (ended, wait) = std::sync::mpsc::channel();
    let watch = std::thread::spawn(move || {
        // If the script hangs, it ends here.
        let in_time = wait.recv_timeout(PATIENCE * 2).is_ok();
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        in_time
    });
    let status = child.wait().unwrap();
    let _ = ended.send(());
    let in_time = watch.join().unwrap();
    let said = std::fs::read_to_string(log).unwrap();
    assert!(in_time && status.success(), "{script}\nsaid:\n{said}");
    said
}

fn write_files(folder: &Path, authority: &Authority) {
    let client = authority.client("tapekey-kms");
    std::fs::create_dir(folder.join("kmip")).unwrap();
    let files = [
        ("ca.pem", &authority.certificate_pem),
        ("certificate.pem", &client.certificate_pem),
        ("key.pem", &client.key_pem),
    ];
    for (name, text) in files {
        std::fs::write(folder.join("kmip").join(name), text).unwrap();
    }
}

/// Has the administrator's bundle name the port on which this KMS really listens.
fn move_bundle_to(folder: &Path, kms: &Process) {
    let path = folder.join("kms/clients/admin-1/client.toml");
    let mut bundle: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
    bundle["addresses"] = toml::Value::Array(vec![kms.address().to_string().into()]);
    std::fs::write(path, bundle.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_goes_from_nothing_to_a_checked_server_word_by_word() {
    let authority = Arc::new(Authority::new("CA of the KMIP page"));
    for kind in [Kind::Stock, Kind::WithCustomAttributes] {
        let Some(server) = PyKmip::start(kind, &authority).await else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        says(&["init", folder.path().join("kms").to_str().unwrap()]);
        let kms = Process::serve(&folder.path().join("kms"));
        move_bundle_to(folder.path(), &kms);
        write_files(folder.path(), &authority);

        let address = format!("localhost:{}", server.address().port());
        let typed: Vec<_> = blocks().iter().map(|block| block.replace(ADDRESS, &address)).collect();
        let [rights, add, key, as_is, bind, later] = typed.try_into().expect("the page has six blocks of commands");
        let said = shell(folder.path(), &format!("{rights}{add}{key}{as_is}{bind}"));
        assert!(!said.contains("FAILED") && said.contains("ENCR_offsite"), "{said}");
        assert!(said.contains("group bound to it   ENCR_offsite\n"), "{said}");

        let media = kms.client(&folder.path().join("kms"), "media-server-1");
        let given = media.backup_key("ENCR_offsite", &volume("A00001L8")).await.unwrap();
        assert_eq!(
            (
                given.server.name.as_str(),
                given.server.kind,
                given.server.server_address
            ),
            ("offsite", KeyServerKind::Kmip, Some(address))
        );
        assert!(given.server.protocol_version.is_some() && given.server.identifier.is_some());
        assert_eq!(given.outcomes.last().unwrap().result, ServerResult::Keys(1));

        let first = add.lines().next().unwrap();
        let said = shell(folder.path(), &format!("{first}\n{later}"));
        assert!(
            said.contains("priority            5\n") && said.contains("used for            restore\n"),
            "{said}"
        );
        let restored = media.restore_keys(&given.kad.encode(), None).await.unwrap();
        assert!(restored.keys[0].key == given.key, "it goes on reading");
        let refused = media
            .backup_key("ENCR_offsite", &volume("A00002L8"))
            .await
            .err()
            .unwrap();
        assert!(refused.to_string().contains("not enabled for backup"), "{refused}");
    }
}
