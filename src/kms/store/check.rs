//! A look at every record of a store or of a copy, without changing anything: what does not open, what does not fit.

use time::OffsetDateTime;

use super::database::{Access, Database};
use super::keyring::Keyring;
use super::snapshots::{self, CopyFacts};
use super::{Session, StoreError, authority, certificates, enrollments, groups, key_servers, keys};
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
    pub(in crate::kms) audit_records: u64,
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

/// Looks at everything in `database`, as of one moment, also while a service works on it.
pub(in crate::kms) fn check(database: &dyn Database, with: CheckWith<'_>) -> Result<Seen, StoreError> {
    database.transaction(Access::Reading, || look_at(database, with))
}

/// The same inside a transaction of the caller.
pub(super) fn look_at(database: &dyn Database, with: CheckWith<'_>) -> Result<Seen, StoreError> {
    let mut look = Look {
        problems: Vec::new(),
        progress: with.progress,
        seen: 0,
    };
    let facts = snapshots::facts_of(database)?;
    for problem in database.look_at_structure()? {
        look.problem(problem);
    }
    let keyring = Keyring::open(database, with.master)?;
    let mut head = audit::head(database, &keyring.audit, facts.store)?;
    let session = Session {
        database,
        keyring: &keyring,
        entropy: with.entropy,
        now: with.now,
        head: &mut head,
        releases: None,
    };
    look.authorities(&session)?;
    look.groups(&session, &facts)?;
    look.note(snapshots::newest(&session, false, usize::MAX));
    if let Some(manifest) = with.manifest {
        look.manifest(&session, &facts, manifest);
    }
    let audit_records = look.audit(database, &keyring)?;
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

    fn authorities(&mut self, session: &Session<'_>) -> Result<(), StoreError> {
        for problem in authority::check_all(session)? {
            self.note::<()>(Err(problem));
        }
        let mut after = (String::new(), String::new());
        while let Some(page) = self.note(certificates::list(session, (&after.0, &after.1), PAGE_RECORDS_MAX)) {
            let Some(last) = page.last() else { break };
            after = (last.name.to_string(), last.serial.clone());
        }
        self.note(enrollments::check_all(session));
        for server in key_servers::all(session)? {
            if let Err(unreadable) = server {
                self.problem(unreadable.why);
            }
        }
        Ok(())
    }

    fn groups(&mut self, session: &Session<'_>, facts: &CopyFacts) -> Result<(), StoreError> {
        self.seen = 0;
        let mut after = Vec::new();
        loop {
            let rows = session.database.rows(
                "SELECT id FROM key_groups WHERE id > ?1 ORDER BY id LIMIT ?2",
                &[after.into(), PAGE_RECORDS_MAX.into()],
            )?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.get("id")?;
            for row in &rows {
                let opened = groups::by_id(session, row.get("id")?);
                if let Some(Some(group)) = self.note(opened) {
                    self.keys(session, &group, facts.keys)?;
                }
            }
        }
    }

    fn keys(&mut self, session: &Session<'_>, group: &groups::Group, of: u64) -> Result<(), StoreError> {
        let (mut after, mut active) = (String::new(), 0_u32);
        loop {
            let rows = session.database.rows(
                "SELECT name FROM keys WHERE group_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
                &[group.id.into(), after.into(), PAGE_RECORDS_MAX.into()],
            )?;
            let Some(last) = rows.last() else { break };
            after = last.get("name")?;
            for row in &rows {
                let name: String = row.get("name")?;
                let state = self.note(keys::check(session, group, &name));
                active += u32::from(state == Some(KeyState::Active));
                self.step("keys", of);
            }
        }
        if active > 1 {
            self.problem(format!("group {} has {active} active keys", group.record.name));
        }
        Ok(())
    }

    fn audit(&mut self, database: &dyn Database, keyring: &Keyring) -> Result<u64, StoreError> {
        self.seen = 0;
        let of = database.count("SELECT count(*) AS number FROM audit")?;
        let walked = audit::walk(database, &keyring.audit, |_| {
            self.step("audit records", of);
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
