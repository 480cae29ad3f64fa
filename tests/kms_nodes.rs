//! Two nodes, real processes, on one PostgreSQL server of their own: either is killed, one stands still, the server restarts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kms_support::postgresql::{Server, USER};
use kms_support::process::{Process, WallClock, fails, says};
use kms_support::{group, new_group, volume};
use nix::sys::signal::Signal;
use tapekey::clock::Clock;
use tapekey::kad::{KeyId, KeyKind};
use tapekey::kms::store::StorePlace;
use tapekey::kms_api::{
    Binding, ClientName, CreateEnrollment, EnrollToken, ErrorCode, RevokeCertificates, Role, RotateGroup,
};
use tapekey::kms_client::{BackupKey, KmsClient, KmsClientError, NewBundle, enroll};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// No request takes longer, whatever happens to the other node or to the server.
const LONGEST: Duration = Duration::from_secs(9);

/// The lock that a writing transaction holds: "TKMS".
const WRITERS_LOCK: i64 = 0x544B_4D53;

/// Requests in a row after each event.
const REQUESTS: usize = 20;

/// A server, a store on it, and two nodes' folders.
struct Pair {
    temporary: TempDir,
    folders: [PathBuf; 2],
    server: Server,
    database: String,
}

impl Pair {
    fn new() -> Self {
        let server = Server::start_or_leave("");
        let StorePlace::Postgresql(place) = server.new_store(KeyId([0; 16])) else {
            unreachable!()
        };
        let temporary = tempfile::tempdir().unwrap();
        let folders = ["one", "two"].map(|name| temporary.path().join(name));
        let pair = Self {
            temporary,
            folders,
            server,
            database: place.database,
        };
        let told = says(&pair.words(&["init", pair.folders[0].to_str().unwrap()]));
        assert!(told.contains("tapekey-kms node join"), "{told}");
        let master = pair.folders[0].join("host-master.key");
        let told = says(&pair.words(&[
            "node",
            "join",
            pair.folders[1].to_str().unwrap(),
            "--master-key",
            master.to_str().unwrap(),
        ]));
        assert!(told.contains("tapekey-kms serve"), "{told}");
        pair
    }

    /// The options that name the server, after `words`.
    fn words<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        let mut words = words.to_vec();
        words.extend(["--postgresql", self.server.folder().to_str().unwrap()]);
        words.extend(["--database", &self.database, "--user", USER]);
        let data: &'a str = Box::leak(self.server.data().to_str().unwrap().to_owned().into_boxed_str());
        words.extend(["--data-directory", data]);
        words
    }

    fn client(&self, name: &str, nodes: &[&Process]) -> KmsClient {
        Process::client_of(nodes, &self.folders[0], name)
    }
}

impl Pair {
    /// A group with an active key, made through `node`.
    async fn make_key(&self, node: &Process) {
        let admin = self.client("admin-1", &[node]);
        admin
            .create_group(&new_group("ENCR_daily", KeyKind::Derived))
            .await
            .unwrap();
        let rotate = RotateGroup {
            name: None,
            single_copy: true,
        };
        admin.rotate_group(&group("ENCR_daily"), &rotate).await.unwrap();
    }

    /// Every key that was given is found again through both nodes, and both chains and all records are whole.
    async fn check(&self, nodes: [&Process; 2], given: &[BackupKey]) {
        assert!(!given.is_empty());
        for node in nodes {
            let media = self.client("media-server-1", &[node]);
            for backup in given {
                let found = media.restore_keys(&backup.kad.encode(), None).await.unwrap();
                assert!(found.keys.len() == 1 && found.keys[0].key == backup.key);
            }
        }
        for folder in &self.folders {
            let verified = says(&["verify", folder.to_str().unwrap()]);
            assert!(verified.contains("Every record opens"), "{verified}");
        }
        let audit = says(&["audit", "list", self.folders[1].to_str().unwrap(), "--json"]);
        let records: Vec<serde_json::Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let chains: BTreeSet<_> = records.iter().map(|record| record["node"].as_str().unwrap()).collect();
        assert_eq!(chains.len(), 2);
        let backups = records
            .iter()
            .filter(|record| record["action"] == "backup_key" && record["outcome"] == "done");
        assert!(
            backups.count() >= given.len(),
            "every key that was given is in the audit log"
        );
    }
}

/// A client that asks in a row until it is told to end, whatever comes of it; the keys that it got.
struct Busy {
    end: Arc<AtomicBool>,
    task: JoinHandle<Vec<BackupKey>>,
}

