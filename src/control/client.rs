//! The command line's end of the control socket: one request, one reply, with a limit on the wait. Blocks.

use std::io::{BufRead, BufReader, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use thiserror::Error;

use super::messages::{Answer, Body, Command, REPLY_LENGTH_MAX, Refusal, Reply, Request, VERSION};

/// The daemon did not do what was asked.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("ask tapekeyd on {}: {source}\nhint: start tapekeyd, or name its socket with --socket; root and the members of control.group may use it", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// The daemon did not answer in time.
    #[error("ask tapekeyd on {}: no answer in {seconds} s\nhint: the command may still be carried out; see tapekey status and the daemon's log", socket.display())]
    NoAnswer {
        /// The socket.
        socket: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// What came back is no reply to what was asked.
    #[error("ask tapekeyd on {}: {what}\nhint: use the tapekey of the daemon's version, and see the daemon's log", socket.display())]
    NotAReply {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The daemon refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Sends `command` and waits for the answer, at most `limit` without hearing anything.
///
/// # Errors
/// [`ClientError`]; after `NoAnswer` and `NotAReply` the command may have been carried out.
pub fn ask(socket: &Path, command: Command, limit: Duration) -> Result<Answer, ClientError> {
    ask_with(socket, command, None, limit)
}

/// The same, and hands `descriptor` over to the daemon beside the request (SCM_RIGHTS).
///
/// # Errors
/// As [`ask`].
pub fn ask_with(
    socket: &Path,
    command: Command,
    descriptor: Option<BorrowedFd<'_>>,
    limit: Duration,
) -> Result<Answer, ClientError> {
    let unreachable = |source| ClientError::Unreachable {
        socket: socket.into(),
        source,
    };
    let not_a_reply = |what: String| ClientError::NotAReply {
        socket: socket.into(),
        what,
    };
    let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
    stream
        .set_read_timeout(Some(limit))
        .and_then(|()| stream.set_write_timeout(Some(limit)))
        .map_err(unreachable)?;
    let request = Request {
        version: VERSION,
        id: 1,
        command,
    };
    let mut line = serde_json::to_vec(&request).map_err(|error| not_a_reply(error.to_string()))?;
    line.push(b'\n');
    // Whoever is turned away is told so and cut off: the reply is worth more than the failed write.
    let sent = send(&mut stream, &line, descriptor);
    let reply = match read_reply(&stream) {
        Ok(reply) if reply.is_empty() => match sent {
            Err(error) => return Err(unreachable(error)),
            Ok(()) => return Err(not_a_reply("the connection was closed without a reply".into())),
        },
        Ok(reply) => reply,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            return Err(ClientError::NoAnswer {
                socket: socket.into(),
                seconds: limit.as_secs(),
            });
        }
        Err(error) => return Err(not_a_reply(error.to_string())),
    };
    let reply: Reply =
        serde_json::from_slice(&reply).map_err(|error| not_a_reply(format!("what came back is no reply: {error}")))?;
    match reply.body {
        Body::Error(refusal) => Err(refusal.into()),
        Body::Answer(_) if reply.id != request.id => Err(not_a_reply(format!("a reply to request {} came", reply.id))),
        Body::Answer(answer) => Ok(answer),
    }
}

/// The descriptor goes with the first bytes of the line.
fn send(stream: &mut UnixStream, line: &[u8], descriptor: Option<BorrowedFd<'_>>) -> std::io::Result<()> {
    let Some(descriptor) = descriptor else {
        return stream.write_all(line);
    };
    let numbers = [descriptor.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&numbers)];
    let parts = [IoSlice::new(line)];
    let length = sendmsg::<()>(stream.as_raw_fd(), &parts, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    stream.write_all(line.get(length..).unwrap_or_default())
}

fn read_reply(stream: &UnixStream) -> std::io::Result<Vec<u8>> {
    let limit = u64::try_from(REPLY_LENGTH_MAX).unwrap_or(u64::MAX);
    let mut reply = Vec::new();
    BufReader::new(stream.take(limit)).read_until(b'\n', &mut reply)?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn answer_with(reply: &'static [u8]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            (&stream).write_all(reply).unwrap();
        });
        let outcome = ask(
            &path,
            Command::Status {
                drive: None,
                look: false,
            },
            Duration::from_secs(20),
        );
        server.join().unwrap();
        outcome.unwrap_err().to_string()
    }

    #[test]
    fn every_answer_that_is_none_is_a_clear_error() {
        assert!(answer_with(b"").contains("closed without a reply"));
        assert!(answer_with(b"{\"version\":1}\n").contains("what came back is no reply"));
        assert!(answer_with(b"\xff\xff\n").contains("what came back is no reply"));
        assert!(answer_with(b"{\"version\":1,\"id\":9,\"answer\":{\"jobs\":[]}}\n").contains("a reply to request 9"));
        let refused = b"{\"version\":1,\"id\":0,\"error\":{\"code\":\"new_one\",\"error\":\"no\",\"hint\":\"ask\"}}\n";
        assert_eq!(answer_with(refused), "no\nhint: ask");
    }

    #[test]
    fn a_daemon_that_is_not_there_or_silent_is_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let command = || Command::Status {
            drive: None,
            look: false,
        };
        assert!(matches!(
            ask(&path, command(), Duration::from_secs(1)),
            Err(ClientError::Unreachable { .. })
        ));
        let _silent = UnixListener::bind(&path).unwrap();
        assert!(matches!(
            ask(&path, command(), Duration::from_millis(20)),
            Err(ClientError::NoAnswer { .. })
        ));
    }
}
