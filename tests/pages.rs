//! The man pages in `docs/man` and the completions in `docs/completions` are what the command lines say of themselves.
//! `TAPEKEY_WRITE_PAGES=1 cargo test --workspace --test pages` writes them anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;

/// Every program: what it is told, and the section of its man pages.
fn programs() -> [(Command, &'static str); 4] {
    [
        (sg_sim::front::cli::command(), "1"),
        (tapekey::cli::Arguments::command(), "1"),
        (tapekey::cli::tapekeyd::DaemonArguments::command(), "8"),
        (tapekey::kms::command::Arguments::command(), "8"),
    ]
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// The page of `command` and of all that is below it, by file name.
fn add_pages(command: Command, name: &str, section: &str, pages: &mut BTreeMap<String, Vec<u8>>) {
    let below: Vec<Command> = command.get_subcommands().cloned().collect();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.display_name(name.to_owned()).version(env!("CARGO_PKG_VERSION")))
        .title(name.to_uppercase())
        .section(section)
        .render(&mut page)
        .unwrap();
    pages.insert(format!("{name}.{section}"), page);
    for verb in below
        .into_iter()
        .filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
    {
        let name = format!("{name}-{}", verb.get_name());
        add_pages(verb, &name, section, pages);
    }
}

fn man_pages() -> BTreeMap<String, Vec<u8>> {
    let mut pages = BTreeMap::new();
    for (command, section) in programs() {
        let mut command = command.disable_help_subcommand(true);
        command.build();
        let name = command.get_name().to_owned();
        add_pages(command, &name, section, &mut pages);
    }
    pages
}

/// One file for each program and shell, named as the shells look for them.
fn completions() -> BTreeMap<String, Vec<u8>> {
    let mut scripts = BTreeMap::new();
    for (mut command, _) in programs() {
        let name = command.get_name().to_owned();
        for (shell, file) in [
            (Shell::Bash, name.clone()),
            (Shell::Zsh, format!("_{name}")),
            (Shell::Fish, format!("{name}.fish")),
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, &name, &mut script);
            scripts.insert(file, script);
        }
    }
    scripts
}

/// Holds `wanted` against the files of `folder`, or writes them there where that is asked for.
fn hold_against(folder: &Path, wanted: &BTreeMap<String, Vec<u8>>) {
    if std::env::var_os("TAPEKEY_WRITE_PAGES").is_some() {
        fs::create_dir_all(folder).unwrap();
        for (name, text) in wanted {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let anew = "TAPEKEY_WRITE_PAGES=1 cargo test --workspace --test pages";
    for (name, text) in wanted {
        let kept = fs::read(folder.join(name)).unwrap_or_default();
        assert!(kept == *text, "{} is out of date: {anew}", folder.join(name).display());
    }
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            wanted.contains_key(&name),
            "{name} is of a verb that there is not: delete it"
        );
    }
}

#[test]
fn the_man_pages_are_those_of_the_command_lines() {
    let pages = man_pages();
    for page in [
        "sg-sim-serve.1",
        "tapekey.1",
        "tapekey-kms-group-create.1",
        "tapekeyd.8",
        "tapekey-kms.8",
        "tapekey-kms-serve.8",
    ] {
        assert!(pages.contains_key(page), "{page} of {:?}", pages.keys());
    }
    hold_against(&folder("man"), &pages);
}

#[test]
fn the_completions_are_those_of_the_command_lines() {
    let scripts = completions();
    assert!(String::from_utf8_lossy(&scripts["tapekey"]).contains("--json"));
    hold_against(&folder("completions"), &scripts);
}
