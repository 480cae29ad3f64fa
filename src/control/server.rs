//! The daemon's end of the control socket: reads requests, checks the caller, passes the command on, writes the reply.
//!
//! Each connection is its own task: a client that waits for a hung drive, sends nothing or reads nothing stops no other.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::incoming::Incoming;
use super::lines::{self, Line};
use super::messages::{Answer, Body, Command, REQUEST_LENGTH_MAX, Refusal, RefusalCode, Reply, Request, VERSION};
use super::peer::Peer;

/// Most clients at once.
const CLIENTS_MAX: usize = 64;

/// How long a client may take between two requests.
const IDLE_MAX: Duration = Duration::from_secs(300);

/// How long a client may take to read a reply.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// A command in execution.
pub type Executing<'a> = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send + 'a>>;

/// Carries out commands.
pub trait Commands: Send + Sync + 'static {
    /// Carries out `command` for `caller`, who may command. A client that goes away does not end what it began.
    fn execute(self: Arc<Self>, caller: Caller, command: Command) -> Executing<'static>;
}

/// Who asks, and what they handed over.
#[derive(Debug)]
pub struct Caller {
    /// The process.
    pub peer: Peer,
    /// The descriptor beside the request; there is one if, and only if, the command needs it.
    pub handed: Option<OwnedFd>,
}

/// Who may command, beside root.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// The daemon's own user.
    pub own_uid: u32,
    /// The group whose members may.
    pub group: Option<u32>,
}

