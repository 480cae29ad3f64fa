//! A script of faults, and one fault with its conditions, as TOML files and the control socket write them.

use super::{FaultRuleError, FaultScriptError};
use crate::{ItNexus, LibraryManaged, SenseCode};
use serde::{Deserialize, Serialize};
use std::{fs, num::NonZeroU8, path::Path};

/// A script: faults, and the seed of everything random in them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FaultScript {
    /// Seed, if the script fixes one.
    pub seed: Option<u64>,
    /// The faults. Of several that strike one command, what happens first happens first, and the first answer counts.
    #[serde(default)]
    pub fault: Vec<FaultRule>,
}

/// One fault: when, what, how often.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FaultRule {
    /// When it strikes; without any condition, at the next command.
    #[serde(default)]
    pub at: When,
    /// What happens.
    pub r#do: Fault,
    /// How often; once if neither this nor `always` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Whenever its conditions hold.
    #[serde(default)]
    pub always: bool,
}

/// Conditions, all of which must hold.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct When {
    /// The command with this number, counted from 1 for all commands of all nexuses since the faults were set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<u64>,
    /// A command with this operation code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opcode: Option<u8>,
    /// SECURITY PROTOCOL IN or OUT with this page code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u16>,
    /// A command to this unit: a drive by its bay, behind the last one the changer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<usize>,
    /// A command of this nexus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nexus: Option<String>,
    /// READ, WRITE or VERIFY that comes to the object with this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// Only the n-th command for which all of the above holds, and those after it as far as `times` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// And even then only with this probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
}

/// What happens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// CHECK CONDITION with this sense.
    Sense {
        /// Key, code, qualifier.
        sense: SenseCode,
        /// INFORMATION field.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        information: Option<i64>,
        /// The drive executes the command first.
        #[serde(default)]
        executed: bool,
    },
    /// CHECK CONDITION with the deferred error (71h) of an earlier command; this one is not executed.
    Deferred {
        /// Key, code, qualifier.
        sense: SenseCode,
    },
    /// Another status without sense; the command is not executed.
    Status {
        /// The status byte.
        status: u8,
    },
    /// No SCSI status but this host status, a value of the Linux SCSI midlayer's host byte.
    Transport {
        /// 1 no connect, 3 time out, 5 abort, 7 error, 8 reset, 14 transport disrupted.
        host_status: NonZeroU8,
        /// The drive executes the command first.
        #[serde(default)]
        executed: bool,
    },
    /// The drive hangs from now on, this command included, until the hang is ended.
    Hang {},
    /// The command waits so long before it is executed.
    Slow {
        /// How long.
        milliseconds: u64,
    },
    /// A reset before the command.
    Reset {},
    /// The drive loses sight of the command's nexus before the command.
    NexusLoss {},
    /// The power goes off and on before the command.
    PowerCycle {},
    /// The drive drops every set of encryption parameters before the command.
    KeyDropped {},
    /// A nexus that nobody here names sets another key for all before the command.
    KeyChanged {},
    /// The owner of encryption changes before the command.
    LibraryTakesOver {
        /// Who owns it from now on.
        #[serde(default = "prevented")]
        mode: LibraryManaged,
    },
    /// The block of `at` cannot be read or written; those before it are.
    MediumError {},
    /// The data ends after so many bytes, whatever its length field says.
    ShortPage {
        /// Bytes that come.
        bytes: usize,
    },
    /// More data comes than its length field says, as far as there is room.
    LongPage {
        /// Bytes too many.
        extra: usize,
    },
    /// PAGE LENGTH (bytes 2 and 3) says this.
    PageLength {
        /// What it says.
        value: u16,
    },
    /// PAGE CODE (bytes 0 and 1) says this.
    PageCode {
        /// What it says.
        value: u16,
    },
}

const fn prevented() -> LibraryManaged {
    LibraryManaged::ConfigurationPrevented
}

impl FaultScript {
    /// Reads a script for so many units.
    ///
    /// # Errors
    /// The file cannot be read, is not a script, or has a fault that contradicts itself.
    pub fn read(path: &Path, units: usize) -> Result<Self, FaultScriptError> {
        let path_of = || path.to_owned();
        let text = fs::read_to_string(path).map_err(|source| FaultScriptError::Io {
            path: path_of(),
            source,
        })?;
        let script: Self = toml::from_str(&text).map_err(|source| FaultScriptError::Toml {
            path: path_of(),
            source,
        })?;
        for (index, rule) in script.fault.iter().enumerate() {
            rule.check(units).map_err(|source| FaultScriptError::Rule {
                path: path_of(),
                number: index + 1,
                source,
            })?;
        }
        Ok(script)
    }
}

