//! `docs/simulator-commands.md` says what the drive says of itself: no command, page or switch too many or too few.

use crate::initiator::Initiator;
use std::collections::BTreeSet;

const TEXT: &str = include_str!("../../../docs/simulator-commands.md");

/// The first cells of the tables of a section, without their heads.
fn first_cells(section: &str) -> Vec<&'static str> {
    let (_, behind) = TEXT.split_once(&format!("\n## {section}\n")).unwrap();
    let section = behind.split("\n## ").next().unwrap();
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    cells.collect()
}

/// Numbers like `02h` or `10h/01h` in a cell.
fn codes(cell: &str) -> Vec<(u8, u8)> {
    let number = |text: &str| u8::from_str_radix(text.strip_suffix('h')?, 16).ok();
    cell.split(", ")
        .filter_map(|code| match code.split_once('/') {
            Some((page, subpage)) => Some((number(page)?, number(subpage)?)),
            None => Some((number(code)?, 0)),
        })
        .collect()
}

#[test]
fn every_command_is_in_the_table_and_no_other() {
    let mut host = Initiator::with_empty_drive();
    let all = host.ask(&[0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0]).good();
    let supported: BTreeSet<String> = all[4..]
        .chunks(8)
        .map(|command| match command[5] & 1 {
            0 => format!("{:02X}", command[0]),
            _ => format!("{:02X}/{:02X}", command[0], command[3]),
        })
        .collect();
    let told: BTreeSet<String> = first_cells("Commands")
        .into_iter()
        .filter(|cell| *cell != "code")
        .map(str::to_owned)
        .collect();
    assert_eq!(told, supported);
}

#[test]
fn every_log_and_mode_page_is_in_its_table_and_no_other() {
    let mut host = Initiator::with_blank_tape();
    let pages = host.ask(&[0x4D, 0, 0x40, 0, 0, 0, 0, 1, 0, 0]).good();
    let told: BTreeSet<u8> = first_cells("Log pages")
        .into_iter()
        .flat_map(codes)
        .map(|(page, _)| page)
        .collect();
    assert_eq!(told, pages[4..].iter().copied().collect());

    let all = host.ask(&[0x5A, 8, 0x3F, 0xFF, 0, 0, 0, 4, 0, 0]).good();
    let (mut rest, mut supported) = (&all[8..], BTreeSet::new());
    while let [first, second, ..] = rest {
        let long = first & 0x40 != 0;
        supported.insert((first & 0x3F, if long { *second } else { 0 }));
        let length = if long {
            4 + usize::from(rest[3])
        } else {
            2 + usize::from(*second)
        };
        rest = &rest[length..];
    }
    let told: BTreeSet<(u8, u8)> = first_cells("Mode pages").into_iter().flat_map(codes).collect();
    assert_eq!(told, supported);
}

#[test]
fn every_switch_is_in_the_table_and_no_other() {
    let switches = toml::Value::try_from(sg_sim::Quirks {
        refuse_security_protocol_out: Some(sg_sim::SenseCode::new(5, 0x24, 0)),
        kad_padding: Some(0),
        key_associated_data_changed: Some(sg_sim::SenseCode::new(7, 0x74, 5)),
        mixing_refused: Some(sg_sim::SenseCode::new(7, 0x30, 5)),
        ..sg_sim::Quirks::default()
    })
    .unwrap();
    let supported: BTreeSet<String> = switches.as_table().unwrap().keys().cloned().collect();
    let told: BTreeSet<String> = first_cells("Switches")
        .into_iter()
        .filter(|cell| cell.starts_with('`'))
        .flat_map(|cell| cell.split(", ").map(|name| name.trim_matches('`').to_owned()))
        .collect();
    assert_eq!(told, supported);
}
