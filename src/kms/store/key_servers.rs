//! External servers in the store, each with its private key sealed and every other field bound to it: an address changed behind the KMS's
//! back must not get the KMS's credentials shown.

use time::OffsetDateTime;

use super::keyring::seal;
use super::value::Row;
use super::{Session, StoreError, column, millis, moment};
use crate::kad::KeyId;
use crate::kms::seal::Fields;
use crate::kms_api::{GroupAttribute, KeyServerKind, ServerEndpoint, ServerName, ServerPrivateKey};

/// A server as it is stored. No `Debug`: it has the private key.
#[derive(Clone)]
pub(in crate::kms) struct KeyServer {
    pub(in crate::kms) name: ServerName,
    pub(in crate::kms) kind: KeyServerKind,
    pub(in crate::kms) endpoints: Vec<ServerEndpoint>,
    pub(in crate::kms) priority: i32,
    pub(in crate::kms) enabled_for_backup: bool,
    pub(in crate::kms) group_attribute: GroupAttribute,
    /// The CAs that its certificate must come from, in PEM.
    pub(in crate::kms) trust: String,
    /// What the KMS shows it, in PEM.
    pub(in crate::kms) certificate: String,
    pub(in crate::kms) private_key: ServerPrivateKey,
    pub(in crate::kms) limit_ms: u32,
    pub(in crate::kms) allow_compromised_restore: bool,
    pub(in crate::kms) created: OffsetDateTime,
    pub(in crate::kms) modified: OffsetDateTime,
    /// Another number for each time that it was written.
    pub(in crate::kms) change: i64,
}

/// A server whose record cannot be read. It is there all the same, and may have keys that nobody else has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct Unreadable {
    /// What stands where its name should be.
    pub(in crate::kms) name: String,
    pub(in crate::kms) why: String,
}

/// How often servers, or groups bound to one, have been changed.
pub(in crate::kms) fn changes(session: &Session<'_>) -> Result<i64, StoreError> {
    let row = session.database.first("SELECT number FROM server_changes", &[])?;
    row.map_or(Ok(0), |row| row.get("number"))
}

/// Whether there are no servers, and no groups that are bound to one.
pub(in crate::kms) fn are_none(session: &Session<'_>) -> Result<bool, StoreError> {
    let bound = "SELECT count(*) AS number FROM key_groups WHERE server IS NOT NULL";
    Ok(count(session)? == 0 && session.database.count(bound)? == 0)
}

/// One change more; its number.
pub(in crate::kms) fn note_change(session: &Session<'_>) -> Result<i64, StoreError> {
    let database = session.database;
    if database.execute("UPDATE server_changes SET number = number + 1", &[])? == 0 {
        database.execute("INSERT INTO server_changes (singleton, number) VALUES (1, 1)", &[])?;
    }
    changes(session)
}

/// Adds a server, or writes it in the place of the one of its name.
pub(in crate::kms) fn put(session: &Session<'_>, server: &KeyServer) -> Result<KeyServer, StoreError> {
    let stored = KeyServer {
        created: moment(millis(server.created)),
        modified: moment(millis(session.now)),
        change: note_change(session)?,
        ..server.clone()
    };
    delete(session, &server.name)?;
    write(session, &stored)?;
    Ok(stored)
}

/// Removes a server; false if there is none of that name.
pub(in crate::kms) fn delete(session: &Session<'_>, name: &ServerName) -> Result<bool, StoreError> {
    let sql = "DELETE FROM key_servers WHERE name = ?1";
    Ok(session.database.execute(sql, &[name.as_str().into()])? > 0)
}

/// How many there are.
pub(in crate::kms) fn count(session: &Session<'_>) -> Result<u64, StoreError> {
    session.database.count("SELECT count(*) AS number FROM key_servers")
}

/// The server of that name.
pub(in crate::kms) fn by_name(session: &Session<'_>, name: &ServerName) -> Result<Option<KeyServer>, StoreError> {
    let row = row_of(session, name.as_str())?;
    row.map(|row| read(session, &row)).transpose()
}

/// What is there under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kms) enum AtName {
    Nothing,
    Readable,
    /// A record that cannot be read.
    Unreadable,
}

/// What is there under that name.
pub(in crate::kms) fn at_name(session: &Session<'_>, name: &ServerName) -> Result<AtName, StoreError> {
    match by_name(session, name) {
        Ok(None) => Ok(AtName::Nothing),
        Ok(Some(_)) => Ok(AtName::Readable),
        Err(StoreError::DoesNotOpen { .. } | StoreError::Column { .. }) => Ok(AtName::Unreadable),
        Err(error) => Err(error),
    }
}

/// All servers by name, whether they can be read or not.
pub(in crate::kms) fn all(session: &Session<'_>) -> Result<Vec<Result<KeyServer, Unreadable>>, StoreError> {
    let mut servers = Vec::new();
    for row in session.database.rows("SELECT * FROM key_servers ORDER BY name", &[])? {
        let name: String = row.get("name")?;
        servers.push(match read(session, &row) {
            Ok(server) => Ok(server),
            Err(error @ (StoreError::DoesNotOpen { .. } | StoreError::Column { .. })) => Err(Unreadable {
                name,
                why: error.to_string().lines().next().unwrap_or_default().to_owned(),
            }),
            Err(error) => return Err(error),
        });
    }
    Ok(servers)
}

