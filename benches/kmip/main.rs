//! Look-ups on a key server over KMIP against the bare round trip that nobody can leave out, as ratios.
//!
//! Both sides ask the same server in the same process, each over one TLS connection that stays open, in turns; medians are compared. The bare side
//! sends the very bytes that the connector sent, and reads the reply without looking into it, but for the key's bytes. A reply counts only if the
//! key in it is the right one. The server is the one of the tests: what it costs is on both sides.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a bench stops where it stands and prints its table"
)]

#[path = "../../tests/kmip_support/mod.rs"]
mod kmip_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kmip_support::certificates::{Authority, provider};
use kmip_support::client::{Client, backup, restore_identifier};
use kmip_support::fake::{Fake, Habits, Object};
use kmip_support::talk::X_KEYGROUP;
use kmip_support::ttlv;
use tapekey::kms::connector::kmip::KmipServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const GROUP: &str = "ENCR_bench";

/// How often the service looks whether its servers were changed.
const SERVICE_TICK: Duration = Duration::from_secs(5);

/// Look-ups of each side.
fn rounds() -> usize {
    // `cargo bench` passes --bench; `cargo test --all-targets` does not, and only wants to see it work.
    if std::env::args().any(|argument| argument == "--bench") {
        2_000
    } else {
        20
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // In the service some timer is always due sooner than the limit of a look-up, so that none of these wakes the runtime.
    tokio::spawn(async {
        loop {
            tokio::time::sleep(SERVICE_TICK).await;
        }
    });
    println!("{:52} {:>10} {:>10} {:>7}  goal", "what", "ours µs", "bare µs", "ratio");
    for keys in [1, 5, 50] {
        let stage = Stage::with_keys(keys).await;
        stage.warm_backup(keys).await;
    }
    Stage::with_keys(5).await.restore().await;
    let stage = Stage::with_keys(1_000).await;
    stage.fake.requests();
    stage.check_backup().await;
    println!(
        "a group with 1000 keys, first look-up: {} requests",
        stage.fake.requests().len()
    );
    stage.check_backup().await;
    println!(
        "a group with 1000 keys, any later one: {} requests",
        stage.fake.requests().len()
    );
}

/// A server, the connector for it, and a bare connection to it.
struct Stage {
    fake: Fake,
    server: KmipServer,
    bare: Bare,
    newest: String,
    material: [u8; 32],
}

impl Stage {
    async fn with_keys(count: usize) -> Self {
        let authority = Arc::new(Authority::new("CA of the KMIP bench"));
        let fake = Fake::start(&authority, Habits::default()).await;
        let (mut newest, mut material) = (String::new(), [0; 32]);
        for number in 0..u64::try_from(count).unwrap() {
            fake.advance(1);
            material[..8].copy_from_slice(&number.to_be_bytes());
            material[8..].fill(0xA5);
            newest = fake.add(Object::aes(&material).in_group(X_KEYGROUP, GROUP));
        }
        let server = Client::of(&authority, &[fake.address()]).build();
        let bare = Bare::open(&fake, &authority).await;
        Self {
            fake,
            server,
            bare,
            newest,
            material,
        }
    }

    async fn check_backup(&self) {
        let key = backup(&self.server, GROUP).await.unwrap();
        assert!(key.identifier == self.newest && *key.key.expose() == self.material);
    }

    async fn check_restore(&self) {
        let keys = restore_identifier(&self.server, &self.newest).await.unwrap();
        assert!(keys.len() == 1 && *keys[0].key.expose() == self.material);
    }

    async fn warm_backup(mut self, keys: usize) {
        self.check_backup().await;
        self.fake.requests();
        self.check_backup().await;
        let request = self.only_request();
        let mut times = Times::default();
        for _ in 0..rounds() {
            self.forget();
            let began = Instant::now();
            self.check_backup().await;
            times.ours.push(began.elapsed());
            self.bare_round(&request, &mut times).await;
        }
        times.print(&format!("backup, {keys} active keys in the group, warm"));
    }

    async fn restore(mut self) {
        self.check_restore().await;
        self.fake.requests();
        self.check_restore().await;
        let request = self.only_request();
        let mut times = Times::default();
        for _ in 0..rounds() {
            self.forget();
            let began = Instant::now();
            self.check_restore().await;
            times.ours.push(began.elapsed());
            self.bare_round(&request, &mut times).await;
        }
        times.print("restore by the id of a KAD");
    }

    fn only_request(&self) -> Vec<u8> {
        let requests = self.fake.requests();
        assert_eq!(requests.len(), 1, "a look-up is one request");
        requests[0].message.encode()
    }

    async fn bare_round(&mut self, request: &[u8], times: &mut Times) {
        self.forget();
        let began = Instant::now();
        let reply = self.bare.exchange(request).await;
        times.bare.push(began.elapsed());
        assert!(reply.windows(32).any(|bytes| bytes == self.material));
    }

    /// What the server remembers would grow for ever. Before either side, so that both meet the memory in the same state.
    fn forget(&self) {
        self.fake.requests();
    }
}

/// How long each side took.
#[derive(Default)]
struct Times {
    ours: Vec<Duration>,
    bare: Vec<Duration>,
}

impl Times {
    fn print(&mut self, what: &str) {
        let median = |times: &mut Vec<Duration>| {
            times.sort();
            times[times.len() / 2].as_secs_f64() * 1e6
        };
        let (ours, bare) = (median(&mut self.ours), median(&mut self.bare));
        println!("{what:52} {ours:10.0} {bare:10.0} {:7.2}  1.20", ours / bare);
    }
}

/// A connection and nothing more.
struct Bare(TlsStream<TcpStream>);

impl Bare {
    async fn open(fake: &Fake, authority: &Authority) -> Self {
        let client = authority.client("owner");
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(authority.roots())
            .with_client_auth_cert(vec![client.certificate], client.key)
            .unwrap();
        let stream = TcpStream::connect(fake.address()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = fake.address().ip().into();
        Self(
            TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await
                .unwrap(),
        )
    }

    async fn exchange(&mut self, request: &[u8]) -> Vec<u8> {
        self.0.write_all(request).await.unwrap();
        self.0.flush().await.unwrap();
        let mut header = [0; 8];
        self.0.read_exact(&mut header).await.unwrap();
        let mut reply = vec![0; ttlv::message_length(header)];
        self.0.read_exact(&mut reply[8..]).await.unwrap();
        reply
    }
}
