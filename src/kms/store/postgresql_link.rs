//! How a connection to PostgreSQL is made: with TLS to another host, with limits on every wait, and only to a server that keeps what it
//! says it kept.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::StoreError;
use super::place::PostgresqlPlace;

/// Longest wait for a connection, each address of the host and the greetings together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For every connection: what is committed is on the server's disk, and a node that vanished is noticed.
const SETTINGS: &str = "SET search_path = tapekey; SET synchronous_commit = on; SET client_min_messages = warning;
    SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;";

/// Permission bits that the password's file must not have: anything for others, writing for the group.
const MODE_FORBIDDEN: u32 = 0o027;

/// More than any password has.
const PASSWORD_LENGTH_MAX: usize = 1024;

/// No connection.
pub(super) struct Failed {
    pub(super) error: StoreError,
    /// The server may be there in a moment.
    pub(super) may_be_starting: bool,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self {
            error,
            may_be_starting: false,
        }
    }
}

/// A connection with `settings`, and the task that carries it.
pub(super) async fn connect(place: &PostgresqlPlace, settings: &str) -> Result<(Client, JoinHandle<()>), Failed> {
    let config = config(place)?;
    let no_answer = |_| StoreError::NoAnswer {
        place: place.to_string(),
        seconds: CONNECT_TIMEOUT.as_secs(),
    };
    let failed = |error: Error| Failed {
        may_be_starting: may_be_starting(&error),
        error: StoreError::Unreachable {
            place: place.to_string(),
            user: place.user.clone(),
            said: said(&error),
        },
    };
    let (client, driver) = match &place.ca_file {
        Some(ca_file) => {
            let connected = timeout(CONNECT_TIMEOUT, config.connect(tls(ca_file)?)).await;
            let (client, connection) = connected.map_err(no_answer)?.map_err(failed)?;
            // How it ends shows in the next call.
            let carry = async { drop(connection.await) };
            (client, tokio::spawn(carry))
        }
        None => {
            let connected = timeout(CONNECT_TIMEOUT, config.connect(NoTls)).await;
            let (client, connection) = connected.map_err(no_answer)?.map_err(failed)?;
            let carry = async { drop(connection.await) };
            (client, tokio::spawn(carry))
        }
    };
    let set = async {
        client.batch_execute(SETTINGS).await?;
        client.batch_execute(settings).await?;
        let sql =
            "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('server_encoding')";
        client.query_one(sql, &[]).await
    };
    let row = timeout(CONNECT_TIMEOUT, set)
        .await
        .map_err(no_answer)?
        .map_err(failed)?;
    for (index, (setting, wanted)) in [("fsync", "on"), ("full_page_writes", "on"), ("server_encoding", "UTF8")]
        .into_iter()
        .enumerate()
    {
        let found: String = row.try_get(index).map_err(failed)?;
        if found != wanted {
            return Err(StoreError::ServerSetting { setting, wanted, found }.into());
        }
    }
    Ok((client, driver))
}

fn config(place: &PostgresqlPlace) -> Result<Config, StoreError> {
    let mut config = Config::new();
    config
        .host(&place.host)
        .port(place.port)
        .dbname(&place.database)
        .user(&place.user)
        .application_name("tapekey-kms")
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(Duration::from_secs(5))
        .keepalives_interval(Duration::from_secs(2))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(15))
        .ssl_mode(match place.ca_file {
            Some(_) => SslMode::Require,
            None => SslMode::Disable,
        });
    if let Some(path) = &place.password_file {
        config.password(password(path)?.trim_end_matches(['\r', '\n']).as_bytes());
    }
    Ok(config)
}

fn password(path: &Path) -> Result<Zeroizing<String>, StoreError> {
    let failed = |problem: String| StoreError::Password {
        path: path.to_owned(),
        problem,
    };
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mode = file
        .metadata()
        .map_err(|error| failed(error.to_string()))?
        .permissions()
        .mode()
        & 0o7777;
    if mode & MODE_FORBIDDEN != 0 {
        return Err(failed(format!("mode {mode:04o}: others could read or replace it")));
    }
    let mut text = Zeroizing::new(String::with_capacity(PASSWORD_LENGTH_MAX));
    let read = file
        .take(u64::try_from(PASSWORD_LENGTH_MAX).unwrap_or(0))
        .read_to_string(&mut text);
    read.map_err(|error| failed(error.to_string()))?;
    Ok(text)
}

fn tls(ca_file: &Path) -> Result<MakeRustlsConnect, StoreError> {
    let failed = |problem: String| StoreError::ServerCa {
        path: ca_file.to_owned(),
        problem,
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca_file).map_err(|error| failed(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("there is no certificate in it".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Nobody listens yet, or somebody who says that he starts or ends.
fn may_be_starting(error: &Error) -> bool {
    if let Some(code) = error.code() {
        return *code == SqlState::CANNOT_CONNECT_NOW || *code == SqlState::ADMIN_SHUTDOWN;
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
            return matches!(
                cause.kind(),
                ConnectionRefused | ConnectionReset | NotFound | UnexpectedEof
            );
        }
        source = cause.source();
    }
    error.is_closed()
}

/// The server's own words without the values that it met, or what came between.
pub(super) fn said(error: &Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} {}: {}", error.severity(), error.code().code(), error.message());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
