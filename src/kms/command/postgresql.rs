//! The options that name a PostgreSQL server, for the verbs that make or join a store there.

use std::path::PathBuf;

use clap::Args;

use crate::entropy::{Entropy, random_bytes};
use crate::kad::KeyId;
use crate::kms::store::place::POSTGRESQL_PORT;
use crate::kms::store::{PostgresqlPlace, StorePlace};

/// Where the server is and who asks.
#[derive(Debug, Args)]
pub(super) struct PostgresqlArguments {
    /// Keep the store in PostgreSQL: the server's name, address, or the folder of its Unix socket
    #[arg(long = "postgresql", value_name = "HOST")]
    host: Option<String>,
    /// Its port
    #[arg(long, value_name = "PORT", requires = "host", default_value_t = POSTGRESQL_PORT)]
    port: u16,
    /// The database; it must be there
    #[arg(long, value_name = "NAME", requires = "host", default_value = "tapekey")]
    database: String,
    /// The role that owns the tables
    #[arg(long, value_name = "NAME", requires = "host", default_value = "tapekey")]
    user: String,
    /// File with the role's password, mode 0600
    #[arg(long, value_name = "FILE", requires = "host")]
    password_file: Option<PathBuf>,
    /// CA certificates (PEM) of a server on another host
    #[arg(long, value_name = "FILE", requires = "host")]
    ca_file: Option<PathBuf>,
    /// Where a server on this host keeps its data (SHOW data_directory)
    #[arg(long, value_name = "DIR", requires = "host")]
    data_directory: Option<PathBuf>,
}

impl PostgresqlArguments {
    /// The place that they name, for a node with a new id; none if there is no server among them.
    pub(super) fn place(&self, entropy: &dyn Entropy) -> Result<Option<StorePlace>, Box<dyn std::error::Error>> {
        let Some(host) = &self.host else { return Ok(None) };
        let absolute = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
        let place = PostgresqlPlace::new(
            KeyId::from_random(random_bytes(entropy)?),
            (host, self.port),
            (&self.database, &self.user),
            (absolute(&self.password_file)?, absolute(&self.ca_file)?),
            absolute(&self.data_directory)?,
        );
        place.check().map_err(|problem| {
            format!("--postgresql {host}: {problem}\nhint: the option that is meant is in --help")
        })?;
        Ok(Some(StorePlace::Postgresql(Box::new(place))))
    }
}
