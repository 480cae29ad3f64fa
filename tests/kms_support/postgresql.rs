//! A PostgreSQL server of the tests' own: Debian's, in a temporary folder, on a Unix socket, gone with the process that started it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use tapekey::kad::KeyId;
use tapekey::kms::store::{PostgresqlPlace, StorePlace};
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

/// Set by `tests/all`: then a machine without PostgreSQL fails the tests instead of leaving them out.
const NEEDED: &str = "TAPEKEY_TESTS_NEED_POSTGRESQL";

/// Who owns the tables.
pub(crate) const USER: &str = "tapekey";

/// What administers the server.
const ADMINISTRATOR: &str = "postgres";

/// Longer than the server takes for anything that a test asks of it.
const LONGEST: Duration = Duration::from_secs(60);

/// Where the server keeps its data if there is room: it waits for the disk at every commit, and far longer for every new database.
const MEMORY: &str = "/dev/shm";

/// What the databases of all stories take, and more.
const ROOM: u64 = 4 << 30;

/// A running server.
pub(crate) struct Server {
    programs: PathBuf,
    folder: PathBuf,
    account: Option<Account>,
    /// None if another story of this process started it.
    keeper: Option<Child>,
}

/// Whom the server runs as where the tests run as root, which it refuses.
#[derive(Debug, Clone, Copy)]
struct Account {
    uid: u32,
    gid: u32,
}

/// The folder with Debian's newest server, if one is installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions.map(|version| version.unwrap().path().join("bin"));
    programs.filter(|bin| bin.join("initdb").exists()).max()
}

/// A folder for the data of servers, and for what a test wants on the same file system.
pub(crate) fn disk() -> PathBuf {
    let room = nix::sys::statvfs::statvfs(MEMORY).map_or(0, |found| {
        found.blocks_available().saturating_mul(found.fragment_size())
    });
    if room >= ROOM && tempfile::tempfile_in(MEMORY).is_ok() {
        MEMORY.into()
    } else {
        std::env::temp_dir()
    }
}

/// The server that all stories of this process share, each with databases of its own. Where there is none to be had the process ends and
/// says so, since a story that did not run has not passed.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(Server::of_this_process)
}

/// Names this process for as long as the machine runs.
fn this_process() -> String {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program, in brackets, may have blanks in it; the 22nd field is when it was started.
    let (_, after_the_name) = stat.rsplit_once(')').unwrap();
    let started = after_the_name.split_whitespace().nth(19).unwrap();
    format!("{}-{started}", std::process::id())
}

impl Server {
    /// Starts one with further `settings`, or ends the process if none is installed.
    pub(crate) fn start_or_leave(settings: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("tapekey-postgresql-")
            .tempdir_in(disk())
            .unwrap()
            .keep();
        let server = Self::kept(folder);
        server.set_up(settings);
        server
    }

    /// Every story has a copy of its own of this module, so what they share is known by the process that they run in.
    fn of_this_process() -> Self {
        let folder = disk().join(format!("tapekey-postgresql-{}", this_process()));
        std::fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let serves = folder.join("serves");
        if serves.exists() {
            return Self {
                programs: programs().unwrap(),
                folder,
                account: account(),
                keeper: None,
            };
        }
        let server = Self::kept(folder);
        server.set_up("");
        File::create(serves).unwrap();
        server
    }

