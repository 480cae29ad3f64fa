//! The lines of a kit as people type them and scanners read them: each with its kit's mark, its number and a check of its own, in any order,
//! among anything else. What is wrong or missing is named by its line.
//!
//! `K7QX 0012  ABCD … ABCD  WXYZ`: mark, number, 30 bytes as 12 groups of 4 characters, check. The check is the first 20 bits of SHA-256 of
//! `tapekey kit line`, the mark, the number (32 bits, big-endian) and the 30 bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sha2::{Digest, Sha256};

use super::KitError;
use super::base32::{decode, encode, normal};
use super::sealed::{HEAD_LENGTH, Head, SealedKit};
use crate::kad::KeyId;

/// Bytes of the kit in a line.
pub(super) const LINE_BYTES: usize = 30;

/// Characters of mark, data and check.
const MARK_LENGTH: usize = 4;
const DATA_LENGTH: usize = 48;
const CHECK_LENGTH: usize = 4;

/// Digits of a line's number, with zeros in front.
const NUMBER_LENGTH: usize = 4;
const NUMBER_LENGTH_MAX: usize = 9;

/// Characters behind the number from which on something is taken for a line that went wrong.
const DAMAGED_LENGTH_MIN: usize = 24;

/// Groups of four characters from which on something is taken for a line whose number went wrong.
const DAMAGED_GROUPS_MIN: usize = 8;

/// Problems named at most.
const PROBLEMS_MAX: usize = 30;

/// Problems kept at most, so that a flood of nonsense costs nothing.
const NOTED_MAX: usize = 10_000;

/// What is wrong with the lines given, one sentence each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

/// The four characters that tell the lines of one kit from those of another.
pub(super) fn mark(id: KeyId) -> String {
    encode(&id.0).chars().take(MARK_LENGTH).collect()
}

/// The line with that number, counted from 1, of the kit with that mark.
pub(super) fn line(mark: &str, number: u32, data: &[u8]) -> String {
    let characters = encode(data);
    let groups: Vec<&str> = (0..DATA_LENGTH / 4)
        .filter_map(|group| characters.get(group * 4..group * 4 + 4))
        .collect();
    let (left, right) = groups.split_at(groups.len() / 2);
    let (left, right, check) = (left.join(" "), right.join(" "), check(mark, number, data));
    format!("{mark} {number:0NUMBER_LENGTH$}  {left}  {right}  {check}")
}

fn check(mark: &str, number: u32, data: &[u8]) -> String {
    let digest = Sha256::new()
        .chain_update(b"tapekey kit line")
        .chain_update(mark)
        .chain_update(number.to_be_bytes())
        .chain_update(data)
        .finalize();
    encode(&digest).chars().take(CHECK_LENGTH).collect()
}

/// What one line given was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// No line of a kit: a heading, the instructions, nothing.
    Other,
    /// A line that fits its check.
    Line(u32),
    /// A line that went wrong, and how.
    Wrong(String),
}

/// Lines by their number: the bytes, and where they stood in what was given.
type Numbered = BTreeMap<u32, (Vec<u8>, u64)>;

/// Takes lines as they come.
#[derive(Default)]
pub struct Collector {
    /// By mark.
    kits: BTreeMap<String, Numbered>,
    wrong: Vec<Wrong>,
    given: u64,
}

struct Wrong {
    /// Which line of the kit, if that can be read.
    number: Option<u32>,
    given: u64,
    what: String,
    /// It fits its check, and so does another line of its number.
    conflict: bool,
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number, given, what, ..
        } = self;
        match number {
            Some(number) => write!(formatter, "line {number} (line {given} of what was given): {what}"),
            None => write!(formatter, "line {given} of what was given: {what}"),
        }
    }
}

