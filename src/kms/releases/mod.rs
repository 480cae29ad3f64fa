//! Counting what leaves: how many different volumes keys were released for in an hour, for each certificate and in all, against the
//! busiest hour of the last thirty days.
//!
//! A thief with a stolen certificate takes keys for every tape; a media server has a few dozen drives. Pure: events and times come in, alarms
//! go out. What was counted is not stored by itself: after a start it is learnt again from the audit chain.

mod counted;
mod giver;
mod watch;

pub(in crate::kms) use counted::{Release, release_of};
pub(in crate::kms) use giver::{from_where, giver, shown_identifier};
pub(in crate::kms) use watch::ReleaseWatch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Different volumes counted in one hour at most. Whoever takes more was reported long before.
const VOLUMES_MAX: usize = 100_000;

/// Certificates counted apart from each other at most.
const SUBJECTS_MAX: usize = 4096;

/// How far back an hour counts as usual, in hours.
const HISTORY_HOURS: i64 = 30 * 24;

/// How long an alarm stands in the status, in hours.
const SHOWN_HOURS: i64 = 24;

/// Alarms kept for the status, the newest.
const ALARMS_MAX: usize = 100;

/// Seconds of an hour.
const HOUR: i64 = 3600;

/// What stands for all certificates together in a table of subjects: no certificate has an empty subject.
const ALL: &str = "";

/// How many releases are unusual: the table `[releases]` of `kms.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReleaseLimits {
    /// So many different volumes in an hour are never an alarm.
    pub alarm_floor: u64,
    /// More than this many times the busiest hour of the last thirty days is an alarm.
    pub alarm_factor: u64,
    /// Beyond so many different volumes in an hour, keys for further ones are refused until the hour is over. Without it none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_releases_above: Option<u64>,
}

impl Default for ReleaseLimits {
    fn default() -> Self {
        Self {
            alarm_floor: 20,
            alarm_factor: 4,
            stop_releases_above: None,
        }
    }
}

/// More volumes than usual in an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct ReleaseAlarm {
    /// When it was noticed.
    pub(in crate::kms) at: Timestamp,
    /// Who took the keys; `None` for all together.
    pub(in crate::kms) subject: Option<String>,
    /// For how many volumes in this hour, when it was noticed.
    pub(in crate::kms) volumes: u64,
    /// How many would have been usual.
    pub(in crate::kms) usual_at_most: u64,
}

impl fmt::Display for ReleaseAlarm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.subject.as_deref().unwrap_or("all hosts together");
        write!(
            formatter,
            "{who} took keys for {} volumes within an hour, where at most {} are usual",
            self.volumes, self.usual_at_most
        )
    }
}

/// What counting one release came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) enum Counted {
    /// As usual.
    Usual,
    /// More than usual, for the first time in this hour.
    Unusual(Vec<ReleaseAlarm>),
    /// More than this may leave in an hour: it must not.
    Stopped {
        /// The limit.
        limit: u64,
    },
}

/// One hour, or what is known of it.
#[derive(Debug, Default)]
struct Hour {
    number: i64,
    volumes: BTreeMap<String, BTreeSet<[u8; 16]>>,
    /// Those of whom an alarm was raised.
    told: BTreeSet<String>,
}

/// Busiest hours that were usual, by subject: the hour's number and how many volumes.
type History = BTreeMap<String, VecDeque<(i64, u64)>>;

/// The counts.
#[derive(Debug)]
pub(in crate::kms) struct Releases {
    limits: ReleaseLimits,
    hour: Hour,
    history: History,
    alarms: VecDeque<ReleaseAlarm>,
}

impl Releases {
    /// Nothing counted yet.
    pub(in crate::kms) fn new(limits: ReleaseLimits) -> Self {
        Self {
            limits,
            hour: Hour::default(),
            history: History::new(),
            alarms: VecDeque::new(),
        }
    }

