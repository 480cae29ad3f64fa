//! Volumes whose keys an external server holds, as the release records of all nodes name them. It may read whole chains, so on a connection
//! of its own and never on the thread that serves.

use std::collections::BTreeMap;

use super::database::{Access, Database};
use super::value::Row;
use super::{Session, StoreError, moment};
use crate::kad::KeyId;
use crate::kms::audit;
use crate::kms::releases::giver;
use crate::kms_api::{HeldVolume, ServerName, VolumeName};

/// Audit records read at a time.
const PAGE: usize = 5_000;

/// Volumes for which a server gave a key, as far as the chains had been written then.
#[derive(Default)]
pub(in crate::kms) struct Held {
    /// The latest release first.
    pub(in crate::kms) volumes: Vec<HeldVolume>,
    /// The last record of each chain that was looked at.
    looked_at: BTreeMap<KeyId, i64>,
}

/// At most `limit` volumes for which `server` gave a key. May take long.
pub(in crate::kms) fn volumes_of(
    looking: &dyn Database,
    server: &ServerName,
    limit: usize,
) -> Result<Held, StoreError> {
    looking.transaction(Access::Reading, || {
        Held::default().gone_on_with(looking, (server, limit))
    })
}

impl Held {
    /// The same with what was released since: few records, so that it belongs into the transaction that goes by it.
    pub(in crate::kms) fn until_now(
        self,
        session: &Session<'_>,
        server: &ServerName,
        limit: usize,
    ) -> Result<Vec<HeldVolume>, StoreError> {
        Ok(self.gone_on_with(session.database, (server, limit))?.volumes)
    }

    fn gone_on_with(
        mut self,
        database: &dyn Database,
        (server, limit): (&ServerName, usize),
    ) -> Result<Self, StoreError> {
        let mut held = self.volumes;
        for head in audit::heads(database)? {
            let after = self.looked_at.insert(head.node, head.sequence).unwrap_or_default();
            held.extend(of_chain(database, (head.node, after), (server, limit))?);
        }
        held.sort_by_key(|volume| std::cmp::Reverse(volume.at));
        let mut volumes = Vec::new();
        for one in held {
            volumes.extend(Some(one).filter(|one| volumes.len() < limit && is_new(&volumes, one)));
        }
        Ok(Self { volumes, ..self })
    }
}

fn of_chain(
    database: &dyn Database,
    (node, after): (KeyId, i64),
    (server, limit): (&ServerName, usize),
) -> Result<Vec<HeldVolume>, StoreError> {
    let (mut held, mut before) = (Vec::new(), i64::MAX);
    while held.len() < limit {
        let rows = database.rows(
            "SELECT sequence, time, group_name, volume, detail FROM audit
             WHERE node = ?1 AND sequence < ?2 AND sequence > ?4 AND action IN ('backup_key', 'restore_keys') AND outcome LIKE 'done%'
             ORDER BY sequence DESC LIMIT ?3",
            &[node.into(), before.into(), PAGE.into(), after.into()],
        )?;
        let Some(last) = rows.last() else { break };
        before = last.get("sequence")?;
        for row in &rows {
            held.extend(release_of(row, server)?.filter(|one| held.len() < limit && is_new(&held, one)));
        }
    }
    Ok(held)
}

fn release_of(row: &Row, server: &ServerName) -> Result<Option<HeldVolume>, StoreError> {
    let detail: Option<String> = row.get("detail")?;
    if detail.as_deref().and_then(giver) != Some(server.as_str()) {
        return Ok(None);
    }
    let volume: Option<String> = row.get("volume")?;
    Ok(Some(HeldVolume {
        volume: volume.and_then(|name| VolumeName::new(name).ok()),
        group: row.get::<Option<String>>("group_name")?.unwrap_or_default(),
        at: moment(row.get("time")?),
    }))
}

/// Whether the volume is not among `held`, of which there are few.
fn is_new(held: &[HeldVolume], one: &HeldVolume) -> bool {
    !held
        .iter()
        .any(|other| other.volume == one.volume && other.group == one.group)
}
