//! A look at every record of a store or of a copy, without changing anything: what does not open, what does not fit.

use std::path::Path;

use rusqlite::params;
use time::OffsetDateTime;

use super::file::open_certificate_authority;
use super::keyring::Keyring;
use super::snapshots::{self, CopyFacts};
use super::{Session, StoreError, groups, keys, schema};
use crate::entropy::Entropy;
use crate::kms::audit::{self, AuditError};
use crate::kms::seal::HostMasterKey;
use crate::kms::snapshot::file::Manifest;
use crate::kms_api::{KeyState, PAGE_RECORDS_MAX};

/// Problems named at most; a ruined file would name each of its records.
const PROBLEMS_MAX: usize = 100;

/// Records between two reports of progress.
const PROGRESS_EVERY: u64 = 100_000;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct Seen {
    pub(in crate::kms) facts: CopyFacts,
    pub(in crate::kms) audit_records: i64,
    pub(in crate::kms) problems: Vec<String>,
}

/// What a check goes by.
pub(in crate::kms) struct CheckWith<'a> {
    pub(in crate::kms) master: &'a HostMasterKey,
    pub(in crate::kms) entropy: &'a dyn Entropy,
    pub(in crate::kms) now: OffsetDateTime,
    /// Told of every hundred thousandth record: how many, of how many.
    pub(in crate::kms) progress: &'a mut dyn FnMut(&str, u64, u64),
    /// What the snapshot that this is says of itself.
    pub(in crate::kms) manifest: Option<&'a Manifest>,
}

/// Looks at everything in the database at `path`, as of one moment, also while a service works on it.
pub(in crate::kms) fn check(path: &Path, with: CheckWith<'_>) -> Result<Seen, StoreError> {
    let connection = schema::open_read_only(path)?;
    let transaction = connection.unchecked_transaction()?;
    let mut look = Look {
        problems: Vec::new(),
        progress: with.progress,
        seen: 0,
    };
    let facts = snapshots::facts_of(&transaction)?;
    look.structure(&transaction)?;
    let keyring = Keyring::open(&transaction, with.master)?;
    let mut head = audit::head(&transaction, &keyring.audit)?;
    let session = Session {
        connection: &transaction,
        keyring: &keyring,
        entropy: with.entropy,
        now: with.now,
        head: &mut head,
    };
    look.authorities(&session)?;
    look.groups(&session, &facts)?;
    if facts.schema >= schema::VERSION_WITH_SNAPSHOTS {
        look.note(snapshots::newest(&session, false, usize::MAX));
    }
    if let Some(manifest) = with.manifest {
        look.manifest(&session, &facts, manifest);
    }
    let audit_records = look.audit(&transaction, &keyring)?;
    Ok(Seen {
        facts,
        audit_records,
        problems: look.problems,
    })
}

struct Look<'a> {
    problems: Vec<String>,
    progress: &'a mut dyn FnMut(&str, u64, u64),
    seen: u64,
}

impl Look<'_> {
    fn problem(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    fn note<T>(&mut self, looked: Result<T, StoreError>) -> Option<T> {
        looked
            .map_err(|error| self.problem(first_line(&error.to_string())))
            .ok()
    }

    fn step(&mut self, what: &str, of: u64) {
        self.seen += 1;
        if self.seen.is_multiple_of(PROGRESS_EVERY) {
            (self.progress)(what, self.seen, of);
        }
    }

    fn manifest(&mut self, session: &Session<'_>, facts: &CopyFacts, manifest: &Manifest) {
        if !manifest.agrees_with(facts) {
            self.problem("the manifest is of another store, or of another time".to_owned());
        }
        let mac = snapshots::mac_with_audit_key(session, &manifest.signed_part());
        if hex::encode(mac) != manifest.mac {
            self.problem("the manifest is not as this store wrote it".to_owned());
        }
    }

    /// SQLite's own look: pages, indexes against tables, references.
    fn structure(&mut self, connection: &rusqlite::Connection) -> Result<(), StoreError> {
        let mut statement = connection.prepare("PRAGMA integrity_check")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let said: String = row.get(0)?;
            if said != "ok" {
                self.problem(format!("the database: {}", said.escape_default()));
            }
        }
        let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            self.problem(format!(
                "a record of {table} refers to a record of {parent} that is not there"
            ));
        }
        Ok(())
    }

    fn authorities(&mut self, session: &Session<'_>) -> Result<(), StoreError> {
        let mut statement = session
            .connection
            .prepare("SELECT certificate FROM certificate_authorities")?;
        let certificates = statement.query_map((), |row| row.get::<_, Vec<u8>>(0))?;
        for certificate in certificates.collect::<Result<Vec<_>, _>>()? {
            let opened = open_certificate_authority(session.connection, session.keyring, &certificate);
            self.note(opened);
        }
        Ok(())
    }

    fn groups(&mut self, session: &Session<'_>, facts: &CopyFacts) -> Result<(), StoreError> {
        let mut statement = session.connection.prepare("SELECT id FROM key_groups ORDER BY name")?;
        let ids = statement.query_map((), |row| row.get::<_, [u8; 16]>(0))?;
        self.seen = 0;
        for id in ids {
            let opened = groups::by_id(session, crate::kad::KeyId(id?));
            if let Some(Some(group)) = self.note(opened) {
                self.keys(session, &group, facts.keys)?;
            }
        }
        Ok(())
    }

    fn keys(&mut self, session: &Session<'_>, group: &groups::Group, of: u64) -> Result<(), StoreError> {
        let mut statement = session
            .connection
            .prepare_cached("SELECT name FROM keys WHERE group_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3")?;
        let (mut after, mut active) = (String::new(), 0_u32);
        let limit = i64::try_from(PAGE_RECORDS_MAX).unwrap_or(i64::MAX);
        loop {
            let names = statement
                .query_map(params![group.id.0, after, limit], |row| row.get::<_, String>(0))?
                .collect::<Result<Vec<_>, _>>()?;
            let Some(last) = names.last() else { break };
            after.clone_from(last);
            for name in &names {
                let state = self.note(keys::check(session, group, name));
                active += u32::from(state == Some(KeyState::Active));
                self.step("keys", of);
            }
        }
        if active > 1 {
            self.problem(format!("group {} has {active} active keys", group.record.name));
        }
        Ok(())
    }

    fn audit(&mut self, connection: &rusqlite::Connection, keyring: &Keyring) -> Result<i64, StoreError> {
        self.seen = 0;
        let of: i64 = connection.query_row("SELECT count(*) FROM audit", (), |row| row.get(0))?;
        let total = u64::try_from(of).unwrap_or(0);
        let walked = audit::walk(connection, &keyring.audit, |_| {
            self.step("audit records", total);
            Ok(())
        });
        match walked {
            Ok(_) => {}
            Err(AuditError::Store(error)) => return Err(error),
            Err(error) => self.problem(first_line(&error.to_string())),
        }
        Ok(of)
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