/// Serves clients until the task is dropped.
///
/// # Errors
/// What `accept` answers, if it is not about a single client.
pub async fn serve(listener: UnixListener, allowed: Allowed, commands: Arc<dyn Commands>) -> std::io::Result<()> {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_passing(&error) => {
                // Out of descriptors, most likely: wait for clients to go rather than spin.
                tracing::warn!(%error, "a client could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let (places, commands) = (places.clone(), commands.clone());
        tokio::spawn(async move {
            let Ok(_place) = places.try_acquire() else {
                let what = format!("{CLIENTS_MAX} clients are connected already");
                return refuse(
                    stream,
                    Refusal::new(RefusalCode::TooManyClients, what, "try again in a moment"),
                )
                .await;
            };
            welcome(stream, allowed, commands).await;
        });
    }
}

fn is_passing(error: &std::io::Error) -> bool {
    use nix::libc::{ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    matches!(
        error.raw_os_error(),
        Some(ECONNABORTED | EMFILE | ENFILE | ENOBUFS | ENOMEM)
    )
}

async fn welcome(stream: UnixStream, allowed: Allowed, commands: Arc<dyn Commands>) {
    match Peer::of(&stream) {
        Ok(peer) if peer.may_command(allowed.own_uid, allowed.group) => converse(stream, peer, commands).await,
        Ok(peer) => {
            tracing::warn!(
                uid = peer.uid,
                gid = peer.gid,
                "a client without permission was turned away"
            );
            let what = format!("user {} may not command this daemon", peer.uid);
            let hint = "become root or join the group that the configuration names as control.group";
            refuse(stream, Refusal::new(RefusalCode::NotPermitted, what, hint)).await;
        }
        Err(error) => tracing::warn!(%error, "a client whose user is not known was turned away"),
    }
}

async fn converse(stream: UnixStream, peer: Peer, commands: Arc<dyn Commands>) {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(Incoming::new(from));
    while let Some((reply, go_on)) = one_request(&mut from, peer, &commands).await {
        if !send(&mut to, &reply).await || !go_on {
            return;
        }
    }
}

/// The reply to the next request and whether there may be another one; `None` once the client has gone.
async fn one_request(
    from: &mut BufReader<Incoming>,
    peer: Peer,
    commands: &Arc<dyn Commands>,
) -> Option<(Reply, bool)> {
    let line = timeout(IDLE_MAX, lines::read(from, REQUEST_LENGTH_MAX))
        .await
        .ok()?
        .ok()?;
    let request = match line {
        Line::End => return None,
        Line::TooLong => {
            let what = format!("the request has more than {REQUEST_LENGTH_MAX} bytes");
            return Some((
                refusal(0, RefusalCode::BadRequest, &what, "send one command a line"),
                false,
            ));
        }
        Line::Whole(line) => match understand(&line) {
            Ok(request) => request,
            Err(reply) => return Some((reply, false)),
        },
    };
    let id = request.id;
    let handed = from.get_mut().take_handed();
    if request.command.needs_descriptor() != handed.is_some() {
        let what = "a descriptor came with a command that takes none, or none with one that does";
        let hint = "use the tapekey of the daemon's version";
        return Some((refusal(id, RefusalCode::BadRequest, what, hint), false));
    }
    let caller = Caller { peer, handed };
    let body = match commands.clone().execute(caller, request.command).await {
        Ok(answer) => Body::Answer(answer),
        Err(refusal) => Body::Error(refusal),
    };
    Some((
        Reply {
            version: VERSION,
            id,
            body,
        },
        true,
    ))
}

fn understand(line: &[u8]) -> Result<Request, Reply> {
    // Version and id first: a request of another version need not be understood further.
    #[derive(serde::Deserialize)]
    struct Envelope {
        version: u32,
        id: u64,
    }
    let bad = |id, error: &serde_json::Error| {
        let what = format!("the line is no request: {error}");
        refusal(
            id,
            RefusalCode::BadRequest,
            &what,
            "use the tapekey of the daemon's version",
        )
    };
    let envelope: Envelope = serde_json::from_slice(line).map_err(|error| bad(0, &error))?;
    if envelope.version != VERSION {
        let what = format!(
            "version {} of the control socket's messages is asked for, {VERSION} is spoken",
            envelope.version
        );
        return Err(refusal(
            envelope.id,
            RefusalCode::Version,
            &what,
            "use the tapekey of the daemon's version",
        ));
    }
    serde_json::from_slice(line).map_err(|error| bad(envelope.id, &error))
}

fn refusal(id: u64, code: RefusalCode, what: &str, hint: &str) -> Reply {
    Reply {
        version: VERSION,
        id,
        body: Body::Error(Refusal::new(code, what, hint)),
    }
}

async fn refuse(stream: UnixStream, refusal: Refusal) {
    let (_from, mut to) = stream.into_split();
    send(
        &mut to,
        &Reply {
            version: VERSION,
            id: 0,
            body: Body::Error(refusal),
        },
    )
    .await;
}

async fn send(to: &mut OwnedWriteHalf, reply: &Reply) -> bool {
    let mut line = match serde_json::to_vec(reply) {
        Ok(line) => line,
        Err(error) => {
            tracing::error!(%error, "a reply could not be written as JSON");
            return false;
        }
    };
    line.push(b'\n');
    matches!(timeout(WRITE_MAX, to.write_all(&line)).await, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{client, socket};
    use std::path::Path;

    struct Echo;

    impl Commands for Echo {
        fn execute(self: Arc<Self>, _: Caller, command: Command) -> Executing<'static> {
            Box::pin(async move {
                match command {
                    Command::JobList { limit: 0, .. } => std::future::pending().await,
                    Command::JobList { .. } => Ok(Answer::Jobs(Vec::new())),
                    other => Err(Refusal::new(RefusalCode::NoSuchDrive, format!("{other:?}"), "none")),
                }
            })
        }
    }

    async fn with_server<T: Send + 'static>(allowed: Allowed, act: impl FnOnce(&Path) -> T + Send + 'static) -> T {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = UnixListener::from_std(socket::listen(&path, None).unwrap()).unwrap();
        let server = tokio::spawn(serve(listener, allowed, Arc::new(Echo)));
        let answer = tokio::task::spawn_blocking(move || act(&path)).await.unwrap();
        server.abort();
        answer
    }

    fn own() -> Allowed {
        Allowed {
            own_uid: nix::unistd::geteuid().as_raw(),
            group: None,
        }
    }

    fn raw(path: &Path, line: &[u8]) -> String {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The daemon may answer and close before it has read all of a line that is too long.
        let _ = stream.write_all(line);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn answers_each_request_with_its_id_and_closes_on_what_is_none() {
        let answer = with_server(own(), |path| {
            raw(
                path,
                b"{\"version\":1,\"id\":5,\"command\":{\"job_list\":{\"limit\":3}}}\n{\"version\":1,\"id\":6}\n{}\n",
            )
        });
        let answer = answer.await;
        let lines: Vec<&str> = answer.lines().collect();
        assert_eq!(lines[0], r#"{"version":1,"id":5,"answer":{"jobs":[]}}"#);
        assert!(
            lines[1].starts_with(r#"{"version":1,"id":6,"error":{"code":"bad_request""#),
            "{}",
            lines[1]
        );
        assert_eq!(lines.len(), 2, "closed after a line that is no request");
    }

    #[tokio::test]
    async fn refuses_other_versions_garbage_and_floods() {
        let answers = with_server(own(), |path| {
            [
                raw(path, b"{\"version\":2,\"id\":5,\"wish\":1}\n"),
                raw(path, b"\xff\xfe\n"),
                raw(path, &[b'x'; REQUEST_LENGTH_MAX + 1]),
            ]
        });
        let [version, garbage, flood] = answers.await;
        assert!(version.contains(r#""id":5,"error":{"code":"version""#), "{version}");
        assert!(garbage.contains(r#""id":0,"error":{"code":"bad_request""#), "{garbage}");
        assert!(flood.contains("more than 65536 bytes"), "{flood}");
    }

    #[tokio::test]
    async fn a_client_that_waits_stops_no_other() {
        with_server(own(), |path| {
            use std::io::Write;
            let mut waiting = std::os::unix::net::UnixStream::connect(path).unwrap();
            waiting
                .write_all(b"{\"version\":1,\"id\":1,\"command\":{\"job_list\":{\"limit\":0}}}\n")
                .unwrap();
            let command = Command::JobList { drive: None, limit: 3 };
            assert_eq!(
                client::ask(path, command, Duration::from_secs(20)).unwrap(),
                Answer::Jobs(Vec::new())
            );
        })
        .await;
    }

    #[tokio::test]
    async fn the_next_client_beyond_the_limit_is_told_so() {
        with_server(own(), |path| {
            let command = || Command::JobList { drive: None, limit: 3 };
            // A request and its reply show that the place is taken.
            let mut held = Vec::new();
            for _ in 0..CLIENTS_MAX {
                use std::io::{BufRead, Write};
                let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
                stream
                    .write_all(b"{\"version\":1,\"id\":1,\"command\":{\"job_list\":{\"limit\":3}}}\n")
                    .unwrap();
                let mut line = String::new();
                std::io::BufReader::new(&stream).read_line(&mut line).unwrap();
                held.push(stream);
            }
            let error = client::ask(path, command(), Duration::from_secs(20))
                .unwrap_err()
                .to_string();
            assert!(error.contains("64 clients are connected"), "{error}");
        })
        .await;
    }
}
