//! `sg-sim control`: sends one order to running units and hands back its answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::control::LINE_LENGTH_MAX;
use super::orders::Order;

/// Longest wait for an answer; control never waits for a hung drive.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Why an order was not carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum OrderError {
    /// Nobody answers on the socket, or the answer did not come.
    #[error("give an order on {path}: {source}\nhint: does a `sg-sim` with `--control {path}` run?")]
    Socket {
        /// The control socket.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// What came is not an answer.
    #[error("give an order on {path}: the answer is not one: {answer:?}\nhint: is that a control socket of sg-sim?")]
    Answer {
        /// The control socket.
        path: PathBuf,
        /// What came.
        answer: String,
    },
    /// The drive did not do it.
    #[error("{error}{hint}")]
    Refused {
        /// Its words.
        error: String,
        /// Its hint on a line of its own, or nothing.
        hint: String,
    },
}

/// Sends `order` to the control socket at `path`. Returns what to print: the status as JSON, or nothing. Blocks up to 30 s.
///
/// # Errors
/// No server, no answer, or the drive could not do it.
pub(super) fn give(path: &Path, order: &Order) -> Result<String, OrderError> {
    let text = exchange(path, order).map_err(|source| OrderError::Socket {
        path: path.to_owned(),
        source,
    })?;
    let not_one = || OrderError::Answer {
        path: path.to_owned(),
        answer: text.clone(),
    };
    let answer: serde_json::Value = serde_json::from_str(&text).map_err(|_| not_one())?;
    let words = |member: &str| answer.get(member).and_then(serde_json::Value::as_str);
    match answer.get("ok").and_then(serde_json::Value::as_bool) {
        Some(true) => Ok(answer
            .get("status")
            .map(|status| format!("{status:#}\n"))
            .unwrap_or_default()),
        Some(false) => Err(OrderError::Refused {
            error: words("error").ok_or_else(not_one)?.to_owned(),
            hint: words("hint").map(|hint| format!("\nhint: {hint}")).unwrap_or_default(),
        }),
        None => Err(not_one()),
    }
}

fn exchange(path: &Path, order: &Order) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    let mut line = order.write()?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE_LENGTH_MAX)).read_line(&mut answer)?;
    Ok(answer)
}
