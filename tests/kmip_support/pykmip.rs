//! PyKMIP's server as it really runs: a process on a free port of this machine, with a folder of its own, killed when dropped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::certificates::{Authority, Identity};
use super::talk::{Carrier, Talk, grouped};
use super::{PATIENCE, tags};

/// Set where the server must be there: then a test without it fails.
const NEEDED: &str = "TAPEKEY_TESTS_NEED_KMIP";

/// The owner makes and ends keys; everybody with a certificate finds and reads them. For the attribute Operation Policy Name.
pub(crate) const OWNER_AND_READERS: &str = "owner and readers";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it is published: no custom attributes.
    Stock,
    /// Through our launcher, which adds them.
    WithCustomAttributes,
}

pub(crate) struct PyKmip {
    kind: Kind,
    venv: PathBuf,
    folder: tempfile::TempDir,
    authority: Arc<Authority>,
    address: SocketAddr,
    running: Option<Child>,
}

impl PyKmip {
    /// Starts one; none where PyKMIP is not installed, which is said, and is a failure where [`NEEDED`] is set.
    pub(crate) async fn start(kind: Kind, authority: &Arc<Authority>) -> Option<Self> {
        let mut made = Self::made(kind, authority, &authority.server())?;
        made.run();
        made.until_it_answers().await;
        Some(made)
    }