impl Busy {
    fn with(client: KmsClient) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let told = end.clone();
        let task = tokio::spawn(async move {
            let mut given = Vec::new();
            while !told.load(Ordering::SeqCst) {
                let asked = client.backup_key("ENCR_daily", &volume("B00001L8")).await;
                given.extend(asked);
                tokio::task::yield_now().await;
            }
            given
        });
        Self { end, task }
    }

    async fn end(self) -> Vec<BackupKey> {
        self.end.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

async fn asked(client: &KmsClient) -> Result<BackupKey, KmsClientError> {
    let since = Instant::now();
    let answer = client.backup_key("ENCR_daily", &volume("A00001L8")).await;
    assert!(since.elapsed() < LONGEST, "an answer took {:?}", since.elapsed());
    answer
}

/// Asks for keys in a row; each must come, and in time.
async fn served(client: &KmsClient, given: &mut Vec<BackupKey>) {
    for _ in 0..REQUESTS {
        given.push(asked(client).await.unwrap());
    }
}

/// Asks until a key comes; the service has to come back by itself.
async fn comes_back(client: &KmsClient, given: &mut Vec<BackupKey>) {
    for _ in 0..50 {
        if let Ok(key) = asked(client).await {
            given.push(key);
            return;
        }
    }
    panic!("the service did not come back");
}

#[tokio::test]
async fn what_a_node_commits_is_on_the_server_s_disk_whatever_the_server_does_for_others() {
    let pair = Pair::new();
    // The server lets go early unless a session asks for more; beside each audit record stands what was so in its session.
    pair.server.administer(
        &pair.database,
        &format!(
            "ALTER DATABASE {} SET synchronous_commit = off;
             CREATE TABLE public.seen (setting TEXT); GRANT ALL ON public.seen TO {USER};
             CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;
             CREATE TRIGGER see BEFORE INSERT ON tapekey.audit FOR EACH ROW EXECUTE FUNCTION public.see()",
            pair.database
        ),
    );
    let settings = "SELECT DISTINCT setting FROM public.seen";
    assert_eq!(pair.server.administer(&pair.database, "SHOW synchronous_commit"), "off");
    let node = Process::serve(&pair.folders[0]);
    pair.make_key(&node).await;
    asked(&pair.client("media-server-1", &[&node])).await.map(drop).unwrap();
    assert_eq!(pair.server.administer(&pair.database, settings), "on");
}

#[tokio::test]
async fn one_node_serves_while_the_other_is_killed_in_the_middle_of_its_work() {
    let pair = Pair::new();
    let mut nodes = pair.folders.each_ref().map(|folder| Process::serve(folder));
    pair.make_key(&nodes[0]).await;
    let mut given = Vec::new();
    for round in 0..6 {
        let (killed, other) = (round % 2, 1 - round % 2);
        let busy = Busy::with(pair.client("media-server-1", &[&nodes[killed]]));
        served(&pair.client("media-server-1", &[&nodes[other]]), &mut given).await;
        nodes[killed].kill();
        // Who asks the dead one first gets the key from the other.
        served(
            &pair.client("media-server-1", &[&nodes[killed], &nodes[other]]),
            &mut given,
        )
        .await;
        given.extend(busy.end().await);
        nodes[killed] = Process::serve(&pair.folders[killed]);
    }
    pair.check([&nodes[0], &nodes[1]], &given).await;
}

#[tokio::test]
async fn one_node_serves_while_the_other_stands_still_in_the_middle_of_its_work() {
    let pair = Pair::new();
    let nodes = pair.folders.each_ref().map(|folder| Process::serve(folder));
    pair.make_key(&nodes[0]).await;
    let mut given = Vec::new();
    for _ in 0..4 {
        let busy = Busy::with(pair.client("media-server-1", &[&nodes[0]]));
        served(&pair.client("media-server-1", &[&nodes[1]]), &mut given).await;
        nodes[0].signal(Signal::SIGSTOP);
        // Longer than the server leaves a transaction open, so that it is ended while its node cannot see it.
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(4) {
            served(&pair.client("media-server-1", &[&nodes[1]]), &mut given).await;
        }
        nodes[0].signal(Signal::SIGCONT);
        comes_back(&pair.client("media-server-1", &[&nodes[0]]), &mut given).await;
        given.extend(busy.end().await);
    }
    pair.check([&nodes[0], &nodes[1]], &given).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_writes_only_when_nobody_else_has_the_writers_lock() {
    let pair = Pair::new();
    let node = Process::serve(&pair.folders[0]);
    pair.make_key(&node).await;
    let media = pair.client("media-server-1", &[&node]);
    asked(&media).await.unwrap();
    let count = |granted: &str| {
        let sql = format!(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {WRITERS_LOCK} AND {granted}"
        );
        pair.server.administer(&pair.database, &sql).trim().to_owned()
    };
    let until = |granted: &str| {
        let begun = Instant::now();
        while count(granted) != "1" {
            assert!(begun.elapsed() < LONGEST, "{granted}: not seen");
        }
    };
    let hold = format!("SELECT pg_advisory_lock({WRITERS_LOCK}), pg_sleep(5)");
    std::thread::scope(|threads| {
        // Another writer, for as long as it takes to see our node wait.
        threads.spawn(|| pair.server.administer(&pair.database, &hold));
        until("granted");
        let asking = tokio::spawn(async move { asked(&media).await });
        until("NOT granted");
        assert!(!asking.is_finished(), "a key was given while another wrote");
        asking
    })
    .await
    .unwrap()
    .unwrap();
}

#[tokio::test]
async fn both_nodes_live_through_restarts_and_a_crash_of_the_server() {
    let pair = Pair::new();
    let mut nodes = pair.folders.each_ref().map(|folder| Process::serve(folder));
    pair.make_key(&nodes[0]).await;
    let mut given = Vec::new();
    let media = nodes.each_ref().map(|node| pair.client("media-server-1", &[node]));
    for mode in ["fast", "immediate", "fast", "immediate"] {
        let busy = nodes
            .each_ref()
            .map(|node| Busy::with(pair.client("media-server-1", &[node])));
        served(&media[0], &mut given).await;
        pair.server.control(&["restart", "-m", mode]);
        for media in &media {
            comes_back(media, &mut given).await;
        }
        for busy in busy {
            given.extend(busy.end().await);
        }
    }
    // An idle connection that was cut costs no request.
    pair.server.control(&["restart", "-m", "fast"]);
    for media in &media {
        served(media, &mut given).await;
    }
    pair.server.control(&["stop", "-m", "fast"]);
    let error = asked(&media[0]).await.err().unwrap().to_string();
    assert!(
        error.contains("connect to PostgreSQL, database kms_") && error.contains("hint: "),
        "{error}"
    );
    pair.server.control(&["start"]);
    for media in &media {
        comes_back(media, &mut given).await;
    }
    for node in &mut nodes {
        assert!(node.child.try_wait().unwrap().is_none(), "the service is alive");
    }
    pair.check([&nodes[0], &nodes[1]], &given).await;
}

#[tokio::test]
async fn a_host_that_one_node_let_in_has_keys_of_the_other_until_one_ends_its_certificate() {
    let pair = Pair::new();
    let mut nodes = pair.folders.each_ref().map(|folder| Process::serve(folder));
    pair.make_key(&nodes[0]).await;
    let admin = pair.client("admin-1", &[&nodes[0]]);
    let name = ClientName::new("host-7").unwrap();
    let wanted = CreateEnrollment {
        name: name.clone(),
        role: Role::MediaServer,
        binding: Some(Binding::Groups([group("ENCR_daily")].into())),
    };
    let token = admin.create_enrollment(&wanted).await.unwrap();
    let token = EnrollToken::from_text(&token.token).ok().unwrap();
    // A running node looks for tokens of the others once a minute; one that starts looks at once.
    nodes[1].kill();
    nodes[1] = Process::serve(&pair.folders[1]);
    let addresses = vec![nodes[1].address().parse().unwrap()];
    let clock: Arc<dyn Clock> = Arc::new(WallClock);
    let enrolled = enroll(addresses.clone(), &token, &clock).await;
    let bundle = NewBundle::in_empty(&pair.folders[0].join("clients/host-7")).unwrap();
    bundle.fill(&enrolled.ok().unwrap(), &addresses).unwrap();

    let hosts = nodes.each_ref().map(|node| pair.client("host-7", &[node]));
    for host in &hosts {
        asked(host).await.unwrap();
    }
    let again = enroll(vec![nodes[0].address().parse().unwrap()], &token, &clock).await;
    assert!(again.is_err(), "a token is good once, on whichever node");
    admin.revoke(&name, &RevokeCertificates::default()).await.unwrap();
    for host in &hosts {
        let refused = asked(host).await.err().unwrap();
        assert_eq!(refused.code(), Some(ErrorCode::Certificate), "{refused}");
    }
}

#[tokio::test]
async fn what_is_no_store_or_no_safe_server_is_refused_and_left_as_it_is() {
    let pair = Pair::new();
    let again = pair.temporary.path().join("again");
    let again = again.to_str().unwrap();
    let told = fails(&pair.words(&["init", again]));
    assert!(
        told.contains("is in it already") || told.contains("a store of tapekey-kms in it already"),
        "{told}"
    );
    assert!(!Path::new(again).exists(), "nothing is half made");
    let other = tempfile::tempdir().unwrap();
    let key = other.path().join("kms/host-master.key");
    says(&["init", other.path().join("kms").to_str().unwrap()]);
    let told = fails(&pair.words(&["node", "join", again, "--master-key", key.to_str().unwrap()]));
    assert!(
        told.contains("sealed under host master key") && !Path::new(again).exists(),
        "{told}"
    );

    let one = pair.folders[0].to_str().unwrap();
    let node = Process::serve(&pair.folders[0]);
    let told = fails(&["serve", one, "--listen", "127.0.0.1:0"]);
    assert!(told.contains("in use by another tapekey-kms"), "{told}");
    drop(node);

    let database = pair.database.as_str();
    for (sql, says_so, back) in [
        (
            "UPDATE tapekey.layout SET version = version + 1",
            ", this program knows ",
            "UPDATE tapekey.layout SET version = version - 1",
        ),
        (
            "ALTER SCHEMA tapekey RENAME TO elsewhere",
            "there is no store of tapekey-kms in it",
            "ALTER SCHEMA elsewhere RENAME TO tapekey",
        ),
        (
            "ALTER ROLE tapekey NOLOGIN",
            "not permitted to log in",
            "ALTER ROLE tapekey LOGIN",
        ),
    ] {
        pair.server.administer(database, sql);
        let told = fails(&["verify", one]);
        assert!(told.contains(says_so), "{sql}: {told}");
        pair.server.administer(database, back);
    }
    pair.server.administer(database, "ALTER SYSTEM SET fsync = off");
    pair.server.control(&["restart"]);
    let told = fails(&["serve", one, "--listen", "127.0.0.1:0"]);
    assert!(
        told.contains("PostgreSQL has fsync = off, the store needs on"),
        "{told}"
    );
    pair.server.administer(database, "ALTER SYSTEM RESET fsync");
    pair.server.control(&["restart"]);
    assert!(says(&["verify", one]).contains("Every record opens"));
}

#[tokio::test]
async fn to_another_host_the_way_is_tls_under_its_ca_and_a_password_from_a_file() {
    let temporary = tempfile::tempdir().unwrap();
    let at = |name: &str| temporary.path().join(name).to_str().unwrap().to_owned();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Server::start_or_leave(&format!("listen_addresses = '127.0.0.1'\nport = {port}"));
    server.administer_on(port, "postgres", "ALTER ROLE tapekey PASSWORD 'not a word of it'");
    server.administer_on(port, "postgres", "CREATE DATABASE kms OWNER tapekey");
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    server.serve_tls(port, &certified.cert.pem(), &certified.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    for (name, text) in [
        ("ca.pem", certified.cert.pem()),
        ("other-ca.pem", other.cert.pem()),
        ("password", "not a word of it\n".to_owned()),
        ("other-password", "some other words\n".to_owned()),
    ] {
        std::fs::write(at(name), text).unwrap();
        std::fs::set_permissions(at(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
    std::fs::write(at("shown-password"), "not a word of it\n").unwrap();
    std::fs::set_permissions(at("shown-password"), PermissionsExt::from_mode(0o644)).unwrap();
    let data = server.data().to_str().unwrap().to_owned();
    let (folder, port) = (at("kms"), port.to_string());
    let with = |password: &str, ca: Option<&str>| {
        let mut words = vec!["init".to_owned(), folder.clone()];
        words.extend(["--postgresql", "127.0.0.1", "--port", &port, "--database", "kms"].map(str::to_owned));
        words.extend(["--data-directory", &data, "--password-file", &at(password)].map(str::to_owned));
        words.extend(ca.iter().flat_map(|ca| ["--ca-file".to_owned(), at(ca)]));
        words
    };
    for (password, ca, says_so) in [
        ("password", None, "no encryption"),
        ("password", Some("other-ca.pem"), "invalid peer certificate"),
        ("password", Some("missing.pem"), "CA of PostgreSQL's certificate"),
        ("other-password", Some("ca.pem"), "password authentication failed"),
        ("shown-password", Some("ca.pem"), "mode 0644: others could read"),
    ] {
        let words = with(password, ca);
        let told = fails(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(
            told.contains(says_so) && !told.contains("not a word"),
            "{words:?}: {told}"
        );
    }
    says(
        &with("password", Some("ca.pem"))
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    );
    assert!(says(&["verify", &folder]).contains("Every record opens"));
}
