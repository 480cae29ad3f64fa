//! A KMS as it really runs, inside the test: made by `init`, served over TLS on a free port, on a clock and a seed of the test's own.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod connectors;
pub(crate) mod outside;
pub(crate) mod postgresql;
pub(crate) mod process;
pub(crate) mod rotating;

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use sha2::{Digest, Sha256};
use tapekey::clock::{Clock, Timestamp};
use tapekey::entropy::{Entropy, EntropyError};
use tapekey::kad::{KeyId, KeyKind};
use tapekey::kms::audit::AuditRecord;
use tapekey::kms::config::KmsConfig;
use tapekey::kms::connector::ExternalServer;
use tapekey::kms::init::init_at;
use tapekey::kms::seal::HostMasterKey;
use tapekey::kms::select::{Selection, SelectionRules};
use tapekey::kms::server::Server;
use tapekey::kms::service::Kms;
use tapekey::kms::store::{StoreFile, StorePlace, walk_audit};
use tapekey::kms_api::{
    CreateGroup, CreatePassphraseKey, CreateSnapshot, GroupName, ImportKeys, ImportedKey, KeyMove, Purpose,
    RotateGroup, VolumeName,
};
use tapekey::kms_client::{ClientConfig, KmsAddress, KmsClient};
use tapekey::secret::DataKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// 2026-11-24T12:00:00Z.
const START: i64 = 1_795_521_600;

/// A clock that moves only when told.
pub(crate) struct VirtualClock {
    seconds: AtomicI64,
    jumped: AtomicI64,
}

impl VirtualClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            seconds: AtomicI64::new(START),
            jumped: AtomicI64::new(0),
        })
    }

    /// To the real time, where a real program took part: it dates its certificates by that.
    pub(crate) fn advance_to_the_real_time(&self) {
        self.seconds
            .fetch_max(Timestamp::now_utc().unix_timestamp(), Ordering::SeqCst);
    }

    pub(crate) fn advance_days(&self, days: i64) {
        self.advance_hours(days * 24);
    }

    pub(crate) fn advance_hours(&self, hours: i64) {
        self.advance_seconds(hours * 3600);
    }

    pub(crate) fn advance_seconds(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sets the wall clock forward, or back, while no time passes.
    pub(crate) fn jump_days(&self, days: i64) {
        self.jumped.fetch_add(days * 86_400, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let seconds = self.seconds.load(Ordering::SeqCst) + self.jumped.load(Ordering::SeqCst);
        Timestamp::from_unix_timestamp(seconds).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.seconds.load(Ordering::SeqCst)).unwrap())
    }
}

/// The same clock, as TLS asks for it.
pub(crate) struct TlsTime(pub(crate) Arc<VirtualClock>);

impl rustls::time_provider::TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_timestamp()).unwrap();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

impl std::fmt::Debug for TlsTime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TlsTime")
    }
}

/// Bytes that follow from a seed.
pub(crate) struct Seeded {
    seed: u64,
    drawn: Mutex<Vec<[u8; 32]>>,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            drawn: Mutex::new(Vec::new()),
        })
    }
}

