//! Fuzz target that runs on stable Rust: TTLV as a KMIP server may send it.
//!
//! `cargo test -p tapekey --test fuzz` makes a fixed number of rounds from a fixed seed, in a second or two. `-- --seconds 60` goes on for so long,
//! `--seed N` begins elsewhere. Each round changes a message and holds what the decoder makes of it against the bytes: written out again it must be
//! the same message, but for what fills values up. A round that fails is printed with its seed, number and input; `--seed S --round N` repeats it alone.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a fuzzer that cannot go on has found something"
)]

mod mutation;
mod written;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mutation::Lots;
use tapekey::kms::connector::kmip::ttlv::{DEPTH_MAX, Element, MESSAGE_LENGTH_MAX, Value, decode};

/// Rounds unless a time is given.
const ROUNDS: u64 = 20_000;

struct Wishes {
    seconds: Option<u64>,
    seed: u64,
    round: Option<u64>,
}

impl Wishes {
    /// Switches that `cargo test` hands to every test are none of ours.
    fn of(mut arguments: impl Iterator<Item = String>) -> Self {
        let mut wishes = Self {
            seconds: None,
            seed: 1,
            round: None,
        };
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|word| word.parse().ok());
            match argument.as_str() {
                "--seconds" => wishes.seconds = number(),
                "--seed" => wishes.seed = number().unwrap_or(1),
                "--round" => wishes.round = number(),
                _ => {}
            }
        }
        wishes
    }
}

fn main() -> ExitCode {
    let wishes = Wishes::of(std::env::args().skip(1));
    let limit = wishes.seconds.map(Duration::from_secs);
    let (began, first, mut read) = (Instant::now(), wishes.round.unwrap_or(0), 0);
    let mut rounds = 0;
    for round in first.. {
        let over = limit.map_or(rounds >= ROUNDS, |limit| began.elapsed() >= limit);
        if over || (wishes.round.is_some() && round > first) {
            break;
        }
        let message = written::message(&mut Lots::new(wishes.seed, round));
        match catch_unwind(|| try_to_read(&message)) {
            Ok(is_read) => read += u64::from(is_read),
            Err(_) => {
                let (seed, message) = (wishes.seed, hex::encode(&message));
                eprintln!("fuzz ttlv: failed with --seed {seed} --round {round}\ninput:\n{message}");
                return ExitCode::FAILURE;
            }
        }
        rounds += 1;
    }
    println!(
        "fuzz ttlv: {rounds} rounds from seed {}, {read} of them read",
        wishes.seed
    );
    ExitCode::SUCCESS
}

/// Whether `message` is TTLV to the decoder; panics if what it made of it is something else than what stands there.
fn try_to_read(message: &[u8]) -> bool {
    let Ok(element) = decode(message) else {
        return false;
    };
    assert!(message.len() <= MESSAGE_LENGTH_MAX);
    assert!(depth(&element) <= DEPTH_MAX);
    let again = write(&element, message);
    assert_eq!(
        again,
        without_filling(message),
        "it reads something else than what stands there"
    );
    true
}

fn depth(element: &Element<'_>) -> usize {
    match &element.value {
        Value::Structure(fields) => 1 + fields.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The message once more, from what was read of it, without anything that fills values up.
fn write(element: &Element<'_>, message: &[u8]) -> Vec<u8> {
    let (kind, value) = match &element.value {
        Value::Structure(fields) => (1, fields.iter().flat_map(|field| write(field, message)).collect()),
        Value::Integer(number) => (2, number.to_be_bytes().to_vec()),
        Value::LongInteger(number) => (3, number.to_be_bytes().to_vec()),
        Value::Enumeration(number) => (5, number.to_be_bytes().to_vec()),
        Value::Boolean(yes) => (6, vec![u8::from(*yes)]),
        Value::Text(text) => (7, text.as_bytes().to_vec()),
        Value::Bytes(bytes) => (8, bytes.to_vec()),
        Value::DateTime(seconds) => (9, seconds.to_be_bytes().to_vec()),
        Value::DateTimeExtended(microseconds) => (11, microseconds.to_be_bytes().to_vec()),
        Value::Other { kind, bytes } => {
            assert!(message.as_ptr_range().contains(&bytes.as_ptr()) || bytes.is_empty());
            (*kind, bytes.to_vec())
        }
    };
    [&element.tag.0.to_be_bytes()[1..], &[kind], &value[..]].concat()
}

/// The same from the bytes alone: tag, type, value.
fn without_filling(message: &[u8]) -> Vec<u8> {
    let mut rest = message;
    let mut bare = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<8>() {
        let length = usize::try_from(u32::from_be_bytes(header[4..].try_into().unwrap())).unwrap();
        let value = &after[..length];
        bare.extend(&header[..4]);
        match header[3] {
            1 => bare.extend(without_filling(value)),
            6 => bare.push(u8::from(value.iter().any(|byte| *byte != 0))),
            _ => bare.extend(value),
        }
        rest = &after[length.next_multiple_of(8)..];
    }
    bare
}
