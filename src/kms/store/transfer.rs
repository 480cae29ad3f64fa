//! A store moved as a whole from one place to another: from SQLite to PostgreSQL and back. The new one is complete and was looked at record
//! by record before it is seen; a copy that was cut short leaves nothing that passes for a store.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::check::{CheckWith, Seen, look_at};
use super::copy::copy_tables;
use super::database::{Access, Database};
use super::file::{lock_of, new_file};
use super::place::StorePlace;
use super::postgresql::Postgresql;
use super::sqlite::Sqlite;
use super::{StoreError, StoreFile, database, snapshots};
use crate::kms::audit::{Action, Actor, Event};

/// The database in the making, under a name that no service looks for.
const PARTIAL: &str = "kms.sqlite.partial";

/// Copies the store at `from`, which no service of this node may be working on, to `to`, where none may be. What was seen in the copy.
pub(in crate::kms) fn copy_store(from: &StorePlace, to: &StorePlace, with: CheckWith<'_>) -> Result<Seen, StoreError> {
    let _lock = lock_of(from)?;
    let source = StoreFile::open_beside(from, with.master)?;
    let target = match to {
        StorePlace::Folder(folder) => {
            make_folder(folder)?;
            Target::File(folder, Sqlite::create_copy(&folder.join(PARTIAL))?)
        }
        StorePlace::Postgresql(place) => Target::Server(Box::new(Postgresql::empty(place)?)),
    };
    let mut event = Event::new(&Actor::local(), Action::CopyStore);
    event.detail = Some(format!("to {to}"));
    source.record(&event, with.now)?;
    let from = &*from.look()?;
    let seen = from.transaction(Access::Reading, || target.fill(from, with))?;
    target.finish()?;
    Ok(seen)
}

/// What is filled.
enum Target<'a> {
    File(&'a Path, Sqlite),
    Server(Box<Postgresql>),
}

impl Target<'_> {
    fn fill(&self, from: &dyn Database, with: CheckWith<'_>) -> Result<Seen, StoreError> {
        let into: &dyn Database = match self {
            Self::File(_, sqlite) => sqlite,
            Self::Server(postgresql) => &**postgresql,
        };
        into.transaction(Access::Writing, || {
            if let Self::Server(postgresql) = self {
                postgresql.make_tables()?;
            }
            copy_tables(from, into, &mut *with.progress)?;
            // Before the long look: a server ends a transaction in which nothing happens.
            let facts = snapshots::facts_of(from)?;
            let seen = look_at(into, with)?;
            if seen.facts != facts {
                return Err(StoreError::CopyDiffers {
                    problem: "groups, keys or audit heads are not the same".to_owned(),
                });
            }
            match seen.problems.first() {
                None => Ok(seen),
                Some(problem) => Err(StoreError::CopyDiffers {
                    problem: problem.clone(),
                }),
            }
        })
    }

    /// Gives the file its name, once all of it is on the disk.
    fn finish(self) -> Result<(), StoreError> {
        let Self::File(folder, sqlite) = self else {
            return Ok(());
        };
        drop(sqlite);
        let path = folder.join(PARTIAL);
        let named = File::open(&path)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&path, database(folder)))
            .and_then(|()| File::open(folder)?.sync_all())
            .and_then(|()| folder.parent().map_or(Ok(()), |above| File::open(above)?.sync_all()));
        named.map_err(|source| StoreError::File { path, source })
    }
}

/// The folder of a new store: none, an empty one, or one in which a copy was cut short, which begins anew.
fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::File {
        path: folder.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed)?;
    let mut left = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(PARTIAL) {
            return Err(StoreError::FolderNotEmpty {
                path: folder.to_owned(),
            });
        }
        left.push(entry.path());
    }
    left.iter().try_for_each(fs::remove_file).map_err(failed)?;
    new_file(&folder.join(PARTIAL))
}