impl FaultRule {
    /// Refuses a fault that can never strike at any of `units` units, or contradicts itself.
    ///
    /// # Errors
    /// Which of these.
    pub fn check(&self, units: usize) -> Result<(), FaultRuleError> {
        let When {
            command, nth, chance, ..
        } = &self.at;
        for (field, count) in [
            ("command", *command),
            ("nth", *nth),
            ("times", self.times.map(u64::from)),
        ] {
            if count == Some(0) {
                return Err(FaultRuleError::Zero { field });
            }
        }
        if self.always && self.times.is_some() {
            return Err(FaultRuleError::TimesAndAlways);
        }
        // Not a number is outside every range.
        if chance.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err(FaultRuleError::Chance);
        }
        if let Some(unit) = self.at.unit.filter(|unit| *unit >= units) {
            let last = units.saturating_sub(1);
            return Err(FaultRuleError::Unit { unit, last });
        }
        if let Some(name) = &self.at.nexus
            && ItNexus::new(name).is_err()
        {
            return Err(FaultRuleError::Nexus { name: name.clone() });
        }
        match self.r#do {
            // GOOD is no fault, and CHECK CONDITION without sense is no answer.
            Fault::Status {
                status: status @ (0x00 | 0x02),
            } => Err(FaultRuleError::Status { status }),
            Fault::MediumError {} if self.at.block.is_none() => Err(FaultRuleError::NoBlock),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Result<FaultRule, String> {
        let script: FaultScript = toml::from_str(text).map_err(|error| error.to_string())?;
        let rule = script.fault.into_iter().next().unwrap();
        rule.check(1).map(|()| rule).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_every_fault_of_the_model() {
        for fault in [
            r#"what = "sense", sense = "03/11/00""#,
            r#"what = "sense", sense = "00/00/00", information = -2, executed = true"#,
            r#"what = "deferred", sense = "03/0C/00""#,
            r#"what = "status", status = 0x18"#,
            r#"what = "transport", host_status = 7, executed = true"#,
            r#"what = "hang""#,
            r#"what = "slow", milliseconds = 5"#,
            r#"what = "reset""#,
            r#"what = "nexus-loss""#,
            r#"what = "power-cycle""#,
            r#"what = "key-dropped""#,
            r#"what = "key-changed""#,
            r#"what = "library-takes-over""#,
            r#"what = "library-takes-over", mode = "protocol-hidden""#,
            r#"what = "medium-error""#,
            r#"what = "short-page", bytes = 5"#,
            r#"what = "long-page", extra = 5"#,
            r#"what = "page-length", value = 0xFFFF"#,
            r#"what = "page-code", value = 0x0021"#,
        ] {
            let text = format!("[[fault]]\nat = {{ block = 3 }}\ndo = {{ {fault} }}\n");
            assert!(rule(&text).is_ok(), "{fault}: {:?}", rule(&text));
        }
    }

    #[test]
    fn refuses_what_no_fault_is() {
        for (text, word) in [
            ("[[fault]]\ndo = { what = \"explode\" }", "explode"),
            ("[[fault]]\ndo = { what = \"reset\", now = true }", "now"),
            (
                "[[fault]]\nat = { sometime = 1 }\ndo = { what = \"reset\" }",
                "sometime",
            ),
            ("[[fault]]\nwhen = 1\ndo = { what = \"reset\" }", "when"),
            ("sead = 1", "sead"),
            (
                "[[fault]]\nat = { command = 0 }\ndo = { what = \"reset\" }",
                "command is 0",
            ),
            ("[[fault]]\nat = { nth = 0 }\ndo = { what = \"reset\" }", "nth is 0"),
            ("[[fault]]\ntimes = 0\ndo = { what = \"reset\" }", "times is 0"),
            (
                "[[fault]]\ntimes = 1\nalways = true\ndo = { what = \"reset\" }",
                "always",
            ),
            ("[[fault]]\nat = { chance = 1.5 }\ndo = { what = \"reset\" }", "chance"),
            ("[[fault]]\nat = { chance = nan }\ndo = { what = \"reset\" }", "chance"),
            ("[[fault]]\nat = { nexus = \"a b\" }\ndo = { what = \"reset\" }", "a b"),
            ("[[fault]]\ndo = { what = \"status\", status = 2 }", "status 02h"),
            ("[[fault]]\ndo = { what = \"medium-error\" }", "without a block"),
            ("[[fault]]\ndo = { what = \"sense\", sense = \"3/11/0\" }", "3/11/0"),
            ("[[fault]]\ndo = { what = \"transport\", host_status = 0 }", "0"),
        ] {
            let refused = rule(text).unwrap_err();
            assert!(refused.contains(word), "{text}: {refused}");
        }
    }

    #[test]
    fn comes_back_from_its_own_text() {
        let text = "seed = 3\n[[fault]]\nat = { opcode = 0xA2, page = 0x20, nth = 2 }\ndo = { what = \"page-code\", value = 1 }\n";
        let script: FaultScript = toml::from_str(text).unwrap();
        let again: FaultScript = toml::from_str(&toml::to_string(&script).unwrap()).unwrap();
        assert_eq!(script, again);
    }
}
