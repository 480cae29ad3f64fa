//! Which faults strike which command: counts commands, draws lots, and makes a plan for each.

use super::{Fault, FaultRule, When};
use crate::{ItNexus, Randomness, SeededRandomness};
use std::{fmt, time::Duration};

/// Faults that are set up, with their counters.
#[derive(Debug)]
pub struct Faults {
    rules: Vec<Armed>,
    lots: SeededRandomness,
    commands: u64,
}

#[derive(Debug)]
struct Armed {
    number: usize,
    rule: FaultRule,
    /// How many commands met all conditions up to `nth`.
    met: u64,
    /// How often it still strikes; None for ever.
    left: Option<u32>,
}

/// What goes wrong with one command.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    pub(super) faults: Vec<Fault>,
    /// Blocks of the command before the one that cannot be read or written.
    pub(super) blocks_before: u64,
    struck: Vec<Struck>,
}

/// A fault that strikes, for a person to read and to repeat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Struck {
    /// Number of the command, from 1.
    pub command: u64,
    /// Number of the fault, from 1 in the order in which they were set up.
    pub rule: usize,
    /// Operation code of the command.
    pub opcode: u8,
    /// What happens.
    pub fault: Fault,
}

impl fmt::Display for Struck {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            command,
            rule,
            opcode,
            fault,
        } = self;
        // The words of the script; a fault that could not be written as JSON could not have been read either.
        let words = serde_json::to_string(fault).unwrap_or_default();
        write!(out, "fault {rule} at command {command} ({opcode:02X}h): {words}")
    }
}

/// One command, as conditions see it.
struct Seen<'a> {
    number: u64,
    unit: usize,
    nexus: &'a ItNexus,
    cdb: &'a [u8],
    position: u64,
}

impl Faults {
    /// No fault yet; lots will be drawn from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            rules: Vec::new(),
            lots: SeededRandomness::new(seed),
            commands: 0,
        }
    }

    /// Sets up one more fault, and gives its number. [`FaultRule::check`] says whether it makes sense.
    pub fn arm(&mut self, rule: FaultRule) -> usize {
        let number = self.rules.last().map_or(1, |last| last.number + 1);
        let left = if rule.always {
            None
        } else {
            Some(rule.times.unwrap_or(1))
        };
        self.rules.push(Armed {
            number,
            rule,
            met: 0,
            left,
        });
        number
    }

    /// Takes back every fault.
    pub fn disarm(&mut self) {
        self.rules.clear();
    }

    /// How many faults may still strike.
    #[must_use]
    pub fn armed(&self) -> usize {
        self.rules.iter().filter(|armed| armed.left != Some(0)).count()
    }

    /// How many commands were planned.
    #[must_use]
    pub const fn commands(&self) -> u64 {
        self.commands
    }

    /// Counts a command to `unit` and says what goes wrong with it. `position` is the object before the head.
    pub fn plan(&mut self, unit: usize, nexus: &ItNexus, cdb: &[u8], position: u64) -> Plan {
        self.commands = self.commands.saturating_add(1);
        let seen = Seen {
            number: self.commands,
            unit,
            nexus,
            cdb,
            position,
        };
        let mut plan = Plan::default();
        for armed in &mut self.rules {
            if armed.strikes(&seen, &mut self.lots) {
                plan.add(armed, &seen);
            }
        }
        plan
    }
}

impl Plan {
    /// Nothing goes wrong.
    #[must_use]
    pub const fn is_harmless(&self) -> bool {
        self.faults.is_empty()
    }

    /// How long the command is to wait before it is executed.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.faults.iter().fold(Duration::ZERO, |sum, fault| match fault {
            Fault::Slow { milliseconds } => sum.saturating_add(Duration::from_millis(*milliseconds)),
            _ => sum,
        })
    }

    /// The drive hangs from this command on.
    #[must_use]
    pub fn hangs(&self) -> bool {
        self.faults.contains(&Fault::Hang {})
    }

    /// What struck, to be reported.
    #[must_use]
    pub fn struck(&self) -> &[Struck] {
        &self.struck
    }

    fn add(&mut self, armed: &Armed, seen: &Seen<'_>) {
        if let Some(block) = armed.rule.at.block {
            self.blocks_before = block.saturating_sub(seen.position);
        }
        self.faults.push(armed.rule.r#do.clone());
        self.struck.push(Struck {
            command: seen.number,
            rule: armed.number,
            opcode: seen.cdb.first().copied().unwrap_or(0),
            fault: armed.rule.r#do.clone(),
        });
    }
}

