//! Lines as people and scanners give them back.

use proptest::prelude::*;

use super::super::tests::sealed;
use super::*;

fn lines_of(kit: &SealedKit) -> Vec<String> {
    let bytes = kit.encode();
    let mark = kit.head().mark();
    let numbered = bytes.chunks(LINE_BYTES).zip(1..);
    numbered.map(|(data, number)| line(&mark, number, data)).collect()
}

fn other_kit() -> SealedKit {
    let mut bytes = sealed().encode();
    bytes[16..32].fill(0x11);
    let end = bytes.len() - trailing_zeros(&bytes);
    let check: [u8; 32] = Sha256::digest(&bytes[..end - 8]).into();
    bytes[end - 8..end].copy_from_slice(&check[..8]);
    SealedKit::decode(&bytes).unwrap()
}

fn trailing_zeros(bytes: &[u8]) -> usize {
    let length = 96 + usize::try_from(u32::from_be_bytes(bytes[64..68].try_into().unwrap())).unwrap() + 8;
    bytes.len() - length
}

fn read<T: AsRef<str>>(given: impl IntoIterator<Item = T>) -> Result<SealedKit, KitError> {
    let mut collector = Collector::default();
    for text in given {
        collector.take(text.as_ref());
    }
    collector.finish()
}

fn said<T: AsRef<str>>(given: impl IntoIterator<Item = T>) -> String {
    read(given).unwrap_err().to_string()
}

#[test]
fn order_case_look_alikes_spaces_and_headings_do_not_matter() {
    let mut lines = lines_of(&sealed());
    lines.reverse();
    let sloppy = lines.iter().enumerate().map(|(index, line)| match index % 4 {
        0 => line.to_lowercase(),
        1 => line
            .replace('0', "O")
            .replace('1', if index % 3 == 0 { "l" } else { "I" }),
        2 => line.replace(' ', ""),
        _ => format!("\x0c | {} .", line.replace(' ', "-").replace('V', "u")),
    });
    let with_headings = [
        "TAPEKEY RECOVERY KIT, mark MPJT   page 2 of 9, lines 1 to 50 of 80".to_owned(),
        String::new(),
    ]
    .into_iter()
    .chain(sloppy)
    .chain([lines[3].clone()]);
    assert_eq!(read(with_headings).unwrap(), sealed());
}

#[test]
fn a_collector_knows_when_nothing_is_missing_any_more() {
    let lines = lines_of(&sealed());
    let mut collector = Collector::default();
    for line in lines.iter().rev() {
        assert!(!collector.is_complete());
        assert!(matches!(collector.take(line), Given::Line(_)));
    }
    assert!(collector.is_complete());
}

#[test]
fn each_missing_line_is_named() {
    let lines = lines_of(&sealed());
    for missing in 0..lines.len() {
        let given = lines.iter().enumerate().filter(|(index, _)| *index != missing);
        let text = said(given.map(|(_, line)| line));
        let number = missing + 1;
        let named = if number <= 3 {
            format!("missing: line {number};")
        } else {
            format!("missing: line {number} of {}", lines.len())
        };
        assert!(text.contains(&named), "{text}");
    }
    assert!(said(&lines[..1]).contains("missing: line 2 to 3; how many there are is in lines 1 to 3"));
    assert!(said(&lines[..4]).contains(&format!("missing: line 5 to {} of {}", lines.len(), lines.len())));
}

#[test]
fn each_wrong_character_is_named_by_its_line_and_a_right_one_heals_it() {
    let lines = lines_of(&sealed());
    for (index, right) in lines.iter().enumerate() {
        let mut wrong = lines.clone();
        let at = 14 + index % 60;
        let at = if right.as_bytes()[at] == b' ' { at + 1 } else { at };
        let at = if right.as_bytes()[at] == b' ' { at + 1 } else { at };
        let other = if &right[at..=at] == "7" { "8" } else { "7" };
        wrong[index].replace_range(at..=at, other);
        let text = said(&wrong);
        let number = index + 1;
        let named = format!("line {number} (line {number} of what was given): it does not fit the check");
        assert!(text.contains(&named), "{text}");
        wrong.push(right.clone());
        assert_eq!(read(&wrong).unwrap(), sealed());
    }
    let misread = lines[0].replacen("0001", "7001", 1);
    assert!(said([&lines[1..], std::slice::from_ref(&misread)].concat()).contains("line 7001"));
    assert_eq!(read([&lines[..], &[misread]].concat()).unwrap(), sealed());
}

