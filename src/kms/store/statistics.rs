//! Numbers over the whole store: keys by state, and releases of the last days as the audit chains tell them. Both look at many rows, so on
//! a connection of their own and never on the thread that serves.

use std::collections::BTreeMap;

use time::{Duration, OffsetDateTime};

use super::database::{Access, Database};
use super::value::Row;
use super::{StoreError, column, millis};
use crate::kad::KeyId;
use crate::kms::audit;
use crate::kms_api::{GroupReleases, KeyState, ReleaseStatistics, StateCount};

/// Audit records looked at, the newest of each chain: bounds how long a status takes.
const RECORDS_MAX: usize = 500_000;

/// Audit records read at a time.
const PAGE: usize = 5_000;

/// Groups named, those with the most releases.
const GROUPS_SHOWN: usize = 10;

/// How far the wall clock may have been set back without a record being missed: a day, in milliseconds.
const CLOCK_SLACK: i64 = 86_400_000;

/// How many keys are in each state; every state is there.
pub(in crate::kms) fn keys_by_state(looking: &dyn Database) -> Result<Vec<StateCount>, StoreError> {
    let rows = looking.rows("SELECT state, count(*) AS number FROM keys GROUP BY state", &[])?;
    let mut counts: Vec<StateCount> = KeyState::ALL
        .into_iter()
        .map(|state| StateCount { state, keys: 0 })
        .collect();
    for row in &rows {
        let name: String = row.get("state")?;
        let state = column(KeyState::from_name(&name), || {
            format!("a key's state {}", name.escape_default())
        })?;
        let number = row.get("number")?;
        for count in counts.iter_mut().filter(|count| count.state == state) {
            count.keys = number;
        }
    }
    Ok(counts)
}

/// How often keys were given out, and refused, in the day and in the week before `now`.
pub(in crate::kms) fn releases(looking: &dyn Database, now: OffsetDateTime) -> Result<ReleaseStatistics, StoreError> {
    looking.transaction(Access::Reading, || {
        let mut count = Counting::at(now);
        for head in audit::heads(looking)? {
            count.chain(looking, head.node)?;
        }
        Ok(count.ended())
    })
}

struct Counting {
    day: i64,
    week: i64,
    left: usize,
    found: ReleaseStatistics,
    groups: BTreeMap<String, u64>,
}

impl Counting {
    fn at(now: OffsetDateTime) -> Self {
        Self {
            day: millis(now - Duration::days(1)),
            week: millis(now - Duration::days(7)),
            left: RECORDS_MAX,
            found: ReleaseStatistics {
                complete: true,
                ..ReleaseStatistics::default()
            },
            groups: BTreeMap::new(),
        }
    }

    /// The newest records of one node's chain, back to before the week.
    fn chain(&mut self, database: &dyn Database, node: KeyId) -> Result<(), StoreError> {
        let stop = self.week - CLOCK_SLACK;
        let mut before = i64::MAX;
        loop {
            let rows = database.rows(
                "SELECT sequence, time, action, group_name, outcome FROM audit WHERE node = ?1 AND sequence < ?2
                 ORDER BY sequence DESC LIMIT ?3",
                &[node.into(), before.into(), PAGE.min(self.left).into()],
            )?;
            let Some(last) = rows.last() else { return Ok(()) };
            before = last.get("sequence")?;
            for row in &rows {
                self.record(row)?;
            }
            self.left -= rows.len();
            if last.get::<i64>("time")? < stop {
                return Ok(());
            }
            if self.left == 0 {
                self.found.complete = false;
                return Ok(());
            }
        }
    }

    fn record(&mut self, row: &Row) -> Result<(), StoreError> {
        let (time, action, outcome): (i64, String, String) =
            (row.get("time")?, row.get("action")?, row.get("outcome")?);
        if time < self.week {
            return Ok(());
        }
        let in_day = u64::from(time >= self.day);
        if outcome.starts_with("refused") {
            self.found.refusals_day += in_day;
            self.found.refusals_week += 1;
        } else if matches!(action.as_str(), "backup_key" | "restore_keys") && outcome.starts_with("done") {
            self.found.releases_day += in_day;
            self.found.releases_week += 1;
            if let Some(group) = row.get::<Option<String>>("group_name")? {
                *self.groups.entry(group).or_default() += 1;
            }
        }
        Ok(())
    }

    fn ended(mut self) -> ReleaseStatistics {
        let groups = self.groups.into_iter();
        self.found.groups = groups
            .map(|(group, releases_week)| GroupReleases { group, releases_week })
            .collect();
        // Stable: groups with the same number stay in the order of their names.
        self.found
            .groups
            .sort_by_key(|group| std::cmp::Reverse(group.releases_week));
        self.found.groups.truncate(GROUPS_SHOWN);
        self.found
    }
}