impl Collector {
    /// Takes the next line.
    pub fn take(&mut self, text: &str) -> Given {
        self.given += 1;
        let given = self.given;
        let (number, what, conflict) = match understand(text) {
            Understood::Other => return Given::Other,
            Understood::Wrong { number, what } => (number, what, false),
            Understood::Line { mark, number, data } => {
                let lines = self.kits.entry(mark).or_default();
                let (former, at) = lines.entry(number).or_insert_with(|| (data.clone(), given));
                if *former == data {
                    return Given::Line(number);
                }
                (
                    None,
                    format!("it fits its check as line {number}, and so does another line {number}, in line {at}"),
                    true,
                )
            }
        };
        let wrong = Wrong {
            number,
            given,
            what,
            conflict,
        };
        let text = wrong.to_string();
        if self.wrong.len() < NOTED_MAX {
            self.wrong.push(wrong);
        }
        Given::Wrong(text)
    }

    /// Whether every line is there, so that a person need not say that it was the last one.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.most_of().is_some_and(|(_, lines)| {
            head_of(lines).is_ok_and(|head| {
                let count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
                count == head.lines() && lines.keys().next_back() == Some(&count)
            })
        })
    }

    /// The kit that the lines are of.
    ///
    /// # Errors
    /// [`KitError`]: which lines are wrong, missing or of another kit; or what is wrong with all of them together.
    pub fn finish(self) -> Result<SealedKit, KitError> {
        let Some((mark, lines)) = self.most_of() else {
            let problems = named(self.wrong.iter().map(Wrong::to_string).collect());
            return Err(KitError::NoLines { problems });
        };
        let head = match head_of(lines) {
            Err(error @ KitError::Newer { .. }) => return Err(error),
            head => head,
        };
        let problems = self.problems(mark, lines, head.as_ref().ok());
        if !problems.0.is_empty() {
            return Err(KitError::Lines { problems });
        }
        let bytes: Vec<u8> = lines.values().flat_map(|(data, _)| data).copied().collect();
        let kit = SealedKit::decode(&bytes)?;
        if kit.head().mark() == *mark {
            Ok(kit)
        } else {
            Err(KitError::Malformed {
                problem: "its lines have another mark than its head",
            })
        }
    }

    /// The kit of which most lines are there.
    fn most_of(&self) -> Option<(&String, &Numbered)> {
        self.kits.iter().max_by_key(|(_, lines)| lines.len())
    }

    fn problems(&self, mark: &str, lines: &Numbered, head: Option<&Head>) -> Problems {
        let mut problems = Vec::new();
        let last = lines.keys().next_back().copied().unwrap_or(0);
        // Without the head nobody knows how many there are.
        let total = head.map_or_else(|| last.max(HEAD_LINES), Head::lines);
        let missing: Vec<u32> = (1..=total)
            .filter(|number| !lines.contains_key(number))
            .take(NOTED_MAX)
            .collect();
        // Where every line is there, one that went wrong was typed again, or its number was misread; it harms nothing.
        let open = |wrong: &&Wrong| match wrong.number {
            _ if wrong.conflict => true,
            Some(number) => !missing.is_empty() && !lines.contains_key(&number),
            None => !missing.is_empty(),
        };
        problems.extend(self.wrong.iter().filter(open).map(Wrong::to_string));
        let named_above: BTreeSet<u32> = self.wrong.iter().filter_map(|wrong| wrong.number).collect();
        let lost: Vec<u32> = missing
            .into_iter()
            .filter(|number| !named_above.contains(number))
            .collect();
        if !lost.is_empty() {
            let of = match head {
                Some(_) => format!(" of {total}"),
                None => "; how many there are is in lines 1 to 3".to_owned(),
            };
            problems.push(format!("missing: line {}{of}", ranges(&lost)));
        }
        for (number, (_, given)) in lines.range(total.saturating_add(1)..) {
            problems.push(format!(
                "line {number} (line {given} of what was given): the kit has {total} lines only"
            ));
        }
        for (other, others) in self.kits.iter().filter(|(other, _)| *other != mark) {
            let shown = others.iter().take(PROBLEMS_MAX);
            problems.extend(shown.map(|(number, (_, given))| {
                format!("line {given} of what was given: it is line {number} of kit {other}, most are of kit {mark}")
            }));
        }
        named(problems)
    }
}

/// Lines that the head stands in.
const HEAD_LINES: u32 = 3;
const _: () = assert!(HEAD_LENGTH <= LINE_BYTES * 3);