#[test]
fn characters_too_many_or_too_few_and_lost_numbers_are_named() {
    let lines = lines_of(&sealed());
    let with = |text: String| {
        let mut given = lines.clone();
        given[6] = text;
        said(given)
    };
    let seventh = &lines[6];
    assert!(
        with(format!("{seventh}X"))
            .contains("line 7 (line 7 of what was given): it has 53 characters behind its number, not 52")
    );
    assert!(with(seventh[..seventh.len() - 1].to_owned()).contains("it has 51 characters behind its number"));
    let numberless = format!("{} {}", &seventh[..4], &seventh[11..]);
    let text = with(numberless);
    assert!(
        text.contains("line 7 of what was given: it looks like a line of a kit, but its number"),
        "{text}"
    );
    assert!(text.contains("missing: line 7 of"), "{text}");
}

#[test]
fn two_kits_are_told_apart() {
    let (lines, other) = (lines_of(&sealed()), lines_of(&other_kit()));
    let mut mixed = lines.clone();
    mixed[4] = other[4].clone();
    let text = said(&mixed);
    let mark = other_kit().head().mark();
    assert!(text.contains("missing: line 5 of"), "{text}");
    assert!(
        text.contains(&format!("line 5 of what was given: it is line 5 of kit {mark}")),
        "{text}"
    );
    let both = said(lines.iter().chain(&other));
    assert!(both.contains("of kit"), "{both}");
}

#[test]
fn lines_behind_the_end_and_two_of_one_number_are_named() {
    let kit = sealed();
    let lines = lines_of(&kit);
    let count = u32::try_from(lines.len()).unwrap();
    let extra = line(&kit.head().mark(), count + 3, &[1; LINE_BYTES]);
    assert!(said(lines.iter().chain([&extra])).contains(&format!("the kit has {count} lines only")));
    let forged = line(&kit.head().mark(), 5, &[1; LINE_BYTES]);
    assert!(said(lines.iter().chain([&forged])).contains("it fits its check as line 5, and so does another line 5"));
}

#[test]
fn nothing_and_a_newer_kit_are_said_to_be_that() {
    assert!(matches!(
        read(["", "Dear stranger,", "1234"]),
        Err(KitError::NoLines { .. })
    ));
    let mut bytes = sealed().encode();
    bytes[3] = 9;
    let mark = sealed().head().mark();
    let newer = bytes
        .chunks(LINE_BYTES)
        .zip(1..)
        .map(|(data, number)| line(&mark, number, data));
    assert!(matches!(read(newer), Err(KitError::Newer { found: 9, known: 1 })));
}

#[test]
fn problems_are_named_in_bounds() {
    let mark = sealed().head().mark();
    let far = line(&mark, 999_999_999, &[1; LINE_BYTES]);
    let garbage =
        (0..50_000).map(|number| format!("{mark} {:04}  ABCD EFGH ABCD EFGH ABCD EFGH ABCD", number % 9000 + 1));
    let text = said(garbage.chain([far]));
    assert!(text.lines().count() < 40, "{text}");
}

proptest! {
    #[test]
    fn whatever_is_given_nothing_panics(given in prop::collection::vec(".{0,120}", 0..20)) {
        let _ = read(given);
    }

    #[test]
    fn a_damaged_kit_is_never_read_as_another_one(line_index in 0_usize..1000, at in 0_usize..100, put in "[ -~]{0,3}") {
        let mut lines = lines_of(&sealed());
        let index = line_index % lines.len();
        let at = at % lines[index].len();
        lines[index].replace_range(at..=at, &put);
        if let Ok(read) = read(lines) {
            prop_assert_eq!(read, sealed());
        }
    }
}
