//! The tables, as SQLite takes them. Nothing in them is of SQLite alone but the names of types and the marks at the end of a table.
//!
//! Numbers of rows are drawn by the statement that adds them, since there is one writer at a time.

/// The version of the tables below. A store of any other version is left as it is.
pub(super) const VERSION: i32 = 7;

/// Every table has its own note on what its seal or MAC covers; what is sealed is never also stored open.
pub(super) const TABLES: &str = "
CREATE TABLE store (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    created INTEGER NOT NULL
) STRICT;
-- Keys that seal others: key protection keys and the audit key, under the host master key. Of those with one purpose the one with the
-- highest number is in use; the others open what they sealed.
CREATE TABLE sealing_keys (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    purpose TEXT NOT NULL,
    number INTEGER NOT NULL,
    sealed_under BLOB NOT NULL CHECK (length(sealed_under) = 16),
    created INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL,
    UNIQUE (purpose, number)
) STRICT, WITHOUT ROWID;
-- The seal holds nothing; it binds the other fields. `released_outside`: a key that an external server has under the group's name was given out, so
-- that name and kind must stay what they are.
CREATE TABLE key_groups (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    cipher TEXT NOT NULL,
    description TEXT NOT NULL,
    rotate_after_days INTEGER,
    server TEXT,
    next_key BLOB,
    released_outside INTEGER NOT NULL CHECK (released_outside IN (0, 1)),
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    sealed_under BLOB NOT NULL REFERENCES sealing_keys (id),
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- The id is the one in KADs, so that a restore is one look-up. The seal holds the key and binds the other fields and the group's kind. The
-- KAD of an imported key stands here as given, and without padding for the look-up: the seal binds the first, the second follows from it.
CREATE TABLE keys (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    group_id BLOB NOT NULL REFERENCES key_groups (id),
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    description TEXT NOT NULL,
    origin TEXT NOT NULL,
    foreign_kad BLOB,
    foreign_kad_unpadded BLOB,
    created INTEGER NOT NULL,
    activated INTEGER,
    modified INTEGER NOT NULL,
    sealed_under BLOB NOT NULL REFERENCES sealing_keys (id),
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL,
    UNIQUE (group_id, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_active_key ON keys (group_id) WHERE state = 'active';
CREATE INDEX keys_by_foreign_kad ON keys (foreign_kad_unpadded) WHERE foreign_kad_unpadded IS NOT NULL;
-- The issuing CA; the seal holds its private key (PKCS #8) and binds its certificate and that of the root CA above it.
CREATE TABLE certificate_authorities (
    certificate BLOB PRIMARY KEY,
    root BLOB NOT NULL,
    sealed_under BLOB NOT NULL REFERENCES sealing_keys (id),
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- The external servers. The seal holds the private key (DER) with which the KMS shows who it is, and binds every other field; `change` is the
-- number of server_changes that the row was last written under.
CREATE TABLE key_servers (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    endpoints TEXT NOT NULL,
    priority INTEGER NOT NULL,
    enabled_for_backup INTEGER NOT NULL CHECK (enabled_for_backup IN (0, 1)),
    group_attribute TEXT NOT NULL,
    trust TEXT NOT NULL,
    certificate TEXT NOT NULL,
    limit_ms INTEGER NOT NULL,
    allow_compromised_restore INTEGER NOT NULL CHECK (allow_compromised_restore IN (0, 1)),
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    change INTEGER NOT NULL,
    sealed_under BLOB NOT NULL REFERENCES sealing_keys (id),
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- Grows whenever external servers, or groups bound to one, change: by it every node notices. It protects nothing, so it has no MAC.
CREATE TABLE server_changes (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    number INTEGER NOT NULL
) STRICT;
-- The certificates that the issuing CA signed for clients. The MAC covers every field.
CREATE TABLE certificates (
    fingerprint TEXT PRIMARY KEY,
    serial TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    binding TEXT,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    issued_by TEXT NOT NULL,
    first_used INTEGER NOT NULL CHECK (first_used IN (0, 1)),
    ended INTEGER,
    ended_why TEXT,
    ended_by TEXT,
    mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_by_name ON certificates (name, serial);
CREATE INDEX certificates_by_end ON certificates (not_after);
-- Tokens for new hosts, without their secrets. The MAC covers every field.
CREATE TABLE enrollments (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    binding TEXT,
    created_by TEXT NOT NULL,
    expires INTEGER NOT NULL,
    state TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- One chain for each node. The MAC covers every field and the MAC of the record before; the chain begins with the store's and the node's id.
CREATE TABLE audit (
    node BLOB NOT NULL CHECK (length(node) = 16),
    sequence INTEGER NOT NULL,
    time INTEGER NOT NULL,
    subject TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    action TEXT NOT NULL,
    group_name TEXT,
    key_id TEXT,
    volume TEXT,
    detail TEXT,
    outcome TEXT NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (node, sequence)
) STRICT, WITHOUT ROWID;
-- The MAC covers every field but the number.
CREATE TABLE snapshots (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    form TEXT NOT NULL,
    made INTEGER NOT NULL,
    path TEXT NOT NULL,
    file_system TEXT NOT NULL,
    counts INTEGER NOT NULL CHECK (counts IN (0, 1)),
    audit_head TEXT NOT NULL,
    key_groups INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;
-- The newest snapshot that counts and holds the key, as the key was at that time.
CREATE TABLE snapshot_keys (
    key_id BLOB PRIMARY KEY REFERENCES keys (id) ON DELETE CASCADE,
    snapshot INTEGER NOT NULL REFERENCES snapshots (sequence),
    modified INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- What needs two administrators: about a group, a key of it, or a person. The MAC covers every field.
CREATE TABLE admin_requests (
    number INTEGER PRIMARY KEY,
    change TEXT NOT NULL,
    target BLOB NOT NULL CHECK (length(target) = 16),
    name TEXT NOT NULL,
    key_name TEXT,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    asked INTEGER NOT NULL,
    asked_by TEXT NOT NULL,
    asked_with TEXT NOT NULL,
    approved INTEGER,
    approved_by TEXT,
    due INTEGER NOT NULL,
    ended INTEGER,
    ended_by TEXT,
    outcome TEXT,
    mac BLOB NOT NULL
) STRICT;
CREATE INDEX admin_requests_by_target ON admin_requests (target, number);
-- How long the service has run with a clock to be trusted; waits are measured in it. The MAC covers it and the store's id.
CREATE TABLE service_time (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    milliseconds INTEGER NOT NULL,
    mac BLOB NOT NULL
) STRICT;
-- One row for each quiesce that was not taken back.
CREATE TABLE quiesces (
    sequence INTEGER PRIMARY KEY,
    since INTEGER NOT NULL,
    subject TEXT NOT NULL,
    fingerprint TEXT NOT NULL
) STRICT;
";

/// Every table with its primary key, those that others refer to before these.
pub(super) const ORDER: &[(&str, &[&str])] = &[
    ("store", &["singleton"]),
    ("sealing_keys", &["id"]),
    ("key_groups", &["id"]),
    ("keys", &["id"]),
    ("certificate_authorities", &["certificate"]),
    ("key_servers", &["name"]),
    ("server_changes", &["singleton"]),
    ("certificates", &["fingerprint"]),
    ("enrollments", &["id"]),
    ("audit", &["node", "sequence"]),
    ("snapshots", &["sequence"]),
    ("snapshot_keys", &["key_id"]),
    ("admin_requests", &["number"]),
    ("service_time", &["singleton"]),
    ("quiesces", &["sequence"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_takes_every_table_by_its_primary_key_and_after_those_that_it_refers_to() {
        let mut found = Vec::new();
        for table in TABLES.split("CREATE TABLE ").skip(1) {
            let (name, rest) = table.split_once(" (").unwrap();
            let definition = rest.split(") STRICT").next().unwrap();
            for line in definition.lines().filter(|line| line.contains("REFERENCES")) {
                let parent = line.split("REFERENCES ").nth(1).unwrap().split(' ').next().unwrap();
                assert!(
                    found.iter().any(|(known, _)| known == parent),
                    "{name} refers to {parent}"
                );
            }
            let key = definition
                .lines()
                .find(|line| line.contains("PRIMARY KEY"))
                .unwrap()
                .trim();
            let columns = key.strip_prefix("PRIMARY KEY (").map_or_else(
                || key.split(' ').next().unwrap().to_owned(),
                |several| several.trim_end_matches(')').to_owned(),
            );
            found.push((name.to_owned(), columns));
        }
        let order: Vec<_> = ORDER
            .iter()
            .map(|(name, key)| ((*name).to_owned(), key.join(", ")))
            .collect();
        assert_eq!(order, found);
    }
}
