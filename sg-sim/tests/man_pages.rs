//! The man pages in `docs/man` are what the command line says of itself. `SG_SIM_WRITE_MAN=1 cargo test -p sg-sim --test man_pages` writes them anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man")
}

/// The page of `command` and those of its subcommands, with their file names.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut whole = sg_sim::front::cli::command().disable_help_subcommand(true);
    whole.build();
    let verbs = whole.get_subcommands().cloned().collect::<Vec<_>>();
    let named = |command: clap::Command, name: String| {
        let mut page = Vec::new();
        clap_mangen::Man::new(command.version("0.1.0"))
            .title(name.to_uppercase())
            .render(&mut page)
            .unwrap();
        (format!("{name}.1"), page)
    };
    let verbs = verbs.into_iter().map(|verb| {
        let name = format!("sg-sim-{}", verb.get_name());
        named(verb.display_name(name.clone()), name)
    });
    std::iter::once(named(whole.clone(), "sg-sim".to_owned()))
        .chain(verbs)
        .collect()
}

#[test]
fn the_man_pages_are_those_of_this_command_line() {
    let pages = pages();
    assert!(pages.len() > 5, "a page for the program and one for each verb");
    if std::env::var_os("SG_SIM_WRITE_MAN").is_some() {
        fs::create_dir_all(folder()).unwrap();
        for (name, page) in &pages {
            fs::write(folder().join(name), page).unwrap();
        }
    }
    for (name, page) in &pages {
        let kept = fs::read(folder().join(name)).unwrap_or_default();
        assert!(
            kept == *page,
            "docs/man/{name} is out of date: SG_SIM_WRITE_MAN=1 cargo test -p sg-sim --test man_pages"
        );
    }
    let kept = fs::read_dir(folder()).unwrap().count();
    assert_eq!(kept, pages.len(), "docs/man holds a page of a verb that there is not");
}
