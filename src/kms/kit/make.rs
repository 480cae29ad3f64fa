//! Makes a kit of a store that may be at work: reads every key, seals, writes, reads back and opens, and only then says that the keys are in
//! it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use super::{Contents, Extent, KitError, KitGroup, KitKey, KitOf, SealedKit, text};
use crate::entropy::{Entropy, random_bytes};
use crate::kad::KeyId;
use crate::kms::audit::{Action, Actor, Event};
use crate::kms::model::ServiceError;
use crate::kms::service::Kms;
use crate::kms::snapshot::{Partial, Place, SnapshotError, not_recorded};
use crate::kms::store::groups::Group;
use crate::kms::store::{Session, StoreError, groups, keys, millis, moment, snapshots};
use crate::kms_api::{KeyState, PAGE_RECORDS_MAX, SNAPSHOT_PATH_LENGTH_MAX, SnapshotForm, SnapshotRecord};
use crate::passphrase::Passphrase;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateKit {
    /// The file to make: an absolute path to nothing yet.
    pub path: String,
    /// Accepts that it lies on the store's own file system: then it counts for no key.
    pub same_filesystem: bool,
}

/// A kit that was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MadeKit {
    /// What the store remembers of it.
    #[serde(flatten)]
    pub record: SnapshotRecord,
    /// Four characters that stand in each of its lines.
    pub mark: String,
    /// How long it is on paper.
    #[serde(flatten)]
    pub extent: Extent,
}

/// What was read of the store at one moment.
struct Read {
    contents: Contents,
    of: KitOf,
    audit_head: String,
}

impl Kms {
    /// Makes a kit under `passphrase`. Blocks: reads every key, and Argon2id takes a second, twice.
    ///
    /// # Errors
    /// [`SnapshotError`]: the path, the file system, the disk; the kit's own; the store's. Then there is no file of that name, and it counts
    /// for no key.
    pub fn create_kit(
        &self,
        actor: &Actor,
        wanted: &CreateKit,
        passphrase: &Passphrase,
        entropy: &dyn Entropy,
    ) -> Result<MadeKit, ServiceError> {
        let mut event = Event::new(actor, Action::CreateKit);
        event.detail = Some(detail(wanted, passphrase));
        let made = self.write_kit(wanted, passphrase, entropy);
        if let Ok((made, _)) = &made {
            let record = &made.record;
            let counts = if record.counts { "" } else { ", counts for no key" };
            event.outcome = format!("done: kit {} with {} keys{counts}", record.id, record.keys);
        }
        let written = made.as_ref().ok().map(|(made, _)| made.record.path.clone());
        let recorded = self.store.run_and_wait(move |session| {
            session.audited(event, |session, _| {
                let (made, held) = made?;
                let sequence = snapshots::insert(session, &made.record)?;
                if made.record.counts {
                    snapshots::add_keys(session, sequence, &held)?;
                }
                Ok(made)
            })
        });
        recorded.map_err(|error| not_recorded(error, written.as_deref()))
    }

    fn write_kit(
        &self,
        wanted: &CreateKit,
        passphrase: &Passphrase,
        entropy: &dyn Entropy,
    ) -> Result<(MadeKit, Vec<(KeyId, i64)>), ServiceError> {
        let place = Place::of(&wanted.path, self.store.place().disk())?;
        if !place.counts && !wanted.same_filesystem {
            return Err(SnapshotError::SameFileSystem { path: place.path }.into());
        }
        let Read {
            contents,
            of,
            audit_head,
        } = self.store.run_and_wait(read)?;
        let kit = SealedKit::seal(&contents, of, passphrase, entropy).map_err(SnapshotError::from)?;
        let partial = Partial::make(&place.path)?;
        write_and_read_back(&kit, &contents, passphrase, &partial.path, &place.path).map_err(SnapshotError::from)?;
        let (bytes, sha256) = partial.digest()?;
        partial.publish(&place.path)?;
        let record = SnapshotRecord {
            id: of.id.to_string(),
            form: SnapshotForm::Kit,
            made: kit.head().made,
            path: wanted.path.clone(),
            file_system: place.file_system,
            counts: place.counts,
            audit_head,
            groups: kit.head().groups.into(),
            keys: kit.head().keys.into(),
            bytes,
            sha256,
        };
        let held = contents.groups.iter().flat_map(|group| &group.keys);
        let held = held.map(|key| (key.record.id, millis(key.record.modified))).collect();
        let made = MadeKit {
            record,
            mark: kit.head().mark(),
            extent: Extent::of(&kit),
        };
        Ok((made, held))
    }
}

fn detail(wanted: &CreateKit, passphrase: &Passphrase) -> String {
    let shown: String = wanted.path.escape_default().take(SNAPSHOT_PATH_LENGTH_MAX).collect();
    let mut detail = format!("to {shown}");
    if wanted.same_filesystem {
        detail.push_str(", same file system accepted");
    }
    if passphrase.is_weak() {
        detail.push_str(", weak passphrase accepted");
    }
    detail
}

/// Every group and key as of one moment.
fn read(session: &mut Session<'_>) -> Result<Read, ServiceError> {
    let of = KitOf {
        id: KeyId::from_random(random_bytes(session.entropy).map_err(StoreError::from)?),
        made: moment(millis(session.now)),
        store: snapshots::store_id(session)?,
    };
    let mut contents = Contents { groups: Vec::new() };
    let mut after = String::new();
    loop {
        let page = groups::list(session, &after, PAGE_RECORDS_MAX)?;
        let Some(last) = page.last() else { break };
        after = last.name.to_string();
        for record in page {
            let Some(group) = groups::by_name(session, &record.name)? else {
                continue;
            };
            contents.groups.push(KitGroup {
                keys: keys_of(session, &group)?,
                released_outside: group.released_outside,
                record,
            });
        }
    }
    Ok(Read {
        contents,
        of,
        audit_head: snapshots::audit_head(session),
    })
}

fn keys_of(session: &Session<'_>, group: &Group) -> Result<Vec<KitKey>, ServiceError> {
    let (mut held, mut after) = (Vec::new(), String::new());
    loop {
        let page = keys::list(session, group, &after, PAGE_RECORDS_MAX)?;
        let Some(last) = page.last() else { return Ok(held) };
        after = last.name.to_string();
        for record in page.into_iter().filter(|record| record.state != KeyState::Deleted) {
            let stored = keys::by_id(session, record.id)?;
            let key = stored.map(|stored| stored.open(session)).transpose()?;
            held.extend(key.map(|key| KitKey { record, key }));
        }
    }
}

/// Writes to `partial`, and shows that what is there now opens to the same.
fn write_and_read_back(
    kit: &SealedKit,
    contents: &Contents,
    passphrase: &Passphrase,
    partial: &Path,
    named: &Path,
) -> Result<(), KitError> {
    let written = (|| {
        let mut to = BufWriter::new(File::options().write(true).open(partial)?);
        text::write(kit, &mut to)?;
        to.flush()?;
        to.get_ref().sync_all()
    })();
    written.map_err(KitError::file("write", named))?;
    let failed = KitError::file("read back", named);
    let read = text::read(&mut BufReader::new(File::open(partial).map_err(&failed)?), named)?;
    let opened = read.open(passphrase)?;
    if read == *kit && opened.encode()? == contents.encode()? {
        Ok(())
    } else {
        Err(KitError::Malformed {
            problem: "what was read back is not what was written",
        })
    }
}
