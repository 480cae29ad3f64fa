//! A wire between the programs of a host and the KMS. What passes is TLS and stays unread, but it is seen who speaks: the client's first
//! words, the service's, then the client's request, then the answer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::gate::{Gate, Verdict};

/// What is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The next request: the KMS has seen nothing of it.
    Request,
    /// The answer to the next request: the KMS has done what it was asked.
    Answer,
}

/// The wire.
pub struct KmsWire {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    gate: Gate,
    hold: Mutex<Option<Hold>>,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client has said hello.
    Greeting,
    /// The service has answered that; what the client says next holds a request.
    Greeted,
    /// A request is under way, or was answered.
    Asked,
}

impl KmsWire {
    /// Listens for what is meant for the service at `upstream`, an `https://` address.
    pub fn lay(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            upstream: upstream.trim_start_matches("https://").to_owned(),
            gate: Gate::default(),
            hold: Mutex::new(None),
        });
        let accepting = shared.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A service that is not there is a connection that ends at once.
                let _ = carry(&accepting, client);
            }
        });
        Self { address, shared }
    }

    /// Where the programs connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where things are stopped.
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// Stops once, at `hold`.
    pub fn stop_at(&self, hold: Hold) {
        *self.shared.hold.lock().unwrap() = Some(hold);
    }
}

fn carry(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    let service = TcpStream::connect(&shared.upstream)?;
    service.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let stage = Arc::new(Mutex::new(Stage::Greeting));
    let (from_client, to_service) = (client.try_clone()?, service.try_clone()?);
    let (there, there_stage) = (shared.clone(), stage.clone());
    std::thread::spawn(move || {
        pump(from_client, to_service, || there.request_passes(&there_stage));
    });
    let back = shared.clone();
    std::thread::spawn(move || pump(service, client, || back.answer_passes(&stage)));
    Ok(())
}

/// Until one side ends or `passes` says no; then both sides end.
fn pump(mut from: TcpStream, mut to: TcpStream, passes: impl Fn() -> bool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if !passes() || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // The other side may have ended them already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl Shared {
    fn request_passes(&self, stage: &Mutex<Stage>) -> bool {
        if *stage.lock().unwrap() == Stage::Greeting {
            return true;
        }
        let passes = self.passes(Hold::Request);
        *stage.lock().unwrap() = Stage::Asked;
        passes
    }

    fn answer_passes(&self, stage: &Mutex<Stage>) -> bool {
        let before = *stage.lock().unwrap();
        match before {
            Stage::Greeting => *stage.lock().unwrap() = Stage::Greeted,
            Stage::Greeted => {}
            Stage::Asked => return self.passes(Hold::Answer),
        }
        true
    }

    fn passes(&self, hold: Hold) -> bool {
        let stops = {
            let mut wanted = self.hold.lock().unwrap();
            let stops = *wanted == Some(hold);
            if stops {
                *wanted = None;
            }
            stops
        };
        !stops || self.gate.hold() == Verdict::GoOn
    }
}