/// The names of all of them, as they stand there.
pub(super) fn names(session: &Session<'_>) -> Result<Vec<String>, StoreError> {
    let rows = session
        .database
        .rows("SELECT name FROM key_servers ORDER BY name", &[])?;
    rows.iter().map(|row| row.get("name")).collect()
}

/// Seals a server anew, unless it is sealed under the newest key already.
pub(super) fn reseal(session: &Session<'_>, name: &str) -> Result<(), StoreError> {
    let Some(row) = row_of(session, name)? else {
        return Ok(());
    };
    let (current, key) = session.keyring.current()?;
    if row.get::<KeyId>("sealed_under")? == current {
        return Ok(());
    }
    let server = read(session, &row)?;
    let sealed = key.seal(session.entropy, server.private_key.expose(), &server.bound(current))?;
    session.database.execute(
        "UPDATE key_servers SET sealed_under = ?2, nonce = ?3, sealed = ?4 WHERE name = ?1",
        &[name.into(), current.into(), sealed.nonce.into(), sealed.sealed.into()],
    )?;
    Ok(())
}

fn row_of(session: &Session<'_>, name: &str) -> Result<Option<Row>, StoreError> {
    let sql = "SELECT * FROM key_servers WHERE name = ?1";
    session.database.first(sql, &[name.into()])
}

fn write(session: &Session<'_>, server: &KeyServer) -> Result<(), StoreError> {
    let (under, key) = session.keyring.current()?;
    let sealed = key.seal(session.entropy, server.private_key.expose(), &server.bound(under))?;
    session.database.execute(
        "INSERT INTO key_servers (name, kind, endpoints, priority, enabled_for_backup, group_attribute, trust, certificate, limit_ms,
                                  allow_compromised_restore, created, modified, change, sealed_under, nonce, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        &[
            server.name.as_str().into(),
            kind_name(server.kind).into(),
            endpoints_text(&server.endpoints).into(),
            i64::from(server.priority).into(),
            server.enabled_for_backup.into(),
            server.group_attribute.name().into(),
            server.trust.as_str().into(),
            server.certificate.as_str().into(),
            i64::from(server.limit_ms).into(),
            server.allow_compromised_restore.into(),
            millis(server.created).into(),
            millis(server.modified).into(),
            server.change.into(),
            under.into(),
            sealed.nonce.into(),
            sealed.sealed.into(),
        ],
    )?;
    Ok(())
}

fn read(session: &Session<'_>, row: &Row) -> Result<KeyServer, StoreError> {
    let name: String = row.get("name")?;
    let what = || format!("external server {}", name.escape_default());
    let (kind, endpoints, attribute): (String, String, String) =
        (row.get("kind")?, row.get("endpoints")?, row.get("group_attribute")?);
    let endpoints: Option<Vec<ServerEndpoint>> = endpoints.split(' ').map(|one| one.parse().ok()).collect();
    let without_key = KeyServer {
        name: column(ServerName::new(name.as_str()).ok(), what)?,
        kind: column(kind_from_name(&kind), what)?,
        endpoints: column(endpoints, what)?,
        priority: column(i32::try_from(row.get::<i64>("priority")?).ok(), what)?,
        enabled_for_backup: row.get("enabled_for_backup")?,
        group_attribute: column(GroupAttribute::from_name(&attribute), what)?,
        trust: row.get("trust")?,
        certificate: row.get("certificate")?,
        private_key: ServerPrivateKey::of_der(Vec::new().into()),
        limit_ms: column(u32::try_from(row.get::<i64>("limit_ms")?).ok(), what)?,
        allow_compromised_restore: row.get("allow_compromised_restore")?,
        created: moment(row.get("created")?),
        modified: moment(row.get("modified")?),
        change: row.get("change")?,
    };
    let under = row.get("sealed_under")?;
    let key = session.keyring.named(session.database, under)?;
    let opened = key.open(&seal(row)?, &without_key.bound(under));
    let opened = opened.map_err(|_| StoreError::DoesNotOpen { what: what() })?;
    Ok(KeyServer {
        private_key: ServerPrivateKey::of_der(opened),
        ..without_key
    })
}

impl KeyServer {
    fn bound(&self, sealed_under: KeyId) -> Vec<u8> {
        Fields::of("tapekey external server v1")
            .text(self.name.as_str())
            .text(kind_name(self.kind))
            .text(&endpoints_text(&self.endpoints))
            .number(i64::from(self.priority))
            .number(i64::from(self.enabled_for_backup))
            .text(self.group_attribute.name())
            .text(&self.trust)
            .text(&self.certificate)
            .number(i64::from(self.limit_ms))
            .number(i64::from(self.allow_compromised_restore))
            .number(millis(self.created))
            .number(millis(self.modified))
            .number(self.change)
            .bytes(&sealed_under.0)
            .encode()
    }
}

/// Endpoints as one text: they have no spaces.
fn endpoints_text(endpoints: &[ServerEndpoint]) -> String {
    let endpoints: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
    endpoints.join(" ")
}

fn kind_name(kind: KeyServerKind) -> &'static str {
    match kind {
        KeyServerKind::BuiltIn => "built_in",
        KeyServerKind::Kmip => "kmip",
    }
}

fn kind_from_name(name: &str) -> Option<KeyServerKind> {
    (name == kind_name(KeyServerKind::Kmip)).then_some(KeyServerKind::Kmip)
}
