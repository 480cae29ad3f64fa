//! Volumes whose keys an external server holds, as the release records of all nodes name them. It may read whole chains, so on a connection
//! of its own and never on the thread that serves.

use super::database::{Access, Database};
use super::value::Row;
use super::{StoreError, moment};
use crate::kad::KeyId;
use crate::kms::audit;
use crate::kms::releases::giver;
use crate::kms_api::{HeldVolume, ServerName, VolumeName};

/// Audit records read at a time.
const PAGE: usize = 5_000;

/// At most `limit` volumes for which `server` gave a key, the latest release first.
pub(in crate::kms) fn volumes_of(
    looking: &dyn Database,
    server: &ServerName,
    limit: usize,
) -> Result<Vec<HeldVolume>, StoreError> {
    looking.transaction(Access::Reading, || {
        let mut held = Vec::new();
        for head in audit::heads(looking)? {
            held.extend(of_chain(looking, head.node, (server, limit))?);
        }
        held.sort_by_key(|volume| std::cmp::Reverse(volume.at));
        let mut of_all = Vec::new();
        for one in held {
            of_all.extend(Some(one).filter(|one| of_all.len() < limit && is_new(&of_all, one)));
        }
        Ok(of_all)
    })
}

fn of_chain(
    database: &dyn Database,
    node: KeyId,
    (server, limit): (&ServerName, usize),
) -> Result<Vec<HeldVolume>, StoreError> {
    let (mut held, mut before) = (Vec::new(), i64::MAX);
    while held.len() < limit {
        let rows = database.rows(
            "SELECT sequence, time, group_name, volume, detail FROM audit
             WHERE node = ?1 AND sequence < ?2 AND action IN ('backup_key', 'restore_keys') AND outcome LIKE 'done%'
             ORDER BY sequence DESC LIMIT ?3",
            &[node.into(), before.into(), PAGE.into()],
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
