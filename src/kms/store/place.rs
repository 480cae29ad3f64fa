//! Where a store is, as `kms.toml` says it: a folder with an SQLite file in it, or a database of a PostgreSQL server.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::database::Database;
use super::postgresql::{Postgresql, Use};
use super::sqlite::Sqlite;
use super::{StoreError, database};
use crate::kad::KeyId;

/// Where PostgreSQL listens unless told otherwise.
pub const POSTGRESQL_PORT: u16 = 5432;

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// A folder with an SQLite file in it: one service, one disk.
    Folder(PathBuf),
    /// A database of a PostgreSQL server, which several services may share.
    Postgresql(Box<PostgresqlPlace>),
}

/// A database of a PostgreSQL server, and this node's part in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresqlPlace {
    /// This node's id: names its audit chain. No two nodes have the same.
    #[serde(with = "crate::kms_api::text::key_id")]
    pub node: KeyId,
    /// A host name or address, or the folder of the server's Unix socket.
    pub host: String,
    /// Its port.
    #[serde(default = "usual_port")]
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role to work as; it owns the tables.
    pub user: String,
    /// Holds the role's password, one line, for the owner alone; without one the server must know the user otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that the server's must come from. Without it the server must be on this host: there is no TLS then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Where a server on this host keeps its data, so that snapshots on that file system are known to be no second copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_directory: Option<PathBuf>,
    /// The KMS's own folder, whose lock keeps a second service of this node away.
    #[serde(skip)]
    pub(super) folder: PathBuf,
}

fn usual_port() -> u16 {
    POSTGRESQL_PORT
}

impl StorePlace {
    /// The same with complete paths, for the KMS in `folder`.
    pub(in crate::kms) fn within(self, folder: &Path) -> Self {
        match self {
            Self::Folder(store) => Self::Folder(folder.join(store)),
            Self::Postgresql(place) => Self::Postgresql(Box::new(PostgresqlPlace {
                password_file: place.password_file.map(|path| folder.join(path)),
                ca_file: place.ca_file.map(|path| folder.join(path)),
                folder: folder.to_owned(),
                ..*place
            })),
        }
    }

    /// The same place for the node that had the store `store` as an SQLite file, so that its audit chain goes on.
    pub(in crate::kms) fn continuing(self, store: KeyId) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(folder),
            Self::Postgresql(place) => Self::Postgresql(Box::new(PostgresqlPlace { node: store, ..*place })),
        }
    }

    /// Looks that a new store can be made in the database; a folder is looked at by whoever makes it.
    pub(in crate::kms) fn check_free(&self) -> Result<(), StoreError> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Postgresql(place) => Postgresql::empty(place).map(drop),
        }
    }

    /// Opens it for looking only, also while services work on it.
    pub(in crate::kms) fn look(&self) -> Result<Box<dyn Database>, StoreError> {
        Ok(match self {
            Self::Folder(folder) => Box::new(Sqlite::open_read_only(&super::file::existing(folder)?)?),
            Self::Postgresql(place) => Box::new(Postgresql::open(place, Use::Looking)?),
        })
    }

    /// A folder on the file system whose loss is the store's; none if that is another host's.
    pub(in crate::kms) fn disk(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Postgresql(place) => place.data_directory.as_deref(),
        }
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(formatter, "{}", database(folder).display()),
            Self::Postgresql(place) => place.fmt(formatter),
        }
    }
}

impl fmt::Display for PostgresqlPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host, port, database, ..
        } = self;
        write!(formatter, "database {database} on {host} port {port}")
    }
}

impl PostgresqlPlace {
    /// A place as options name it; `files` are password and CA.
    #[must_use]
    pub fn new(
        node: KeyId,
        (host, port): (&str, u16),
        (database, user): (&str, &str),
        files: (Option<PathBuf>, Option<PathBuf>),
        data_directory: Option<PathBuf>,
    ) -> Self {
        Self {
            node,
            host: host.to_owned(),
            port,
            database: database.to_owned(),
            user: user.to_owned(),
            password_file: files.0,
            ca_file: files.1,
            data_directory,
            folder: PathBuf::new(),
        }
    }

    fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    fn is_on_this_host(&self) -> bool {
        let is_loopback = |address: IpAddr| address.is_loopback();
        self.is_socket() || self.host == "localhost" || self.host.parse().is_ok_and(is_loopback)
    }

    /// What does not fit together.
    pub(in crate::kms) fn check(&self) -> Result<(), &'static str> {
        let has_empty = [&self.host, &self.database, &self.user]
            .iter()
            .any(|name| name.is_empty());
        match (self.is_on_this_host(), &self.ca_file, &self.data_directory) {
            _ if has_empty => Err("host, database and user cannot be empty"),
            _ if self.is_socket() && self.ca_file.is_some() => Err("a Unix socket has no TLS: leave ca_file out"),
            (true, _, Some(directory)) if directory.is_absolute() => Ok(()),
            (true, ..) => Err(
                "the server is on this host: say in data_directory, by its whole path, where it keeps its data (SHOW data_directory)",
            ),
            (false, _, Some(_)) => Err("the server is on another host: its data_directory says nothing here"),
            (false, None, None) => Err("the server is on another host: name the CA of its certificate in ca_file"),
            (false, Some(_), None) => Ok(()),
        }
    }
}

impl Serialize for StorePlace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Folder(folder) => folder.serialize(serializer),
            Self::Postgresql(place) => serializer.collect_map([("postgresql", place)]),
        }
    }
}

impl<'de> Deserialize<'de> for StorePlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlaceVisitor)
    }
}

/// By hand, so that an error says what is wrong with the place and not that it is none of two.
struct PlaceVisitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    postgresql: Box<PostgresqlPlace>,
}

impl<'de> Visitor<'de> for PlaceVisitor {
    type Value = StorePlace;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the folder of an SQLite store, or a table [store.postgresql]")
    }

    fn visit_str<E: serde::de::Error>(self, folder: &str) -> Result<StorePlace, E> {
        Ok(StorePlace::Folder(folder.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StorePlace, A::Error> {
        let place = Table::deserialize(MapAccessDeserializer::new(map))?.postgresql;
        place.check().map_err(A::Error::custom)?;
        Ok(StorePlace::Postgresql(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Config {
        store: StorePlace,
    }

    const NODE: &str = "node = \"00112233-4455-6677-8899-aabbccddeeff\"\ndatabase = \"tapekey\"\nuser = \"tapekey\"\n";

    fn read(rest: &str) -> Result<Config, String> {
        toml::from_str(&format!("[store.postgresql]\n{NODE}{rest}\n")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_folder_and_a_database_read_back_as_they_were_written() {
        let folder: Config = toml::from_str("store = \"store\"").unwrap();
        assert_eq!(folder.store, StorePlace::Folder("store".into()));
        let remote = read("host = \"db.example.org\"\nca_file = \"ca.pem\"\npassword_file = \"password\"").unwrap();
        let socket = read("host = \"/run/postgresql\"\nport = 5433\ndata_directory = \"/var/lib/postgresql\"").unwrap();
        for config in [folder, remote, socket] {
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn what_would_be_unsafe_or_unclear_is_refused_with_what_to_do() {
        for (rest, says) in [
            ("host = \"db.example.org\"", "name the CA of its certificate in ca_file"),
            (
                "host = \"10.0.0.1\"\nca_file = \"a\"\ndata_directory = \"/d\"",
                "says nothing here",
            ),
            ("host = \"127.0.0.1\"", "say in data_directory, by its whole path"),
            (
                "host = \"/run/postgresql\"\ndata_directory = \"main\"",
                "by its whole path",
            ),
            (
                "host = \"/run/postgresql\"\nca_file = \"a\"\ndata_directory = \"/d\"",
                "has no TLS",
            ),
            ("host = \"\"", "cannot be empty"),
            (
                "host = \"localhost\"\npasword_file = \"p\"",
                "unknown field `pasword_file`",
            ),
            ("", "missing field `host`"),
        ] {
            let error = read(rest).unwrap_err();
            assert!(error.contains(says), "{rest}: {error}");
        }
        let neither = toml::from_str::<Config>("store = 7").unwrap_err().to_string();
        assert!(
            neither.contains("the folder of an SQLite store, or a table [store.postgresql]"),
            "{neither}"
        );
    }
}
