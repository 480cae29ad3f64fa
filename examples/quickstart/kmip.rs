//! A KMIP server that is not ours, started for the quickstart: PyKMIP in the virtual environment that the tests use, with a CA of its own.

use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tapekey::kms::pki::{Authority, Leaf};
use tapekey::kms_api::Role;
use time::OffsetDateTime;

/// How long it may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server at work. Ended with all its processes when dropped.
pub(crate) struct KmipServer {
    group: Child,
    port: u16,
    files: PathBuf,
}

impl KmipServer {
    /// Installs PyKMIP if it is not there, and starts it in a folder below `work`; its log goes to `logs`.
    pub(crate) fn start(work: &Path, logs: &Path) -> Result<Self, Box<dyn Error>> {
        let installed = Command::new("tests/kmip/venv")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()?;
        if !installed.status.success() {
            return Err("PyKMIP could not be installed; see above".into());
        }
        let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(String::from_utf8(installed.stdout)?.trim());
        let (folder, files) = (work.join("pykmip"), work.join("kmip"));
        fs::create_dir_all(folder.join("policy"))?;
        fs::create_dir_all(&files)?;
        write_certificates(&folder, &files)?;
        // It cannot choose a port itself.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = folder.join("server.conf");
        fs::write(&config, configuration(&folder, port))?;
        let said = fs::File::create(logs.join("pykmip.log"))?;
        // The shell leads the group, and ends it when its input does: when this program is gone, however it went.
        let group = Command::new("sh")
            .args(["-c", "\"$@\" </dev/null & cat; kill -KILL 0", "sh"])
            .arg(venv.join("bin/pykmip-server"))
            .arg("-f")
            .arg(&config)
            .arg("-l")
            .arg(folder.join("server.log"))
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()?;
        let server = Self { group, port, files };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("PyKMIP does not listen; {} says why", logs.join("pykmip.log").display()).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Where it is reached.
    pub(crate) fn endpoint(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The folder with ca.pem, certificate.pem and key.pem for the key service.
    pub(crate) fn bundle(&self) -> String {
        self.files.display().to_string()
    }
}

impl Drop for KmipServer {
    fn drop(&mut self) {
        // Without its input the shell ends the group, itself included.
        drop(self.group.stdin.take());
        let _ = self.group.wait();
    }
}

fn write_certificates(server: &Path, client: &Path) -> Result<(), Box<dyn Error>> {
    let now = OffsetDateTime::now_utc();
    let authority = Authority::root(now)?;
    let own = authority.server(&["localhost".to_owned(), "127.0.0.1".to_owned()], now)?;
    let ours = authority.client("tapekey-kms", Role::MediaServer, now)?;
    fs::write(server.join("ca.pem"), authority.certificate_pem())?;
    fs::write(client.join("ca.pem"), authority.certificate_pem())?;
    write_leaf(server, &own)?;
    write_leaf(client, &ours)
}

fn write_leaf(folder: &Path, leaf: &Leaf) -> Result<(), Box<dyn Error>> {
    fs::write(folder.join("certificate.pem"), &leaf.certificate_pem)?;
    let mut options = fs::OpenOptions::new();
    let mut key = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(folder.join("key.pem"))?;
    std::io::Write::write_all(&mut key, leaf.key_pem.as_bytes())?;
    Ok(())
}

fn configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "[server]
hostname=127.0.0.1
port={port}
certificate_path={folder}/certificate.pem
key_path={folder}/key.pem
ca_path={folder}/ca.pem
auth_suite=TLS1.2
enable_tls_client_auth=True
policy_path={folder}/policy
database_path={folder}/kmip.db
logging_level=INFO
"
    )
}
