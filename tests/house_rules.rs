//! The rules of the house, read from the source text itself. A rule nobody tests is a wish.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which rooms a room of the root package may import. `kad` and `secret` may be imported by all.
const ARROWS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("entropy", &[]),
    ("secret", &["entropy"]),
    ("journal", &[]),
    ("systemd", &[]),
    ("kad", &[]),
    ("passphrase", &["entropy"]),
    ("terminal", &["passphrase", "entropy"]),
    ("scsi", &[]),
    ("transport", &[]),
    ("discovery", &["scsi"]),
    ("drive", &["scsi", "transport"]),
    ("gate", &["transport"]),
    ("library", &["scsi", "transport"]),
    ("kms_api", &[]),
    ("kms_client", &["kms_api", "clock"]),
    ("keysource", &["kms_client", "kms_api"]),
    (
        "kms",
        &[
            "kms_api",
            "clock",
            "entropy",
            "journal",
            "passphrase",
            "systemd",
            "terminal",
        ],
    ),
    ("config", &[]),
    (
        "controller",
        &["discovery", "drive", "library", "gate", "keysource", "clock"],
    ),
    ("control", &["controller"]),
    (
        "cli",
        &[
            "control",
            "config",
            "kms_client",
            "kms_api",
            "clock",
            "entropy",
            "terminal",
        ],
    ),
];

/// Files in which `unsafe` may stand.
const UNSAFE_ALLOWED: &[&str] = &[
    "src/transport/sg_io.rs",
    "src/transport/st_node.rs",
    "src/secret.rs",
    "sg-sim/src/front/",
];

const LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All `.rs` files below `folder`, with their path relative to the root and their text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!files.is_empty(), "no sources below {folder}");
    files
}

fn both_packages() -> Vec<(String, String)> {
    [sources("src"), sources("sg-sim/src")].concat()
}

/// The lines of a file that are code: no comment lines, nothing from the unit tests on.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Fails with every line of code, outside the places allowed, that holds one of `words`.
fn forbid(files: &[(String, String)], words: &[&str], allowed: &[&str], why: &str) {
    let mut found = Vec::new();
    for (name, text) in files
        .iter()
        .filter(|(name, _)| !allowed.iter().any(|place| name.starts_with(place)))
    {
        for (number, line) in code(text).filter(|(_, line)| words.iter().any(|word| line.contains(word))) {
            found.push(format!("{name}:{number}: {}", line.trim()));
        }
    }
    assert!(found.is_empty(), "{why}:\n{}", found.join("\n"));
}

