//! A KMIP server inside the test: mutual TLS, its own TTLV, and the habits of servers that are not to be had here, good and bad. What it
//! does was written from the standard and from notes on real servers, never from the product's client.

pub(crate) mod habits;
pub(crate) mod hostile;
mod message;
mod objects;
mod operations;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) use self::habits::{Custom, Habits, Order, Trouble, UnknownOperation, Vendor, with};
pub(crate) use self::hostile::Hostility;
pub(crate) use self::message::Request;
pub(crate) use self::objects::Object;

use self::hostile::Step;
use self::message::Desk;
use super::certificates::{Authority, Identity, provider};
use super::tags::state;
use super::talk::Talk;
use super::ttlv;

pub(crate) static TLS12_ONLY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub(crate) static TLS13_ONLY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
static BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

/// Longer requests are refused.
const REQUEST_LENGTH_MAX: usize = 1 << 20;

/// The server, on a port of its own, until it is dropped.
pub(crate) struct Fake {
    authority: Arc<Authority>,
    address: SocketAddr,
    tls: Arc<ServerConfig>,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    desk: Mutex<Desk>,
    connections: AtomicUsize,
    /// Counts how often all connections were closed.
    hang_up: watch::Sender<u64>,
}

impl Fake {
    pub(crate) async fn start(authority: &Arc<Authority>, habits: Habits) -> Self {
        let server = authority.server();
        Self::start_as(authority, &server, BOTH, habits).await
    }

    /// The same with a certificate and TLS versions of the test's choice.
    pub(crate) async fn start_as(
        authority: &Arc<Authority>,
        server: &Identity,
        versions: &[&'static SupportedProtocolVersion],
        habits: Habits,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut fake = Self {
            authority: Arc::clone(authority),
            address: listener.local_addr().unwrap(),
            tls: tls(authority, server, versions),
            shared: Arc::new(Shared {
                desk: Mutex::new(Desk::new(habits)),
                connections: AtomicUsize::new(0),
                hang_up: watch::Sender::new(0),
            }),
            accepting: None,
        };
        fake.accept_from(listener);
        fake
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// A connection of the test's own.
    pub(crate) async fn talk(&self, common_name: &str) -> Talk {
        let client = self.authority.client(common_name);
        Talk::open(self.address, &self.authority, &client).await.unwrap()
    }

    /// Takes an object into its store, as it is; its identifier.
    pub(crate) fn add(&self, object: Object) -> String {
        self.desk().world.add(object)
    }

    /// Changes an object behind everybody's back.
    pub(crate) fn change(&self, identifier: &str, change: impl FnOnce(&mut Object)) {
        let mut desk = self.desk();
        let objects = &mut desk.world.objects;
        change(
            objects
                .iter_mut()
                .find(|object| object.identifier == identifier)
                .unwrap(),
        );
    }

    /// Makes a key Active, as the operation does.
    pub(crate) fn activate(&self, identifier: &str) {
        let date = {
            let desk = self.desk();
            Some(desk.world.now).filter(|_| desk.world.habits.dates_activation)
        };
        self.change(identifier, |key| {
            key.state = state::ACTIVE;
            key.activation_date = date;
        });
    }

    /// Changes its habits from the next request on.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.desk().world.habits);
    }

    /// Something goes wrong with all replies from the next on.
    pub(crate) fn trouble(&self, what: Hostility) {
        let trouble = Trouble { operation: None, what };
        self.set(|habits| habits.trouble = Some(trouble));
    }

    /// Its clock, which otherwise stands still.
    pub(crate) fn advance(&self, seconds: i64) {
        self.desk().world.now += seconds;
    }

    /// Its clock.
    pub(crate) fn now(&self) -> i64 {
        self.desk().world.now
    }

    /// The requests since this was asked last.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.desk().requests)
    }

    /// What no client should have sent, since the beginning.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.desk().complaints.clone()
    }

    /// How many connections with good certificates there were.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Closes all connections. New ones are accepted.
    pub(crate) fn hang_up(&self) {
        self.shared.hang_up.send_modify(|times| *times += 1);
    }

    /// Nobody listens any more, and all connections are closed.
    pub(crate) async fn go_down(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ = accepting.await;
        }
        self.hang_up();
    }

    /// Listens again, at the same address.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.accept_from(listener);
    }

    fn accept_from(&mut self, listener: TcpListener) {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        let shared = Arc::clone(&self.shared);
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move { shared.serve(acceptor, stream).await });
            }
        }));
    }

    fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.shared.desk.lock().unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
        self.hang_up();
    }
}

impl Shared {
    async fn serve(&self, acceptor: TlsAcceptor, stream: TcpStream) {
        let mut hung_up = self.hang_up.subscribe();
        let served = async {
            // Whoever has no good certificate gets an alert: in TLS 1.3 after what looks like success to the client.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            self.connections.fetch_add(1, Ordering::SeqCst);
            while self.answer_one(&mut stream).await.is_some() {}
            let _ = stream.shutdown().await;
        };
        tokio::select! {
            () = served => {}
            _ = hung_up.changed() => {}
        }
    }

    /// Reads one request and answers it; nothing when the connection is at its end.
    async fn answer_one(&self, stream: &mut TlsStream<TcpStream>) -> Option<()> {
        let mut header = [0; 8];
        stream.read_exact(&mut header).await.ok()?;
        let length = ttlv::message_length(header);
        if length > REQUEST_LENGTH_MAX {
            self.desk
                .lock()
                .unwrap()
                .complaints
                .push(format!("a request of {length} bytes"));
            return None;
        }
        let mut request = header.to_vec();
        request.resize(length, 0);
        stream.read_exact(&mut request[header.len()..]).await.ok()?;
        let (delay, steps) = self.desk.lock().unwrap().reply(&request);
        if delay > Duration::ZERO {
            tokio::time::sleep(delay).await;
        }
        for step in steps {
            take(step, stream).await?;
        }
        Some(())
    }
}

async fn take(step: Step, stream: &mut TlsStream<TcpStream>) -> Option<()> {
    match step {
        Step::Send(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            stream.flush().await.ok()
        }
        Step::Pause(time) => {
            tokio::time::sleep(time).await;
            Some(())
        }
        Step::Wait => {
            let mut ignored = [0; 64];
            while stream.read(&mut ignored).await.ok()? > 0 {}
            None
        }
        Step::Close => None,
        Step::Forever(bytes) => loop {
            stream.write_all(&bytes).await.ok()?;
        },
    }
}

fn tls(authority: &Authority, server: &Identity, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
    let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider())
        .build()
        .unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.certificate.clone()], server.key.clone_key())
        .unwrap();
    Arc::new(config)
}