    /// One that has nothing yet in its `folder`, which goes when the process does.
    fn kept(folder: PathBuf) -> Self {
        let Some(programs) = programs() else {
            assert!(
                std::env::var_os(NEEDED).is_none(),
                "PostgreSQL is not installed, and {NEEDED} is set"
            );
            let says = "NOT RUN: the stories on PostgreSQL, since it is not installed (apt-get install postgresql)\n";
            std::io::stderr().write_all(says.as_bytes()).unwrap();
            let _ = std::fs::remove_dir_all(folder);
            std::process::exit(0);
        };
        let account = account();
        if let Some(Account { uid, gid }) = account {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let keeper = Some(keep(&folder, &programs, account));
        Self {
            programs,
            folder,
            account,
            keeper,
        }
    }

    fn set_up(&self, settings: &str) {
        // A collation that orders unlike bytes do, so that nobody relies on the server's.
        let collation = [
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--locale-provider=icu",
            "--icu-locale=en-US",
        ];
        let data = self.data();
        let mut initdb = self.command("initdb");
        initdb
            .arg("-D")
            .arg(&data)
            .args(["-U", ADMINISTRATOR, "-A", "trust", "--no-sync"])
            .args(collation);
        done(&mut initdb);
        let socket = self.folder.display();
        let own = format!(
            "listen_addresses = ''\nunix_socket_directories = '{socket}'\nshared_buffers = '16MB'\ndynamic_shared_memory_type = mmap\nmax_connections = 200\n{settings}\n"
        );
        let mut file = File::options().append(true).open(data.join("postgresql.conf")).unwrap();
        file.write_all(own.as_bytes()).unwrap();
        self.control(&["start"]);
        let port = settings
            .split_once("port = ")
            .map_or(5432, |(_, port)| port.trim().parse().unwrap());
        self.administer_on(port, "postgres", &format!("CREATE ROLE {USER} LOGIN"));
    }

    /// Where it keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The folder of its socket; no program of the tests may leave anything there.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts, stops or restarts it and waits until that is done.
    pub(crate) fn control(&self, what: &[&str]) {
        let mut control = self.command("pg_ctl");
        control
            .arg("-D")
            .arg(self.data())
            .arg("-l")
            .arg(self.folder.join("log"));
        done(control.args(["-w", "-t", "60"]).args(what));
    }

    /// A new, empty database for a node of this id.
    pub(crate) fn new_store(&self, node: KeyId) -> StorePlace {
        let name = new_name();
        self.administer("postgres", &format!("CREATE DATABASE {name} OWNER {USER}"));
        let host = self.folder.to_str().unwrap();
        let place = PostgresqlPlace::new(node, (host, 5432), (&name, USER), (None, None), Some(self.data()));
        StorePlace::Postgresql(Box::new(place))
    }

    /// Keeps a database, which nobody may be using, under another name.
    pub(crate) fn keep(&self, database: &str) -> String {
        let kept = new_name();
        let sql = format!("CREATE DATABASE {kept} TEMPLATE {database} OWNER {USER}");
        self.administer("postgres", &sql);
        kept
    }

    /// Puts what was kept back in its place.
    pub(crate) fn put_back(&self, kept: &str, database: &str) {
        self.administer("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"));
        let sql = format!("CREATE DATABASE {database} TEMPLATE {kept} OWNER {USER}");
        self.administer("postgres", &sql);
    }

    /// Runs SQL as the server's administrator.
    pub(crate) fn administer(&self, database: &str, sql: &str) -> String {
        self.administer_on(5432, database, sql)
    }

    /// The same for a server with another port.
    pub(crate) fn administer_on(&self, port: u16, database: &str, sql: &str) -> String {
        let mut config = Config::new();
        config.host_path(&self.folder).port(port);
        config.user(ADMINISTRATOR).dbname(database);
        lines(&ask(&config, sql))
    }

    /// From now on nobody comes in over TCP but with TLS and a password.
    pub(crate) fn serve_tls(&self, port: u16, certificate: &str, key: &str) {
        let data = self.data();
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            std::fs::write(data.join(name), text).unwrap();
            std::fs::set_permissions(data.join(name), PermissionsExt::from_mode(0o600)).unwrap();
            if let Some(Account { uid, gid }) = self.account {
                chown(data.join(name), Some(uid), Some(gid)).unwrap();
            }
        }
        let hba = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), hba).unwrap();
        self.administer_on(port, "postgres", "ALTER SYSTEM SET ssl = on");
        self.control(&["restart"]);
    }

    fn command(&self, program: &str) -> Command {
        as_account(self.account, self.programs.join(program).as_os_str())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            let pid = i32::try_from(keeper.id()).unwrap();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
            keeper.wait().unwrap();
        }
    }
}

/// Does something to the store in `place`; how many records that changed. What SQLite writes otherwise is translated.
pub(crate) fn sql(place: &PostgresqlPlace, sql: &str) -> usize {
    let mut text = sql.replace("randomblob(16)", "decode(md5(random()::text), 'hex')");
    while let Some((before, rest)) = text.split_once("zeroblob(") {
        let (length, after) = rest.split_once(')').unwrap();
        text = format!("{before}decode(repeat('00', {length}), 'hex'){after}");
    }
    while let Some((before, rest)) = text.split_once("= x'") {
        let (digits, after) = rest.split_once('\'').unwrap();
        text = format!("{before}= decode('{digits}', 'hex'){after}");
    }
    let changed = ask(&config(place), &text)
        .into_iter()
        .rev()
        .find_map(|message| match message {
            SimpleQueryMessage::CommandComplete(changed) => Some(changed),
            _ => None,
        });
    usize::try_from(changed.unwrap_or(0)).unwrap()
}