impl Seeded {
    /// Whether `text` holds anything of 32 bytes that was ever drawn here, every secret key among it: raw, in hex or in base64.
    pub(crate) fn is_in(&self, text: &[u8]) -> bool {
        self.drawn.lock().unwrap().iter().any(|block| {
            let spellings = [block.to_vec(), hex::encode(block).into(), STANDARD.encode(block).into()];
            spellings
                .iter()
                .any(|spelling| text.windows(spelling.len()).any(|window| window == spelling))
        })
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(32) {
            let mut drawn = self.drawn.lock().unwrap();
            let count = u64::try_from(drawn.len()).unwrap();
            let block: [u8; 32] = Sha256::digest([self.seed.to_be_bytes(), count.to_be_bytes()].concat()).into();
            drawn.push(block);
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

/// A log that the test can read.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<u8>>>,
    /// Where the lines are instead, if all stories of this process share them.
    file: Option<PathBuf>,
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut *self.lines.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(crate) fn text(&self) -> String {
        match &self.file {
            Some(file) => std::fs::read_to_string(file).unwrap(),
            None => String::from_utf8(self.lines.lock().unwrap().clone()).unwrap(),
        }
    }

    /// Collects what the whole process logs from now on: also other stories that run in it. Once in a story.
    pub(crate) fn collect_everything() -> Self {
        if on_postgresql() {
            return Self::shared();
        }
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        log
    }

    /// The one log of a process with several stories, which the first of them makes.
    fn shared() -> Self {
        let path = postgresql::shared().folder().join("stories.log");
        let file = std::fs::File::options().create(true).append(true).open(&path).unwrap();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(Mutex::new(file))
            .finish();
        // Whoever was first has it.
        let _ = tracing::subscriber::set_global_default(subscriber);
        Self {
            file: Some(path),
            ..Self::default()
        }
    }

    /// Collects what this thread logs, which with a test's runtime is everything but the store.
    pub(crate) fn collect(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

/// A folder that `init` filled, and the clock and seed that it lives on.
pub(crate) struct Home {
    temporary: tempfile::TempDir,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) entropy: Arc<Seeded>,
}

/// Whether the stories of this program run on PostgreSQL: those in `kms_on_postgresql.rs` do.
pub(crate) fn on_postgresql() -> bool {
    env!("CARGO_CRATE_NAME") == "kms_on_postgresql"
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with_seed(1)
    }

    /// The same with other keys and ids.
    pub(crate) fn with_seed(seed: u64) -> Self {
        let temporary = temporary_folder();
        let (clock, entropy) = (VirtualClock::new(), Seeded::new(seed));
        let store = if on_postgresql() {
            postgresql::shared().new_store(KeyId([u8::try_from(seed % 256).unwrap(); 16]))
        } else {
            StorePlace::Folder("store".into())
        };
        init_at(store, &temporary.path().join("kms"), &[], (&*clock, &*entropy)).unwrap();
        Self {
            temporary,
            clock,
            entropy,
        }
    }

    /// A folder that the real program's `init` filled, by the real clock.
    pub(crate) fn made_by_the_program() -> Self {
        let home = Self {
            temporary: temporary_folder(),
            clock: VirtualClock::new(),
            entropy: Seeded::new(1),
        };
        process::says(&["init", home.folder().to_str().unwrap()]);
        home
    }

    /// What stands in the store, a row a line, as the database itself prints it.
    pub(crate) fn select(&self, sql: &str) -> String {
        match &self.config().store {
            StorePlace::Folder(_) => {
                let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
                let connection = rusqlite::Connection::open_with_flags(self.database(), flags).unwrap();
                let mut statement = connection.prepare(sql).unwrap();
                let columns = statement.column_count();
                let mut found = statement.query(()).unwrap();
                let mut lines = Vec::new();
                while let Some(row) = found.next().unwrap() {
                    let shown = (0..columns).map(|column| match row.get(column).unwrap() {
                        rusqlite::types::Value::Integer(number) => number.to_string(),
                        rusqlite::types::Value::Blob(bytes) => format!("\\x{}", hex::encode(bytes)),
                        other => format!("{other:?}"),
                    });
                    lines.push(shown.collect::<Vec<_>>().join("|"));
                }
                lines.join("\n")
            }
            StorePlace::Postgresql(place) => postgresql::select(place, sql),
        }
    }

    /// The number that is all that a query finds.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.select(sql).parse().unwrap()
    }

    /// How many records the audit chain has, seen from beside the service.
    pub(crate) fn audit_records(&self) -> i64 {
        self.number("SELECT count(*) FROM audit")
    }

    /// All that stands in the store, with everything that is said of it beside.
    pub(crate) fn store_bytes(&self) -> Vec<u8> {
        store_bytes(&self.folder())
    }

    /// Lets nobody write into the store for a while.
    pub(crate) fn refuse_writes(&self) -> NoWrites {
        match self.config().store {
            StorePlace::Folder(_) => {
                let connection = rusqlite::Connection::open(self.database()).unwrap();
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                NoWrites::Sqlite(connection)
            }
            StorePlace::Postgresql(place) => {
                postgresql::sql(&place, "REVOKE UPDATE ON store FROM tapekey");
                NoWrites::Postgresql(place)
            }
        }
    }

    /// Keeps the store, which no service may be working on.
    pub(crate) fn keep_store(&self) -> Kept {
        match &self.config().store {
            StorePlace::Folder(folder) => {
                let kept = tempfile::tempdir().unwrap();
                copy_files(folder, kept.path());
                Kept::Files(kept)
            }
            StorePlace::Postgresql(place) => Kept::Database(postgresql::shared().keep(&place.database)),
        }
    }

    /// Puts the store back to what it was.
    pub(crate) fn put_back(&self, kept: &Kept) {
        match (kept, &self.config().store) {
            (Kept::Files(kept), StorePlace::Folder(folder)) => copy_files(kept.path(), folder),
            (Kept::Database(kept), StorePlace::Postgresql(place)) => {
                postgresql::shared().put_back(kept, &place.database)
            }
            _ => panic!("it was kept of another store"),
        }
    }

    /// Does something to the store behind the service's back; how many records that changed.
    pub(crate) fn sql(&self, sql: &str) -> usize {
        match &self.config().store {
            StorePlace::Folder(_) => {
                let connection = rusqlite::Connection::open(self.database()).unwrap();
                // Statements that must be alone say how much they changed; others are several.
                if sql.contains(';') || sql.is_empty() {
                    connection.execute_batch(sql).unwrap();
                    0
                } else {
                    connection.execute(sql, ()).unwrap()
                }
            }
            StorePlace::Postgresql(place) => postgresql::sql(place, sql),
        }
    }

    /// Nothing yet, on the clock and seed of another one.
    pub(crate) fn empty_beside(other: &Self) -> Self {
        Self {
            temporary: temporary_folder(),
            clock: other.clock.clone(),
            entropy: other.entropy.clone(),
        }
    }

    /// A folder on another file system than this one's.
    pub(crate) fn other_disk(&self) -> tempfile::TempDir {
        let own = std::fs::metadata(self.temporary.path()).unwrap().dev();
        let other = ["/dev/shm", "/run", "/var/tmp", env!("CARGO_TARGET_TMPDIR")]
            .into_iter()
            .filter_map(|folder| tempfile::tempdir_in(folder).ok())
            .find(|folder| std::fs::metadata(folder.path()).unwrap().dev() != own);
        other.expect("this machine has a second file system to write to")
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.temporary.path().join("kms")
    }

    pub(crate) fn master_key_file(&self) -> PathBuf {
        self.folder().join("host-master.key")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder().join("store/kms.sqlite")
    }

    pub(crate) fn bundle(&self, client: &str) -> PathBuf {
        self.folder().join("clients").join(client)
    }

    pub(crate) fn config(&self) -> KmsConfig {
        let mut config = KmsConfig::read(&self.folder()).unwrap();
        config.listen.set_port(0);
        config.metrics_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config
    }

    /// Sets one of the service's limits, from its next start on.
    pub(crate) fn limit(&self, name: &str, value: i64) {
        let path = self.folder().join("kms.toml");
        let mut config: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let limits = config["limits"].as_table_mut().unwrap();
        limits
            .insert(name.to_owned(), value.into())
            .expect("there is such a limit");
        std::fs::write(&path, config.to_string()).unwrap();
    }

    pub(crate) fn open_store(&self) -> Result<StoreFile, String> {
        let config = self.config();
        let master = HostMasterKey::read(&self.master_key_file()).map_err(|error| error.to_string())?;
        StoreFile::open(&config.store, &master).map_err(|error| error.to_string())
    }

    /// The file that a service of this folder locks.
    pub(crate) fn lock_file(&self) -> PathBuf {
        match &self.config().store {
            StorePlace::Folder(folder) => folder.join("lock"),
            StorePlace::Postgresql(_) => self.folder().join("lock"),
        }
    }

    /// The store, once nothing else has it: a program that a test beside this one is just starting holds every lock of the process until it
    /// runs.
    pub(crate) fn opened_store(&self) -> StoreFile {
        for _ in 0..500 {
            match self.open_store() {
                Err(error) if error.contains("in use by another") => std::thread::sleep(Duration::from_millis(10)),
                opened => return opened.unwrap(),
            }
        }
        panic!("the store stays in use");
    }

    /// The service without its web front, with whatever schedule `kms.toml` has.
    pub(crate) fn kms(&self) -> Arc<Kms> {
        let kms = Kms::start(self.opened_store(), self.clock.clone(), self.entropy.clone()).unwrap();
        kms.limit_releases(self.config().releases);
        Arc::new(kms.with_snapshots(self.config().snapshots))
    }

    /// Has the service make snapshots by itself: `lines` of kms.toml beside the folder, which is on another file system.
    pub(crate) fn schedule(&self, lines: &str) -> tempfile::TempDir {
        let disk = self.other_disk();
        let path = self.folder().join("kms.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let folder = disk.path().display();
        std::fs::write(path, format!("{text}[snapshots]\nfolder = \"{folder}\"\n{lines}\n")).unwrap();
        disk
    }

    pub(crate) async fn serve(&self) -> Running {
        self.serve_after(|| {}).await
    }

    /// Does something between the service's reading of its files and its first look at the clock.
    pub(crate) async fn serve_after(&self, meanwhile: impl FnOnce()) -> Running {
        self.serve_kms(self.kms(), meanwhile).await
    }

    /// With such connectors for the servers that administrators configure.
    pub(crate) async fn serve_through(&self, connectors: &Arc<connectors::Connectors>) -> Running {
        let kms = Kms::start(self.opened_store(), self.clock.clone(), self.entropy.clone()).unwrap();
        let kms = kms.with_connectors(connectors.clone());
        self.serve_kms(Arc::new(kms), || {}).await
    }

    /// With servers behind it.
    pub(crate) async fn serve_with(&self, servers: Vec<Arc<dyn ExternalServer>>, rules: SelectionRules) -> Running {
        let kms = Kms::start(self.opened_store(), self.clock.clone(), self.entropy.clone()).unwrap();
        let kms = kms.with_servers(Selection::new(servers, rules, self.clock.clone()).unwrap());
        self.serve_kms(Arc::new(kms), || {}).await
    }

    pub(crate) async fn serve_kms(&self, kms: Arc<Kms>, meanwhile: impl FnOnce()) -> Running {
        let server = Server::bind(&self.config(), kms, self.clock.clone()).await.unwrap();
        let address = server.address().unwrap();
        let metrics = server.metrics_address().unwrap().unwrap();
        meanwhile();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Running {
            address,
            metrics,
            stop,
            task,
        }
    }

    pub(crate) fn client(&self, name: &str, address: SocketAddr) -> KmsClient {
        client(&self.bundle(name), &[&format!("https://{address}")], &self.clock)
    }

    pub(crate) fn audit(&self) -> Vec<AuditRecord> {
        let config = self.config();
        let master = HostMasterKey::read(&self.master_key_file()).unwrap();
        let mut records = Vec::new();
        walk_audit(&config.store, &master, |record| {
            records.push(record.clone());
            Ok(())
        })
        .unwrap();
        records
    }
}

/// A store that takes no writes until this is ended.
pub(crate) enum NoWrites {
    /// Somebody else is writing.
    Sqlite(rusqlite::Connection),
    /// Its tables are not for writing.
    Postgresql(Box<tapekey::kms::store::PostgresqlPlace>),
}

impl NoWrites {
    pub(crate) fn end(self) {
        match self {
            Self::Sqlite(connection) => connection.execute_batch("ROLLBACK").unwrap(),
            Self::Postgresql(place) => drop(postgresql::sql(&place, "GRANT UPDATE ON store TO tapekey")),
        }
    }
}

/// A store as somebody kept it who wants changes undone later.
pub(crate) enum Kept {
    Files(tempfile::TempDir),
    Database(String),
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(to).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// All that stands in the store of the KMS in `folder`.
pub(crate) fn store_bytes(folder: &Path) -> Vec<u8> {
    match KmsConfig::read(folder).unwrap().store {
        StorePlace::Folder(store) => {
            let files =
                ["kms.sqlite", "kms.sqlite-wal"].map(|name| std::fs::read(store.join(name)).unwrap_or_default());
            assert!(!files[0].is_empty());
            files.concat()
        }
        StorePlace::Postgresql(place) => postgresql::everything(&place).into_bytes(),
    }
}

/// On the file system of the store, wherever that is.
fn temporary_folder() -> tempfile::TempDir {
    if on_postgresql() {
        tempfile::tempdir_in(postgresql::disk()).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Requests that the client of the KMS would never send, over the same TLS.
pub(crate) struct Raw {
    http: reqwest::Client,
    tls: Arc<rustls::ClientConfig>,
    address: SocketAddr,
}

impl Raw {
    pub(crate) fn new(home: &Home, client: &str, address: SocketAddr) -> Self {
        let bundle = home.bundle(client);
        let read = |name: &str| std::fs::read(bundle.join(name)).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&read("ca.pem")).unwrap())
            .unwrap();
        let chain = vec![CertificateDer::from_pem_slice(&read("certificate.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_details(provider, Arc::new(TlsTime(home.clock.clone())))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            http,
            tls: Arc::new(tls),
            address,
        }
    }

    /// What it shows and believes.
    pub(crate) fn tls(&self) -> Arc<rustls::ClientConfig> {
        self.tls.clone()
    }

    /// A connection, its handshake done as far as this side can see.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = rustls::pki_types::ServerName::from(self.address.ip());
        TlsConnector::from(self.tls.clone())
            .connect(name, stream)
            .await
            .unwrap()
    }

    /// Sends bytes inside TLS, ends its side, and gives back whatever comes until the other side ends too.
    pub(crate) async fn bytes(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // The service may hang up in the middle of what it will not read.
        let _ = stream.write_all(request).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        let _ = ended.expect("the service ends the connection");
        answer
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<String>) -> (StatusCode, String) {
        let url = format!("https://{}{path}", self.address);
        let response = self.http.request(method, url).body(body.into()).send().await.unwrap();
        assert!(
            response.headers().contains_key("tapekey-audit-head"),
            "every reply carries the head"
        );
        (response.status(), response.text().await.unwrap())
    }
}

/// One answer of a service on an open connection: header and body.
pub(crate) async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let reading = async {
        loop {
            if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if answer.len() >= end + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap()) {
                    break;
                }
            }
            let mut some = [0; 4096];
            match stream.read(&mut some).await {
                Ok(read @ 1..) => answer.extend_from_slice(&some[..read]),
                _ => break,
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), reading).await;
    ended.expect("the service answers");
    String::from_utf8(answer).unwrap()
}

pub(crate) fn client(bundle: &Path, addresses: &[&str], clock: &Arc<VirtualClock>) -> KmsClient {
    let clock: Arc<dyn Clock> = clock.clone();
    KmsClient::new(&client_config(bundle, addresses), &clock).unwrap()
}

pub(crate) fn client_config(bundle: &Path, addresses: &[&str]) -> ClientConfig {
    let mut config = ClientConfig::from_bundle(bundle).unwrap();
    config.addresses = addresses
        .iter()
        .map(|address| address.parse::<KmsAddress>().unwrap())
        .collect();
    config
}

/// A service at work.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// Of health, readiness and metrics.
    pub(crate) metrics: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

pub(crate) fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

pub(crate) fn volume(name: &str) -> VolumeName {
    VolumeName::new(name).unwrap()
}

pub(crate) fn new_group(name: &str, kind: KeyKind) -> CreateGroup {
    CreateGroup {
        name: group(name),
        kind,
        purpose: Purpose::of(&group(name)),
        description: String::new(),
    }
}

pub(crate) fn new_snapshot(path: impl AsRef<Path>) -> CreateSnapshot {
    CreateSnapshot {
        path: path.as_ref().to_str().unwrap().to_owned(),
        same_filesystem: false,
    }
}

pub(crate) async fn rotate(admin: &KmsClient, name: &str) -> KeyMove {
    admin
        .rotate_group(
            &group(name),
            &RotateGroup {
                name: None,
                single_copy: true,
            },
        )
        .await
        .unwrap()
}

/// A key as it comes from a passphrase: all its bytes, and those of its id, are `byte`.
pub(crate) fn passphrase_key(byte: u8) -> CreatePassphraseKey {
    CreatePassphraseKey {
        id: KeyId([byte; 16]),
        name: None,
        description: String::new(),
        key: DataKey::take(&mut [byte; 32]),
        weak: false,
    }
}

/// An import of keys whose bytes are all the same, with the KADs `foreign N`.
pub(crate) fn import(bytes: &[u8], commit: bool) -> ImportKeys {
    let keys = bytes.iter().map(|byte| ImportedKey {
        id: None,
        name: None,
        description: String::new(),
        key: DataKey::take(&mut [*byte; 32]),
        foreign_kad: Some(format!("foreign {byte}").into_bytes()),
    });
    ImportKeys {
        keys: keys.collect(),
        commit,
    }
}

/// The error of a result whose success cannot be printed.
pub(crate) fn error<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => panic!("it succeeded"),
        Err(error) => error.to_string(),
    }
}