impl Armed {
    fn strikes(&mut self, seen: &Seen<'_>, lots: &mut SeededRandomness) -> bool {
        if self.left == Some(0) || !holds(&self.rule.at, seen) {
            return false;
        }
        self.met = self.met.saturating_add(1);
        if self.rule.at.nth.is_some_and(|nth| self.met < nth) {
            return false;
        }
        if self.rule.at.chance.is_some_and(|chance| !drawn(chance, lots)) {
            return false;
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        true
    }
}

fn holds(at: &When, seen: &Seen<'_>) -> bool {
    let opcode = seen.cdb.first().copied();
    at.command.is_none_or(|number| number == seen.number)
        && at.opcode.is_none_or(|code| Some(code) == opcode)
        && at.page.is_none_or(|page| Some(page) == security_page(seen.cdb))
        && at.unit.is_none_or(|unit| unit == seen.unit)
        && at.nexus.as_ref().is_none_or(|name| name == seen.nexus.name())
        && at.block.is_none_or(|block| comes_to(seen.cdb, seen.position, block))
}

/// Page code of SECURITY PROTOCOL IN and OUT.
const fn security_page(cdb: &[u8]) -> Option<u16> {
    match cdb {
        [0xA2 | 0xB5, _, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// Whether READ(6), WRITE(6) or VERIFY(6) at `position` comes to object `block`.
fn comes_to(cdb: &[u8], position: u64, block: u64) -> bool {
    let [0x08 | 0x0A | 0x13, flags, high, middle, low, ..] = cdb else {
        return false;
    };
    let length = u64::from(u32::from_be_bytes([0, *high, *middle, *low]));
    let blocks = if flags & 1 == 0 { length.min(1) } else { length };
    (position..position.saturating_add(blocks)).contains(&block)
}

/// Draws a lot that wins with this probability.
fn drawn(chance: f64, lots: &mut SeededRandomness) -> bool {
    let mut bytes = [0; 4];
    lots.fill(&mut bytes);
    // Of 2^32 lots, so many win: 32 bits fit into a double exactly.
    f64::from(u32::from_be_bytes(bytes)) < chance * 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: [u8; 6] = [0x08, 0, 0, 0, 1, 0];
    const WRITE_FIXED: [u8; 6] = [0x0A, 1, 0, 0, 4, 0];

    fn rule(at: When, times: Option<u32>, always: bool) -> FaultRule {
        FaultRule {
            at,
            r#do: Fault::Reset {},
            times,
            always,
        }
    }

    /// Which of `count` equal commands a fault strikes.
    fn struck(rule: FaultRule, cdb: &[u8], count: u64) -> Vec<u64> {
        let nexus = ItNexus::new("host1").unwrap();
        let mut faults = Faults::new(1);
        faults.arm(rule);
        let plans = (1..=count).map(|number| (number, faults.plan(0, &nexus, cdb, 0)));
        plans
            .filter(|(_, plan)| !plan.is_harmless())
            .map(|(number, _)| number)
            .collect()
    }

    #[test]
    fn strikes_once_at_the_next_command_without_a_condition() {
        assert_eq!(struck(rule(When::default(), None, false), &READ, 5), [1]);
        assert_eq!(struck(rule(When::default(), Some(2), false), &READ, 5), [1, 2]);
        assert_eq!(struck(rule(When::default(), None, true), &READ, 3), [1, 2, 3]);
    }

    #[test]
    fn counts_commands_and_those_that_meet_its_conditions() {
        let command = When {
            command: Some(3),
            ..When::default()
        };
        assert_eq!(struck(rule(command, None, true), &READ, 5), [3]);
        let nth = When {
            opcode: Some(0x08),
            nth: Some(2),
            ..When::default()
        };
        assert_eq!(struck(rule(nth.clone(), Some(2), false), &READ, 5), [2, 3]);
        assert!(struck(rule(nth, None, false), &WRITE_FIXED, 5).is_empty());
    }

    #[test]
    fn finds_the_block_among_those_of_the_command() {
        for (block, expected) in [(0, true), (3, true), (4, false)] {
            assert_eq!(comes_to(&WRITE_FIXED, 0, block), expected);
        }
        assert!(comes_to(&READ, 7, 7) && !comes_to(&READ, 7, 8));
        assert!(
            !comes_to(&[0x08, 0, 0, 0, 0, 0], 7, 7),
            "a length of zero reads nothing"
        );
        assert!(!comes_to(&[0x01, 0, 0, 0, 1, 0], 0, 0));
    }

    #[test]
    fn tells_pages_and_nexuses_apart() {
        let at = |page, nexus: &str| When {
            page: Some(page),
            nexus: Some(nexus.to_owned()),
            ..When::default()
        };
        let spin = [0xA2, 0x20, 0x00, 0x21, 0, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(struck(rule(at(0x21, "host1"), None, false), &spin, 2), [1]);
        assert!(struck(rule(at(0x20, "host1"), None, false), &spin, 2).is_empty());
        assert!(struck(rule(at(0x21, "host2"), None, false), &spin, 2).is_empty());
    }

    #[test]
    fn tells_units_apart() {
        let mut faults = Faults::new(1);
        let at = When {
            unit: Some(1),
            ..When::default()
        };
        faults.arm(rule(at, None, false));
        let nexus = ItNexus::new("host1").unwrap();
        assert!(faults.plan(0, &nexus, &READ, 0).is_harmless());
        assert!(!faults.plan(1, &nexus, &READ, 0).is_harmless());
    }

    #[test]
    fn draws_the_same_lots_from_the_same_seed_and_about_as_many_as_it_should() {
        let at = || When {
            chance: Some(0.25),
            ..When::default()
        };
        let first = struck(rule(at(), None, true), &READ, 400);
        assert_eq!(first, struck(rule(at(), None, true), &READ, 400));
        assert!((60..140).contains(&first.len()), "{}", first.len());
        let never = When {
            chance: Some(0.0),
            ..When::default()
        };
        assert!(struck(rule(never, None, true), &READ, 100).is_empty());
        let ever = When {
            chance: Some(1.0),
            ..When::default()
        };
        assert_eq!(struck(rule(ever, None, true), &READ, 100).len(), 100);
    }

    #[test]
    fn a_fault_that_was_taken_back_strikes_no_more() {
        let mut faults = Faults::new(1);
        assert_eq!(faults.arm(rule(When::default(), None, true)), 1);
        assert_eq!((faults.arm(rule(When::default(), None, false)), faults.armed()), (2, 2));
        let nexus = ItNexus::new("host1").unwrap();
        assert_eq!(faults.plan(0, &nexus, &READ, 0).struck().len(), 2);
        assert_eq!(faults.armed(), 1);
        faults.disarm();
        assert!(faults.plan(0, &nexus, &READ, 0).is_harmless());
        assert_eq!(faults.commands(), 2);
    }
}