/// What stands in the store in `place`.
pub(crate) fn select(place: &PostgresqlPlace, sql: &str) -> String {
    lines(&ask(&config(place), sql))
}

/// All that the store in `place` has, as the server prints it.
pub(crate) fn everything(place: &PostgresqlPlace) -> String {
    let tables = select(
        place,
        "SELECT tablename FROM pg_tables WHERE schemaname = 'tapekey' ORDER BY tablename",
    );
    let rows = tables
        .lines()
        .map(|table| select(place, &format!("SELECT * FROM {table}")));
    rows.collect::<Vec<_>>().join("\n")
}

/// The options that name `place`.
pub(crate) fn options(place: &PostgresqlPlace) -> Vec<String> {
    let data = place.data_directory.as_deref().and_then(Path::to_str).unwrap();
    let words = ["--postgresql", &place.host, "--database", &place.database];
    let words = words.into_iter().chain(["--user", USER, "--data-directory", data]);
    words.map(str::to_owned).collect()
}

/// A name that no other database has. Stories of one process have copies of this counter, but no name in common.
fn new_name() -> String {
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let story = module_path!().rsplit("::").nth(2).unwrap();
    format!("{story}_{}", DATABASES.fetch_add(1, Ordering::SeqCst))
}

fn config(place: &PostgresqlPlace) -> Config {
    let mut config = Config::new();
    config.host_path(&place.host).user(USER).dbname(&place.database);
    config.options("-c search_path=tapekey");
    config
}

/// Runs SQL on a connection of its own, and on a thread of its own, since whoever asks may be in a runtime already.
fn ask(config: &Config, sql: &str) -> Vec<SimpleQueryMessage> {
    let asking = async {
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let carried = tokio::spawn(connection);
        let said = client.simple_query(sql).await;
        drop(client);
        // When it has ended, nobody is in the way of whoever wants the database for themselves.
        let _ = carried.await;
        said.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    };
    let answered = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { tokio::time::timeout(LONGEST, asking).await })
    };
    thread::scope(|scope| scope.spawn(answered).join().unwrap()).expect("the server answers")
}

/// Rows as lines, columns with bars between.
fn lines(messages: &[SimpleQueryMessage]) -> String {
    let mut text = String::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let columns = (0..row.len()).map(|column| row.get(column).unwrap_or_default());
            writeln!(text, "{}", columns.collect::<Vec<_>>().join("|")).unwrap();
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Debian's account for the server, or nobody, where the tests run as root.
fn account() -> Option<Account> {
    let id = |flag: &str, name: &str| -> Option<u32> {
        let found = Command::new("id").args([flag, name]).output().unwrap();
        String::from_utf8(found.stdout).unwrap().trim().parse().ok()
    };
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let accounts = ["postgres", "nobody"].into_iter();
    let mut accounts = accounts.filter_map(|name| {
        Some(Account {
            uid: id("-u", name)?,
            gid: id("-g", name)?,
        })
    });
    Some(accounts.next().expect("an account for the server"))
}

fn as_account(account: Option<Account>, program: &OsStr) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(Account { uid, gid }) = account {
        let ids = [
            format!("--reuid={uid}"),
            format!("--regid={gid}"),
            "--clear-groups".to_owned(),
        ];
        command.args(ids);
    } else {
        command.arg("--no-new-privs");
    }
    command.arg("--").arg(program).current_dir("/").stdin(Stdio::null());
    command
}

/// A process that outlives no test: when this one ends, however, it stops the server and removes its folder.
fn keep(folder: &Path, programs: &Path, account: Option<Account>) -> Child {
    const SCRIPT: &str = r#"
        trap '"$1/pg_ctl" -D "$2/data" -m immediate -w stop; rm -rf "$2"; kill $!; exit 0' TERM
        sleep infinity & wait
    "#;
    let mut keeper = as_account(account, OsStr::new("setpriv"));
    keeper
        .args(["--pdeathsig", "TERM", "sh", "-c", SCRIPT, "sh"])
        .arg(programs)
        .arg(folder);
    keeper.stdout(Stdio::null()).stderr(Stdio::null());
    let (send, receive) = std::sync::mpsc::channel();
    // The signal comes when the thread that started the process ends, and threads of tests end early.
    thread::spawn(move || {
        send.send(keeper.spawn().unwrap()).unwrap();
        loop {
            thread::park();
        }
    });
    receive.recv().unwrap()
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
