//! Key bytes are in no log, argument list, environment, record, answer or message of the control socket: the whole of a run is searched for them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use support::programs::Ended;
use support::stage::{NEXUS, Stage};
use support::tape::Tape;
use tapekey::clock::{Clock, Timestamp};
use tapekey::kms_client::{ClientConfig, KmsClient};

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now_utc()
    }

    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

/// Passes on what clients and the daemon say to each other, and keeps it.
fn listen_in(stage: &Stage) -> Arc<Mutex<Vec<u8>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = UnixListener::bind(stage.path("tapped")).unwrap();
    let (daemon, kept) = (stage.path("tapekeyd"), heard.clone());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, daemon) = (client.unwrap(), UnixStream::connect(&daemon).unwrap());
            for (from, to) in [(&client, &daemon), (&daemon, &client)] {
                let (from, to, kept) = (from.try_clone().unwrap(), to.try_clone().unwrap(), kept.clone());
                std::thread::spawn(move || pass_on(from, to, &kept));
            }
        }
    });
    heard
}

fn pass_on(mut from: UnixStream, mut to: UnixStream, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        kept.lock().unwrap().extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Every way in which a key might be spelt.
fn spellings(key: &[u8; 32]) -> Vec<(&'static str, Vec<u8>)> {
    let hex = hex::encode(key);
    let listed = key.iter().map(ToString::to_string).collect::<Vec<_>>();
    vec![
        ("raw", key.to_vec()),
        ("lower-case hex", hex.clone().into_bytes()),
        ("upper-case hex", hex.to_uppercase().into_bytes()),
        ("base64", STANDARD.encode(key).into_bytes()),
        ("base64 without padding", STANDARD_NO_PAD.encode(key).into_bytes()),
        ("URL-safe base64", URL_SAFE.encode(key).into_bytes()),
        ("a list", listed.join(", ").into_bytes()),
        ("a dense list", listed.join(",").into_bytes()),
        ("an escaped string", key.escape_ascii().to_string().into_bytes()),
    ]
}

fn found(place: &[u8], keys: &[[u8; 32]]) -> Vec<&'static str> {
    let all = keys.iter().flat_map(spellings);
    all.filter(|(_, spelt)| place.windows(spelt.len()).any(|window| window == spelt))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn the_search_finds_every_spelling() {
    let key = [0xFB; 32];
    for (name, spelt) in spellings(&key) {
        let place = [b"before ".as_slice(), &spelt, b" after"].concat();
        assert!(found(&place, &[key]).contains(&name), "{name}");
    }
    assert!(found(b"nothing here", &[key]).is_empty());
}

#[test]
fn no_key_byte_is_where_it_does_not_belong() {
    let mut stage = Stage::new(1);
    let heard = listen_in(&stage);
    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    let tapped = stage.path("tapped");
    let mut say = |arguments: &[&str]| -> serde_json::Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tapekey"));
        let ended = Ended::of(command.arg("--socket").arg(&tapped).arg("--json").args(arguments));
        places.push((
            format!("{arguments:?}"),
            [ended.out.as_bytes(), ended.err.as_bytes()].concat(),
        ));
        serde_json::from_str(&ended.out).unwrap_or_default()
    };

    let load = say(&["load", "d1", "--pool", "ENCR_a"]);
    assert_eq!(load["outcome"], "key_loaded");
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    tape.write(b"block").unwrap();
    tape.filemark();
    say(&["status"]);
    say(&["clear", "d1"]);
    tape.rewind();
    assert_eq!(say(&["unlock", "d1"])["outcome"], "key_loaded");
    stage.sims[0].order(&serde_json::json!({ "verb": "refuse-spout", "sense": "05/26/00" }));
    say(&["load", "d1"]);
    say(&["job", "list"]);
    say(&["job", "show", "1"]);

    let programs = [
        ("tapekeyd", stage.daemon().pid()),
        ("tapekey-kms", stage.kms.pid()),
        ("sg-sim", stage.sims[0].process.pid()),
    ];
    for (name, pid) in programs {
        places.push((
            format!("{name}'s arguments"),
            std::fs::read(format!("/proc/{pid}/cmdline")).unwrap(),
        ));
        // Nobody but root may read the environment of a process that is not dumpable.
        if let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) {
            places.push((format!("{name}'s environment"), environment));
        }
    }
    places.push(("the daemon's log".into(), stage.daemon().said()));
    places.push(("the KMS's log".into(), stage.kms.said()));
    places.push(("the control socket".into(), heard.lock().unwrap().clone()));
    files(&stage.path("state"), &mut places);
    files(&stage.path("kms/store"), &mut places);
    assert!(places.len() > 12 && places.iter().all(|(_, bytes)| bytes.len() < 100_000_000));
    assert!(
        places
            .iter()
            .any(|(name, said)| name == "the control socket" && said.len() > 3000)
    );
    assert!(
        places
            .iter()
            .any(|(name, said)| name == "the daemon's log" && said.len() > 3000)
    );

    let keys = [volume_key(&stage, load["key"]["kad"].as_str().unwrap())];
    for (name, bytes) in &places {
        assert!(found(bytes, &keys).is_empty(), "{:?} in {name}", found(bytes, &keys));
    }
}

fn files(folder: &Path, places: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, places);
        } else {
            places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// The key of the volume, asked from the KMS as the daemon does.
fn volume_key(stage: &Stage, kad: &str) -> [u8; 32] {
    let mut config = ClientConfig::from_bundle(&stage.path("kms/clients/media-server-1")).unwrap();
    config.addresses = vec![stage.kms_address.parse().unwrap()];
    let clock: Arc<dyn Clock> = Arc::new(Now);
    let client = KmsClient::new(&config, &clock).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answer = runtime
        .block_on(client.restore_keys(&hex::decode(kad).unwrap(), None))
        .unwrap();
    *answer.keys[0].key.expose()
}