fn head_of(lines: &Numbered) -> Result<Head, KitError> {
    let first = (1..=HEAD_LINES).map_while(|number| lines.get(&number));
    let bytes: Vec<u8> = first.flat_map(|(data, _)| data).copied().collect();
    Head::decode(&bytes)
}

fn named(mut problems: Vec<String>) -> Problems {
    let more = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    Problems(problems)
}

/// `3, 7 to 9`.
fn ranges(numbers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.saturating_add(1) == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let shown = runs.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first} to {last}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

enum Understood {
    Other,
    Line { mark: String, number: u32, data: Vec<u8> },
    Wrong { number: Option<u32>, what: String },
}

fn understand(text: &str) -> Understood {
    // Whatever is no letter or digit stands between groups.
    let groups: Vec<String> = text
        .split(|character: char| !character.is_alphanumeric())
        .filter(|group| !group.is_empty())
        .map(|group| {
            group
                .chars()
                .map(|character| normal(character).unwrap_or('?'))
                .collect()
        })
        .collect();
    let whole = groups.concat();
    match Parts::of(&whole, digits(&groups, whole.len())) {
        Some(parts) => parts.checked(),
        None => damaged(&groups),
    }
}

/// How many digits the number has: as it stands there, or, where groups run together, what the length leaves for it.
fn digits(groups: &[String], length: usize) -> usize {
    match groups {
        [mark, number, ..] if mark.len() == MARK_LENGTH && is_number(number) => number.len(),
        _ => length.saturating_sub(MARK_LENGTH + DATA_LENGTH + CHECK_LENGTH),
    }
}

/// Four digits, or more without a zero in front.
fn is_number(text: &str) -> bool {
    let length = text.len() == NUMBER_LENGTH || (text.len() > NUMBER_LENGTH && !text.starts_with('0'));
    length && text.len() <= NUMBER_LENGTH_MAX && text.bytes().all(|byte| byte.is_ascii_digit())
}

struct Parts<'a> {
    mark: &'a str,
    number: u32,
    data: &'a str,
    check: &'a str,
}

impl<'a> Parts<'a> {
    fn of(whole: &'a str, digits: usize) -> Option<Self> {
        let (mark, rest) = whole.split_at_checked(MARK_LENGTH)?;
        let (number, rest) = rest.split_at_checked(digits)?;
        let (data, check) = rest.split_at_checked(DATA_LENGTH)?;
        let number = number.parse().ok().filter(|value| *value > 0 && is_number(number))?;
        (check.len() == CHECK_LENGTH).then_some(Self {
            mark,
            number,
            data,
            check,
        })
    }

    fn checked(&self) -> Understood {
        let number = self.number;
        let fits = decode(self.data).filter(|data| check(self.mark, number, data) == self.check);
        match fits {
            Some(data) => Understood::Line {
                mark: self.mark.to_owned(),
                number,
                data,
            },
            None => Understood::Wrong {
                number: Some(number),
                what: "it does not fit the check at its end: a character in it is wrong".to_owned(),
            },
        }
    }
}

/// Something of another length: a line that went wrong, or none at all.
fn damaged(groups: &[String]) -> Understood {
    let is_group = |group: &&String| group.len() == MARK_LENGTH && decode(group).is_some();
    if let [mark, number, rest @ ..] = groups
        && is_group(&mark)
        && is_number(number)
        && let Ok(number) = number.parse::<u32>()
    {
        let length = rest.concat().len();
        let wanted = DATA_LENGTH + CHECK_LENGTH;
        if length >= DAMAGED_LENGTH_MIN {
            let what = format!("it has {length} characters behind its number, not {wanted}");
            return Understood::Wrong {
                number: Some(number),
                what,
            };
        }
    }
    if groups.iter().filter(is_group).count() >= DAMAGED_GROUPS_MIN {
        return Understood::Wrong {
            number: None,
            what: "it looks like a line of a kit, but its number cannot be read".to_owned(),
        };
    }
    Understood::Other
}

#[cfg(test)]
mod tests;
