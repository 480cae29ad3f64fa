//! What went to and fro between initiators and the drive, in words: `sg-sim trace`.
//!
//! Commands, pages and sense are named as the standards name them; what is not known is shown in hexadecimal, never guessed. Nothing in here
//! ever sees a key: [`Line`] leaves it out when it is written.

mod command;
mod line;
mod page;
mod program;
mod sense;

pub(super) use command::name as command_name;
pub use line::{Line, Recorder};
pub(super) use program::{TraceArgs, TraceError, run};

use std::fmt::Write as _;

/// Bytes as upper-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// The bytes of a hexadecimal text; none if it is not one.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}

/// A big-endian field; bytes that are not there count as zero.
fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    (at..at.saturating_add(width)).fold(0, |number, at| {
        (number << 8) | u64::from(bytes.get(at).copied().unwrap_or(0))
    })
}

/// The byte at `at`; zero if it is not there.
fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_goes_both_ways_and_nothing_else_is_taken() {
        assert_eq!(bytes(&hex(&[0, 0xAB])), Some(vec![0, 0xAB]));
        for text in ["0", "0g", "+1", "\u{e4}"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!((number(&[1, 2], 0, 4), byte(&[1], 9)), (0x0102_0000, 0));
    }
}
