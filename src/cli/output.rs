//! What the command line prints: one value, either as JSON for programs or as text for people.
//!
//! Standard output carries the answer and nothing else, standard error carries errors with their hint. No other file of the command line
//! writes to either. Nothing printed here may hold key bytes: no type that holds them can be serialised.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

/// Exit codes, as `tapekey --help` documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done as asked.
    Done,
    /// Refused or failed; the error says why and what to do.
    Failed,
    /// The command line or a file named on it is wrong.
    Usage,
    /// The daemon or the KMS did not answer.
    Unreachable,
    /// The drive is busy with another job.
    Busy,
    /// As `tapekey run` ends: the code of its program, or one of its own.
    Run(u8),
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Busy => 4,
            Self::Run(code) => code,
        }
    }
}

/// Why a subcommand did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the program exits with.
    pub exit: Exit,
    /// What was tried, what came back, and a last line `hint: …`.
    pub text: String,
}

impl Failure {
    /// A failure that ends the program with `exit`. `error` prints its own hint.
    pub fn new(exit: Exit, error: impl fmt::Display) -> Self {
        Self {
            exit,
            text: error.to_string(),
        }
    }
}

/// Where a subcommand writes its answer.
pub struct Output<'a> {
    json: bool,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl<'a> Output<'a> {
    /// Writes answers to `out` and errors to `err`, as JSON if `json`.
    pub fn new(json: bool, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { json, out, err }
    }

    /// Prints the answer: `value` as JSON, or what `for_people` makes of it.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be written; a reader that closed its end early is none.
    pub fn answer<T: Serialize>(&mut self, value: &T, for_people: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let text = if self.json {
            serde_json::to_string_pretty(value)
                .map_err(|error| Failure::new(Exit::Failed, format_args!("print: {error}")))?
        } else {
            for_people(value)
        };
        let written = if text.is_empty() {
            Ok(())
        } else {
            writeln!(self.out, "{}", text.trim_end())
        };
        match written.and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
                Exit::Failed,
                format_args!("write the answer: {error}\nhint: is the disk full?"),
            )),
            _ => Ok(()),
        }
    }

    /// Whether JSON is wanted.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one line of an answer that may be of any length; false once the reader has closed its end.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be written.
    pub fn line(&mut self, line: &str) -> Result<bool, Failure> {
        match writeln!(self.out, "{line}") {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::new(
                Exit::Failed,
                format_args!("write the answer: {error}\nhint: is the disk full?"),
            )),
        }
    }

    /// Says on standard error how far long work is. Nobody need listen.
    pub fn progress(&mut self, text: &str) {
        let _ = writeln!(self.err, "tapekey: {text}");
    }

    /// The same on one line of a terminal, again and again in the same place; an empty text ends it.
    pub fn progress_in_place(&mut self, text: &str) {
        let line = if text.is_empty() {
            "\r\u{1b}[K".to_owned()
        } else {
            format!("\r\u{1b}[Ktapekey: {}", printable(text))
        };
        let _ = self.err.write_all(line.as_bytes()).and_then(|()| self.err.flush());
    }

    /// Prints something that a person has to look at, beside the answer. What cannot be written is lost, but the one who told keeps it.
    pub fn alarm(&mut self, text: &str, hint: &str) {
        let _ = if self.json {
            writeln!(self.err, "{}", serde_json::json!({ "alarm": text, "hint": hint }))
        } else {
            writeln!(
                self.err,
                "tapekey: ALARM: {}\nhint: {}",
                printable(text),
                printable(hint)
            )
        };
    }

    /// Prints on standard error what somebody should know besides the answer, its last line a hint.
    pub fn warning(&mut self, text: &str) {
        // As with a failure, what cannot be written is lost.
        let _ = if self.json {
            let (text, hint) = split_hint(text);
            writeln!(self.err, "{}", serde_json::json!({ "warning": text, "hint": hint }))
        } else {
            writeln!(self.err, "tapekey: {text}")
        };
    }

    /// Prints why nothing was done. What cannot be written is lost: there is nowhere left to say so.
    pub fn failure(&mut self, failure: &Failure) {
        let (text, hint) = split_hint(&failure.text);
        let _ = if self.json {
            writeln!(
                self.err,
                "{}",
                serde_json::json!({ "error": text, "hint": hint, "exit": failure.exit.code() })
            )
        } else {
            writeln!(self.err, "tapekey: {}", failure.text)
        };
    }
}