    /// The same with a server certificate that no client may take: it is only waited for until it listens.
    pub(crate) async fn start_as_far_as_it_listens(
        kind: Kind,
        authority: &Arc<Authority>,
        server: &Identity,
    ) -> Option<Self> {
        let mut made = Self::made(kind, authority, server)?;
        made.run();
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(made.address).await.is_err() {
            assert!(
                begun.elapsed() < PATIENCE,
                "PyKMIP does not listen:\n{}",
                made.everything_said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(made)
    }

    fn made(kind: Kind, authority: &Arc<Authority>, server: &Identity) -> Option<Self> {
        let made = Self {
            kind,
            venv: venv()?,
            folder: tempfile::tempdir().unwrap(),
            authority: Arc::clone(authority),
            address: free_address(),
            running: None,
        };
        made.write_files(server);
        Some(made)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// What it wrote into its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Ends it and all its processes at once, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut group) = self.running.take() {
            let leader = Pid::from_raw(i32::try_from(group.id()).unwrap());
            let _ = killpg(leader, Signal::SIGKILL);
            let _ = group.wait();
            // The leader's children have the socket; they are not ours to wait for.
            let begun = Instant::now();
            while std::net::TcpStream::connect(self.address).is_ok() && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// It stands still from now on: connections come about and nothing is answered.
    pub(crate) fn freeze(&self) {
        let group = self.running.as_ref().unwrap();
        let leader = Pid::from_raw(i32::try_from(group.id()).unwrap());
        killpg(leader, Signal::SIGSTOP).unwrap();
    }

    /// Starts it again: the same address, the same database.
    pub(crate) async fn start_again(&mut self) {
        self.kill();
        self.run();
        self.until_it_answers().await;
    }

    /// A connection of the test's own, as the client of this name.
    pub(crate) async fn talk(&self, common_name: &str) -> Talk {
        let client = self.authority.client(common_name);
        Talk::open(self.address, &self.authority, &client).await.unwrap()
    }

    /// It reads policies only a while after it has started.
    pub(crate) async fn until_the_policy_is_in_force(&self) {
        let (mut owner, mut reader) = (self.talk("prober's owner").await, self.talk("prober").await);
        let group = || grouped(Carrier::ObjectGroup, "policy probe");
        let key = owner
            .register_with(vec![group(), for_owner_and_readers()], &[0; 32])
            .await
            .unwrap();
        let begun = Instant::now();
        while reader.locate(vec![group()]).await.unwrap().is_empty() {
            assert!(
                begun.elapsed() < PATIENCE,
                "PyKMIP reads no policy:\n{}",
                self.everything_said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        owner.destroy(&key).await.unwrap();
    }

    fn write_files(&self, server: &Identity) {
        let folder = self.folder.path();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("server.crt", &server.certificate_pem);
        write("server.key", &server.key_pem);
        write("ca.crt", &self.authority.certificate_pem);
        std::fs::create_dir(folder.join("policy")).unwrap();
        write("policy/owner-and-readers.json", &owner_and_readers());
        let folder = folder.display();
        let port = self.address.port();
        let config = format!(
            "[server]\nhostname=127.0.0.1\nport={port}\ncertificate_path={folder}/server.crt\n\
             key_path={folder}/server.key\nca_path={folder}/ca.crt\nauth_suite=TLS1.2\n\
             enable_tls_client_auth=True\npolicy_path={folder}/policy\ndatabase_path={folder}/kmip.db\n\
             logging_level=INFO\n"
        );
        write("server.conf", &config);
    }

    fn run(&mut self) {
        let venv = &self.venv;
        let mut program = match self.kind {
            Kind::Stock => vec![venv.join("bin/pykmip-server")],
            Kind::WithCustomAttributes => vec![
                venv.join("bin/python"),
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kmip/kmip_test_server.py"),
            ],
        };
        let folder = self.folder.path();
        program.extend([
            "-f".into(),
            folder.join("server.conf"),
            "-l".into(),
            folder.join("server.log"),
        ]);
        let said = std::fs::File::create(folder.join("output.log")).unwrap();
        // The shell leads the group. It ends the group when its input does, which is when this process is gone, however it went.
        let group = Command::new("sh")
            .args(["-c", "\"$@\" </dev/null & cat; kill -KILL 0", "sh"])
            .args(program)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        self.running = Some(group);
    }

    async fn until_it_answers(&self) {
        let client = self.authority.client("the one who waits");
        let begun = Instant::now();
        while Talk::open(self.address, &self.authority, &client).await.is_err() {
            assert!(
                begun.elapsed() < PATIENCE,
                "PyKMIP does not answer:\n{}",
                self.everything_said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn everything_said(&self) -> String {
        let output = std::fs::read_to_string(self.folder.path().join("output.log")).unwrap_or_default();
        format!("{output}\n{}", self.log())
    }
}

impl Drop for PyKmip {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), self.everything_said().as_bytes());
        }
    }
}

/// The virtual environment that `tests/kmip/venv` makes; none if it was not made.
fn venv() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kmip-venv");
    if venv.join("requirements.txt").exists() {
        return Some(venv);
    }
    assert!(
        std::env::var_os(NEEDED).is_none(),
        "PyKMIP is not installed in {}; tests/kmip/venv does it",
        venv.display()
    );
    let said = "not tested: PyKMIP is not installed; tests/kmip/venv does it\n";
    let _ = std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes());
    None
}

/// A port that nobody listens on. PyKMIP cannot choose one itself.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// The policy of [`OWNER_AND_READERS`], in PyKMIP's own form.
fn owner_and_readers() -> String {
    let (read, end) = (["LOCATE", "GET", "GET_ATTRIBUTES"], ["ACTIVATE", "REVOKE", "DESTROY"]);
    let allowed = |operations: [&str; 3], who: &str| operations.map(|operation| (operation.to_owned(), who.into()));
    let rules: serde_json::Map<String, serde_json::Value> = allowed(read, "ALLOW_ALL")
        .into_iter()
        .chain(allowed(end, "ALLOW_OWNER"))
        .collect();
    serde_json::json!({ OWNER_AND_READERS: { "preset": { "SYMMETRIC_KEY": rules } } }).to_string()
}

/// The attribute that puts a key under [`OWNER_AND_READERS`].
pub(crate) fn for_owner_and_readers() -> (&'static str, super::ttlv::Item) {
    let policy = super::ttlv::text(tags::ATTRIBUTE_VALUE, OWNER_AND_READERS);
    ("Operation Policy Name", policy)
}