    /// Counts a release that is about to be made.
    pub(in crate::kms) fn count(&mut self, release: &Release, now: Timestamp) -> Counted {
        self.turn_to(now);
        let all = self.hour.volumes.entry(ALL.to_owned()).or_default();
        let is_new = !all.contains(&release.volume);
        let before = count_of(all);
        if let Some(limit) = self.limits.stop_releases_above
            && is_new
            && before >= limit
        {
            return Counted::Stopped { limit };
        }
        self.add(release);
        let alarms: Vec<ReleaseAlarm> = [ALL, &release.subject]
            .into_iter()
            .filter_map(|subject| self.look_at(subject, now))
            .collect();
        if alarms.is_empty() {
            return Counted::Usual;
        }
        self.alarms.extend(alarms.iter().cloned());
        let surplus = self.alarms.len().saturating_sub(ALARMS_MAX);
        self.alarms.drain(..surplus);
        Counted::Unusual(alarms)
    }

    /// What was unusual within the last day.
    pub(in crate::kms) fn alarms(&self, now: Timestamp) -> Vec<ReleaseAlarm> {
        let since = hour_of(now) - SHOWN_HOURS;
        let recent = self.alarms.iter().filter(|alarm| hour_of(alarm.at) > since);
        recent.cloned().collect()
    }

    fn add(&mut self, release: &Release) {
        for subject in [ALL, &release.subject] {
            if !self.hour.volumes.contains_key(subject) && self.hour.volumes.len() > SUBJECTS_MAX {
                continue;
            }
            let volumes = self.hour.volumes.entry(subject.to_owned()).or_default();
            if volumes.len() < VOLUMES_MAX {
                volumes.insert(release.volume);
            }
        }
    }

    /// The alarm about `subject`, if it is due and was not raised in this hour.
    fn look_at(&mut self, subject: &str, now: Timestamp) -> Option<ReleaseAlarm> {
        let released = count_of(self.hour.volumes.get(subject)?);
        let usual_at_most = self.threshold(subject);
        if released <= usual_at_most || !self.hour.told.insert(subject.to_owned()) {
            return None;
        }
        Some(ReleaseAlarm {
            at: now,
            subject: (subject != ALL).then(|| subject.to_owned()),
            volumes: released,
            usual_at_most,
        })
    }

    fn threshold(&self, subject: &str) -> u64 {
        let hours = self.history.get(subject).into_iter().flatten();
        let busiest = hours.map(|(_, volumes)| *volumes).max().unwrap_or(0);
        busiest
            .saturating_mul(self.limits.alarm_factor)
            .max(self.limits.alarm_floor)
    }

    /// Closes the hour in work if `now` is in another one. An hour with an alarm is not learnt from: else one theft would make the next usual.
    fn turn_to(&mut self, now: Timestamp) {
        let number = hour_of(now);
        if number == self.hour.number {
            return;
        }
        let closed = std::mem::replace(
            &mut self.hour,
            Hour {
                number,
                ..Hour::default()
            },
        );
        for (subject, volumes) in closed.volumes {
            if !closed.told.contains(&subject) {
                let hours = self.history.entry(subject).or_default();
                hours.push_back((closed.number, count_of(&volumes)));
            }
        }
        // Numbers in the future are those of a clock that was set back: they count as long as any.
        let is_old = |hour: i64| hour < number - HISTORY_HOURS;
        self.history.retain(|_, hours| {
            hours.retain(|(hour, _)| !is_old(*hour));
            while hours.len() > usize::try_from(HISTORY_HOURS).unwrap_or(usize::MAX) {
                hours.pop_front();
            }
            !hours.is_empty()
        });
    }

    /// Takes over what was learnt from records that are older than any that this one counted.
    pub(in crate::kms) fn learn(&mut self, earlier: Self) {
        let Self {
            hour, history, alarms, ..
        } = earlier;
        if hour.number == self.hour.number || self.hour.volumes.is_empty() {
            self.hour.number = hour.number;
            for (subject, volumes) in hour.volumes {
                self.hour.volumes.entry(subject).or_default().extend(volumes);
            }
            self.hour.told.extend(hour.told);
        }
        for (subject, hours) in history {
            self.history.entry(subject).or_default().extend(hours);
        }
        let newer = std::mem::replace(&mut self.alarms, alarms);
        self.alarms.extend(newer);
    }
}

fn count_of(volumes: &BTreeSet<[u8; 16]>) -> u64 {
    u64::try_from(volumes.len()).unwrap_or(u64::MAX)
}

fn hour_of(time: Timestamp) -> i64 {
    time.unix_timestamp().div_euclid(HOUR)
}

#[cfg(test)]
mod tests;
