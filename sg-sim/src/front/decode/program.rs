//! `sg-sim trace`: reads a trace file and prints it in words, to its end or as it grows.

use super::{Line, bytes, command, page, sense};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use thiserror::Error;

/// How long to wait before looking whether the file has grown.
const LOOK: Duration = Duration::from_millis(100);
const SECURITY_PROTOCOL_IN: u8 = 0xA2;
const SECURITY_PROTOCOL_OUT: u8 = 0xB5;
const TAPE_DATA_ENCRYPTION: u8 = 0x20;

/// What to print.
#[derive(Debug, Args)]
pub(in crate::front) struct TraceArgs {
    /// A file that `--trace` writes or has written
    file: PathBuf,
    /// Go on as the file grows, until interrupted
    #[arg(short, long)]
    follow: bool,
}

/// Why a trace could not be printed.
#[derive(Debug, Error)]
pub(in crate::front) enum TraceError {
    /// The file cannot be read.
    #[error("read trace {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A line is not one of a trace.
    #[error(
        "read trace {path:?}: line {number}: {source}\nhint: the switch --trace of serve, serve-vhost and run writes such files"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        number: u64,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Standard output is gone.
    #[error("print a trace: {0}")]
    Output(#[from] io::Error),
}

/// Prints a trace to `out`.
///
/// # Errors
/// The file cannot be read, has a line that is none, or `out` cannot be written.
pub(in crate::front) fn run(args: &TraceArgs, out: &mut dyn Write) -> Result<(), TraceError> {
    let path: &Path = &args.file;
    let failed = |source| TraceError::File {
        path: path.to_owned(),
        source,
    };
    let mut lines = BufReader::new(File::open(path).map_err(failed)?);
    let (mut text, mut number) = (String::new(), 0);
    loop {
        let read = lines.read_line(&mut text).map_err(failed)?;
        if !text.ends_with('\n') {
            // The end, or a line that is being written just now.
            if !args.follow {
                break;
            }
            if read == 0 {
                out.flush()?;
                thread::sleep(LOOK);
            }
            continue;
        }
        number += 1;
        let line: Line = serde_json::from_str(&text).map_err(|source| TraceError::Line {
            path: path.to_owned(),
            number,
            source,
        })?;
        writeln!(out, "{}", describe(&line))?;
        text.clear();
    }
    Ok(())
}

/// One command in words, its answer behind an arrow.
fn describe(line: &Line) -> String {
    let cdb = bytes(&line.cdb).unwrap_or_default();
    let mut text = format!("{:>5} {}", line.command, line.nexus);
    if line.unit > 0 {
        text += &format!(" unit {}", line.unit);
    }
    text += &format!(" {}", command::describe(&cdb));
    if cdb.first() == Some(&SECURITY_PROTOCOL_OUT) && cdb.get(1) == Some(&TAPE_DATA_ENCRYPTION) {
        let (fixed, kads) = (bytes(&line.data_out), bytes(&line.kads));
        text += ": ";
        text += &page::set_data_encryption(&fixed.unwrap_or_default(), &kads.unwrap_or_default());
    } else if !line.data_out.is_empty() {
        text += &format!(": list {}", line.data_out);
    }
    text += " -> ";
    text += &answer(line, &cdb);
    text
}

fn answer(line: &Line, cdb: &[u8]) -> String {
    match (line.status, line.host_status) {
        (_, Some(host_status)) => format!("no SCSI status, host status {host_status:02X}h"),
        (None, None) => "dropped".to_owned(),
        (Some(0x02), None) => {
            let sense = bytes(&line.sense).unwrap_or_default();
            let moved = if line.r#in > 0 {
                format!(", {} bytes in", line.r#in)
            } else {
                String::new()
            };
            format!("CHECK CONDITION {}{moved}", sense::describe(&sense))
        }
        (Some(0x00), None) => {
            let data_in = bytes(&line.data_in).unwrap_or_default();
            let described = matches!(cdb, [SECURITY_PROTOCOL_IN, TAPE_DATA_ENCRYPTION, ..]) && !data_in.is_empty();
            match line.r#in {
                0 => "GOOD".to_owned(),
                _ if described => format!("GOOD, {}", page::security_page(&data_in)),
                length => format!("GOOD, {length} bytes in"),
            }
        }
        (Some(0x08), None) => "BUSY".to_owned(),
        (Some(0x18), None) => "RESERVATION CONFLICT".to_owned(),
        (Some(status), None) => format!("status {status:02X}h"),
    }
}
