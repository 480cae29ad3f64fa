//! Where and how often the service makes snapshots by itself: the `[snapshots]` part of `kms.toml`.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The snapshots that the service makes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshots {
    /// Their folder, on another file system than the store. It must be there: an unmounted disk must not look like an empty one.
    pub folder: PathBuf,
    /// How often.
    #[serde(default)]
    pub every: Every,
    /// How many are kept.
    #[serde(default = "thirty")]
    pub keep: NonZeroU32,
}

fn thirty() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(29)
}

/// A time between two snapshots, as `24h`, `7d` or `30m`; or `never`, where only rotations make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every(Option<Duration>);

impl Every {
    /// The time, if there is one.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        self.0
    }
}

impl Default for Every {
    fn default() -> Self {
        Self(Some(DAY))
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// More often only wears the disk; more seldom nobody remembers.
const SHORTEST: Duration = Duration::from_secs(10 * 60);
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The units, the longest first.
const UNITS: [(&str, Duration); 3] = [("d", DAY), ("h", HOUR), ("m", MINUTE)];

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        let number_and_unit = UNITS
            .into_iter()
            .find_map(|(unit, length)| Some((text.strip_suffix(unit)?, length)));
        let every = number_and_unit
            .and_then(|(number, length)| length.checked_mul(number.parse().ok()?))
            .filter(|every| (SHORTEST..=LONGEST).contains(every));
        every.map(|every| Self(Some(every))).ok_or_else(|| {
            format!(
                "\"{}\" is no time from 10m to 366d, such as 24h, and not never",
                text.escape_debug()
            )
        })
    }
}

impl fmt::Display for Every {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(every) = self.0 else {
            return formatter.write_str("never");
        };
        let fits = |length: Duration| every.as_secs().is_multiple_of(length.as_secs());
        // Every time was made of whole minutes at least.
        let (unit, length) = UNITS
            .into_iter()
            .find(|(_, length)| fits(*length))
            .unwrap_or(("m", MINUTE));
        write!(formatter, "{}{unit}", every.as_secs() / length.as_secs())
    }
}

impl Serialize for Every {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit_and_neither_short_nor_long() {
        for (text, minutes) in [
            ("24h", 1440),
            ("10m", 10),
            ("7d", 7 * 1440),
            ("366d", 366 * 1440),
            ("90m", 90),
        ] {
            let every: Every = text.parse().unwrap();
            assert_eq!(every.duration(), Some(MINUTE * minutes), "{text}");
            assert_eq!(every.to_string().parse::<Every>().unwrap(), every);
        }
        assert_eq!("never".parse::<Every>().unwrap().duration(), None);
        for bad in [
            "",
            "24",
            "h",
            "9m",
            "367d",
            "-1d",
            "1.5h",
            "24 h",
            "24H",
            "18446744073709551615d",
            "1w",
        ] {
            assert!(bad.parse::<Every>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_part_of_kms_toml_has_defaults_and_refuses_what_it_does_not_know() {
        let read = |text: &str| toml::from_str::<Snapshots>(text);
        let short = read("folder = \"/mnt/disk\"").unwrap();
        assert_eq!((short.every.to_string().as_str(), short.keep.get()), ("1d", 30));
        let written = toml::to_string(&short).unwrap();
        assert_eq!(read(&written).unwrap(), short);
        for bad in [
            "",
            "folder = \"/x\"\nkeep = 0",
            "folder = \"/x\"\nevery = \"often\"",
            "folder = \"/x\"\ncolour = 1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
