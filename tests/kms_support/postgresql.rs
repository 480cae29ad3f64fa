//! A PostgreSQL server of the tests' own: Debian's, in a temporary folder, on a Unix socket, gone with the process that started it.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use tapekey::kad::KeyId;
use tapekey::kms::store::{PostgresqlPlace, StorePlace};

/// Set by `tests/all`: then a machine without PostgreSQL fails the tests instead of leaving them out.
const NEEDED: &str = "TAPEKEY_TESTS_NEED_POSTGRESQL";

/// Who owns the tables.
pub(crate) const USER: &str = "tapekey";

/// A running server.
pub(crate) struct Server {
    programs: PathBuf,
    folder: PathBuf,
    account: Option<Account>,
    keeper: Child,
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

/// The server that all stories of this process share, each with a database of its own. Where there is none to be had the process ends and
/// says so, since a story that did not run has not passed.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start_or_leave(""))
}

impl Server {
    /// Starts one with further `settings`, or ends the process if none is installed.
    pub(crate) fn start_or_leave(settings: &str) -> Self {
        if let Some(programs) = programs() {
            return Self::start(programs, settings);
        }
        assert!(
            std::env::var_os(NEEDED).is_none(),
            "PostgreSQL is not installed, and {NEEDED} is set"
        );
        let says = "NOT RUN: the stories on PostgreSQL, since it is not installed (apt-get install postgresql)\n";
        std::io::stderr().write_all(says.as_bytes()).unwrap();
        std::process::exit(0);
    }

    fn start(programs: PathBuf, settings: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("tapekey-postgresql-")
            .tempdir()
            .unwrap()
            .keep();
        let account = account();
        if let Some(Account { uid, gid }) = account {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let keeper = keep(&folder, &programs, account);
        let server = Self {
            programs,
            folder,
            account,
            keeper,
        };
        // A collation that orders unlike bytes do, so that nobody relies on the server's.
        let collation = [
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--locale-provider=icu",
            "--icu-locale=en-US",
        ];
        let data = server.data();
        let mut initdb = server.command("initdb");
        initdb
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "--no-sync"])
            .args(collation);
        done(&mut initdb);
        let socket = server.folder.display();
        let own = format!(
            "listen_addresses = ''\nunix_socket_directories = '{socket}'\nshared_buffers = '16MB'\nmax_connections = 200\n{settings}\n"
        );
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .unwrap();
        file.write_all(own.as_bytes()).unwrap();
        server.control(&["start"]);
        let port = settings
            .split_once("port = ")
            .map_or(5432, |(_, port)| port.trim().parse().unwrap());
        server.administer_on(port, "postgres", &format!("CREATE ROLE {USER} LOGIN"));
        server
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
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let name = format!("kms_{}", DATABASES.fetch_add(1, Ordering::SeqCst));
        self.administer("postgres", &format!("CREATE DATABASE {name} OWNER {USER}"));
        let host = self.folder.to_str().unwrap();
        let place = PostgresqlPlace::new(node, (host, 5432), (&name, USER), (None, None), Some(self.data()));
        StorePlace::Postgresql(Box::new(place))
    }

    /// Runs SQL as the server's administrator.
    pub(crate) fn administer(&self, database: &str, sql: &str) -> String {
        self.administer_on(5432, database, sql)
    }

    /// The same for a server with another port.
    pub(crate) fn administer_on(&self, port: u16, database: &str, sql: &str) -> String {
        let mut psql = self.command("psql");
        psql.arg("-h").arg(&self.folder).args(["-p", &port.to_string()]);
        psql.args(["-U", "postgres", "-d", database]);
        psql.args(["-v", "ON_ERROR_STOP=1", "-X", "-A", "-t", "-c", sql]);
        String::from_utf8(done(&mut psql).stdout).unwrap()
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
        let pid = i32::try_from(self.keeper.id()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
        self.keeper.wait().unwrap();
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
    let said = psql(place, &text, &[]);
    said.split_whitespace()
        .last()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// What stands in the store in `place`.
pub(crate) fn select(place: &PostgresqlPlace, sql: &str) -> String {
    psql(place, sql, &["-A", "-t"]).trim_end().to_owned()
}

fn psql(place: &PostgresqlPlace, sql: &str, options: &[&str]) -> String {
    let mut psql = Command::new(programs().unwrap().join("psql"));
    psql.env("PGOPTIONS", "-c search_path=tapekey");
    psql.args(["-h", &place.host, "-U", USER, "-d", &place.database]);
    psql.args(["-v", "ON_ERROR_STOP=1", "-X"])
        .args(options)
        .args(["-c", sql]);
    String::from_utf8(done(&mut psql).stdout).unwrap()
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