/// Divides an error into what happened and what to do (its last line, if that begins with `hint: `).
#[must_use]
pub fn split_hint(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once("\nhint: ") {
        Some((what, hint)) => (what, Some(hint)),
        None => (text, None),
    }
}

/// A table with aligned columns; its cells are made safe to print.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headings.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| heading.to_uppercase()).collect();
        Self { rows: vec![headings] }
    }

    /// A table without headings, for names and values.
    #[must_use]
    pub fn without_headings() -> Self {
        Self::default()
    }

    /// Adds a row. Rows may differ in length.
    pub fn row<I: IntoIterator<Item = S>, S: Into<String>>(&mut self, cells: I) -> &mut Self {
        self.rows
            .push(cells.into_iter().map(|cell| printable(&cell.into())).collect());
        self
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        (0..columns).map(|column| width(column).unwrap_or(0)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            writeln!(formatter, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `text` on one line and without control characters, which could rewrite what stands on the terminal: names come from tapes and servers.
/// Lines of an error are joined by semicolons.
#[must_use]
pub fn printable(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_matches(' '))
        .filter(|line| !line.is_empty())
        .collect();
    lines
        .join("; ")
        .chars()
        .map(|character| if character.is_control() { '\u{FFFD}' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(json: bool, act: impl FnOnce(&mut Output<'_>)) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        act(&mut Output::new(json, &mut out, &mut err));
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_value_is_printed_as_json_or_as_text_but_never_both() {
        let value = vec![1, 2];
        let text = print(false, |output| {
            output
                .answer(&value, |value| format!("{} numbers\n", value.len()))
                .unwrap()
        });
        assert_eq!(text, ("2 numbers\n".into(), String::new()));
        let json = print(true, |output| output.answer(&value, |_| "text".into()).unwrap());
        assert_eq!(json, ("[\n  1,\n  2\n]\n".into(), String::new()));
    }

    #[test]
    fn an_error_goes_to_standard_error_with_its_hint() {
        let failure = Failure::new(Exit::Busy, "load: busy\nhint: wait");
        assert_eq!(
            print(false, |output| output.failure(&failure)),
            (String::new(), "tapekey: load: busy\nhint: wait\n".into())
        );
        let (_, json) = print(true, |output| output.failure(&failure));
        assert_eq!(json, "{\"error\":\"load: busy\",\"exit\":4,\"hint\":\"wait\"}\n");
    }

    #[test]
    fn a_reader_that_closed_its_end_is_no_failure_but_a_full_disk_is() {
        struct Broken(io::ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let outcome = |kind| Output::new(false, &mut Broken(kind), &mut Vec::new()).answer(&1, ToString::to_string);
        assert_eq!(outcome(io::ErrorKind::BrokenPipe), Ok(()));
        assert_eq!(outcome(io::ErrorKind::StorageFull).unwrap_err().exit, Exit::Failed);
    }

    #[test]
    fn columns_are_aligned_and_short_rows_end_early() {
        let mut table = Table::new(&["name", "state"]);
        table.row(["a", "active"]).row(["ENCR_long", "x"]).row(["b"]);
        assert_eq!(
            table.to_string(),
            "NAME       STATE\na          active\nENCR_long  x\nb\n"
        );
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let mut table = Table::without_headings();
        table.row(["\u{1b}[2Jx\r", "first\n  second\n"]);
        assert_eq!(table.to_string(), "\u{FFFD}[2Jx\u{FFFD}  first; second\n");
    }
}