#[test]
fn arrows_between_rooms_point_one_way_and_each_is_used() {
    let rooms: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for (name, text) in sources("src") {
        let room = name
            .trim_start_matches("src/")
            .split('/')
            .next()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        // Unit tests in files of their own may look anywhere, as those at the end of a file may.
        if matches!(room.as_str(), "bin" | "lib") || name.contains("/tests/") || name.ends_with("/tests.rs") {
            continue;
        }
        let Some((_, may_import)) = ARROWS.iter().find(|(known, _)| *known == room) else {
            panic!("{name} is in a room that the table of arrows does not know");
        };
        for (number, line) in code(&text) {
            for import in line.split("crate::").skip(1) {
                let imported: String = import
                    .chars()
                    .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                    .collect();
                let fine = imported == room
                    || matches!(imported.as_str(), "kad" | "secret")
                    || may_import.contains(&imported.as_str());
                if rooms.contains(imported.as_str()) && !fine {
                    wrong.push(format!("{name}:{number}: {room} may not import {imported}"));
                }
                used.insert((room.clone(), imported));
            }
            assert!(
                !line.contains("use crate::{"),
                "{name}:{number}: one `use crate::room` a line, so that arrows can be read"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (room, may_import) in ARROWS {
        for imported in *may_import {
            let arrow = ((*room).to_owned(), (*imported).to_owned());
            assert!(
                used.contains(&arrow),
                "{room} does not import {imported}: narrow the table"
            );
        }
    }
}

#[test]
fn no_arrow_of_the_table_closes_a_circle() {
    fn reaches(from: &str, to: &str) -> bool {
        let (_, imports) = ARROWS.iter().find(|(room, _)| *room == from).unwrap();
        imports.iter().any(|room| *room == to || reaches(room, to))
    }
    for (room, _) in ARROWS {
        assert!(!reaches(room, room), "{room} reaches itself");
    }
}

#[test]
fn unsafe_stands_only_where_the_kernel_needs_pointers() {
    let words = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe_code"];
    forbid(
        &both_packages(),
        &words,
        UNSAFE_ALLOWED,
        "unsafe outside the places allowed",
    );
}

#[test]
fn time_and_randomness_come_from_outside() {
    let words = [
        "Instant::now",
        "SystemTime::now",
        "now_utc",
        "now_local",
        "getrandom::",
        "OsRng",
        "rand::",
    ];
    forbid(
        &sources("src"),
        &words,
        &["src/bin/"],
        "only src/bin makes the real clock and the real randomness",
    );
    forbid(
        &sources("sg-sim/src"),
        &words,
        &["sg-sim/src/main.rs"],
        "only the program makes the real clock and the real randomness",
    );
}

#[test]
fn only_the_command_line_prints() {
    let words = ["println!", "print!(", "eprint"];
    forbid(
        &both_packages(),
        &words,
        &["src/cli/", "src/bin/", "sg-sim/src/main.rs"],
        "printing outside the command line",
    );
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["todo!", "unimplemented!", "dbg!", "FIXME", "TODO", "#[ignore"];
    let mut files = both_packages();
    files.extend(
        sources("tests")
            .into_iter()
            .filter(|(name, _)| name != "tests/house_rules.rs"),
    );
    forbid(&files, &words, &[], "left for later");
}

#[test]
fn every_file_is_short_and_says_what_it_is_for() {
    for (name, text) in both_packages() {
        assert!(text.starts_with("//! "), "{name} does not begin with what it is for");
        assert!(
            text.lines().count() <= LINES_MAX,
            "{name} has more than {LINES_MAX} lines"
        );
    }
}

#[test]
fn types_that_hold_a_plain_key_cannot_be_shown_or_copied() {
    let text = fs::read_to_string(root().join("src/secret.rs")).unwrap();
    for holder in ["pub struct DataKey(", "pub struct SealingKey("] {
        let before = text.split(holder).next().unwrap();
        assert_ne!(before, text, "{holder} is gone");
        let attributes: Vec<_> = before
            .lines()
            .rev()
            .take_while(|line| line.starts_with("///") || line.starts_with("#["))
            .collect();
        assert!(
            !attributes.iter().any(|line| line.starts_with("#[derive")),
            "{holder} derives something"
        );
    }
    for shown in ["for DataKey", "for SealingKey"] {
        for (number, line) in code(&text).filter(|(_, line)| line.contains(shown)) {
            let harmless = ["impl PartialEq", "impl Eq", "impl Drop"]
                .iter()
                .any(|kind| line.starts_with(kind));
            assert!(harmless, "src/secret.rs:{number}: {line}");
        }
    }
}

#[test]
fn the_simulator_shares_nothing_with_the_root_package() {
    let manifest = fs::read_to_string(root().join("sg-sim/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    assert!(
        !manifest.contains_key("target"),
        "a place for dependencies that is not looked at here"
    );
    for (name, dependency) in kinds
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_table())
        .flatten()
    {
        assert!(dependency.get("path").is_none(), "sg-sim depends on a folder: {name}");
    }
    let root_manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (programs, tests) = root_manifest.split_once("[dev-dependencies]").unwrap();
    assert!(
        !programs.contains("sg-sim =") && tests.contains("sg-sim ="),
        "only tests may see the simulator"
    );
    forbid(
        &sources("sg-sim/src"),
        &["tapekey::"],
        &[],
        "sg-sim imports from the root package",
    );
    forbid(
        &sources("src"),
        &["sg_sim::"],
        &[],
        "the root package imports from sg-sim",
    );
}

#[test]
fn every_vector_says_where_it_comes_from() {
    let mut folders = vec![root().join("tests/vectors")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let vectors: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                let origin = vectors
                    .get("about")
                    .or_else(|| vectors.get("origin"))
                    .and_then(|value| value.as_str());
                assert!(
                    origin.is_some_and(|origin| origin.len() > 20),
                    "{}: no `about` or `origin`",
                    path.display()
                );
                count += 1;
            }
        }
    }
    assert!(count >= 3);
}

/// What the workspace really builds from, tests included: name, where it comes from, licence.
fn packages() -> Vec<[String; 3]> {
    let arguments = [
        "tree",
        "--locked",
        "--workspace",
        "--edges",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}|{l}",
    ];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: BTreeSet<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let packages: Vec<_> = lines
        .iter()
        .filter_map(|line| line.trim_end_matches(" (*)").split_once('|'))
        .map(|(package, licence)| {
            let (name, version_and_place) = package.split_once(' ').unwrap();
            [name, version_and_place, licence].map(str::to_owned)
        })
        .collect();
    assert!(
        packages.len() > 100,
        "cargo tree names only {} packages",
        packages.len()
    );
    packages
}

#[test]
fn every_dependency_has_a_permissive_licence_and_comes_from_the_registry() {
    let deny: toml::Value = toml::from_str(&fs::read_to_string(root().join(".deny.toml")).unwrap()).unwrap();
    let allowed: Vec<_> = deny["licenses"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .map(|licence| licence.as_str().unwrap())
        .collect();
    for [name, version_and_place, licence] in packages() {
        if matches!(name.as_str(), "tapekey" | "sg-sim") {
            continue;
        }
        let place = version_and_place.split_once(' ').map_or("", |(_, place)| place);
        assert!(
            matches!(place, "" | "(proc-macro)"),
            "{name} does not come from the registry: {place}"
        );
        let licence = licence.replace(['(', ')'], " ").replace('/', " OR ");
        let every_part = licence
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|choice| allowed.contains(&choice.trim())));
        assert!(every_part, "{name} has licence {licence}");
    }
}

#[test]
fn no_system_library_is_linked_and_the_chosen_packages_are_used() {
    let packages = packages();
    for banned in ["openssl-sys", "native-tls", "libudev-sys", "ring"] {
        assert!(
            !packages.iter().any(|[name, ..]| name == banned),
            "{banned} is in the tree"
        );
    }
    let everything: String = sources("src").into_iter().map(|(_, text)| text).collect();
    for used in [
        "nix::",
        "libc::",
        "tokio::",
        "serde::",
        "reqwest::",
        "aes_gcm::",
        "bitflags",
        "tracing::",
        "mockall::",
    ] {
        assert!(everything.contains(used), "{used} is not used");
    }
}
