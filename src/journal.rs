//! Where the two services log to: the journal, with every field on its own, where systemd gave us one; standard error otherwise.

use std::io;
use std::os::fd::AsFd;

use nix::sys::stat::fstat;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, registry::LookupSpan};

/// Before every field's name in the journal, so that none can pass for one of the journal's own: `journalctl TAPEKEY_DRIVE=1013000101`.
const FIELD_PREFIX: &str = "TAPEKEY";

/// Begins to log what `TAPEKEY_LOG` chooses, `info` if it chooses nothing. `json` asks for one object a line on standard error, in the journal or not.
///
/// # Errors
///
/// Somebody logs in this process already; that goes on.
pub fn begin(json: bool) -> Result<(), TryInitError> {
    let filter = EnvFilter::try_from_env("TAPEKEY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry().with(filter).with(to(json)).try_init()
}

fn to<S>(json: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false);
    if json {
        return lines.json().boxed();
    }
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let in_journal = stream.is_some_and(|stream| is_journal(&stream, io::stderr()));
    match in_journal.then(tracing_journald::layer) {
        Some(Ok(journal)) => journal.with_field_prefix(Some(FIELD_PREFIX.to_owned())).boxed(),
        Some(Err(_)) | None => lines.boxed(),
    }
}

/// Whether `descriptor` is the connection to the journal that `stream`, the value of `JOURNAL_STREAM`, names as DEVICE:INODE (systemd.exec(5)).
/// The variable alone is no proof: every program started from a service inherits it, a shell's too, whose standard error is a terminal or a file.
fn is_journal(stream: &str, descriptor: impl AsFd) -> bool {
    fstat(descriptor).is_ok_and(|file| stream == format!("{}:{}", file.st_dev, file.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_descriptor_that_was_given_to_us_is_the_journal() {
        let (_from, journal) = io::pipe().unwrap();
        let (_to, file) = io::pipe().unwrap();
        let is = fstat(&journal).unwrap();
        let stream = format!("{}:{}", is.st_dev, is.st_ino);
        assert!(is_journal(&stream, &journal));
        assert!(!is_journal(&stream, &file), "standard error was sent elsewhere");
        assert!(!is_journal("", &journal));
    }
}
