//! Write and read throughput of the drive against the bare work that nobody can leave out, as ratios.
//!
//! Both sides of a row move the same bytes in turns, in one run, and the ratio is the median of the turns' ratios, so that what else the
//! machine does falls on both. Every side starts a turn at the beginning of its tape; positioning is not timed. Nothing is synced.
//!
//! At the end it starts the program itself and says how long its first answer takes.
//!
//! In process the bare side copies a block and then seals or opens it where it lies. The drive does both in one pass, from the caller's
//! buffer to the tape and back, which is why its ratio can be above 1. Over the socket the bare side seals where the block arrived.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops where it stands and prints its table"
)]

mod bare;
mod ours;
mod start;

use std::time::Duration;

/// Bytes that one turn moves.
const TURN_BYTES: usize = 32 << 20;
/// Turns of each side for a row.
const TURNS: usize = 41;
const KIB: usize = 1024;
/// Goal for the time from the start of the program to its first answer, in milliseconds.
const START_MS: f64 = 50.0;
/// Block sizes, and the goal for each in process and (second) over socket and to a file.
const SIZES: [(usize, Option<f64>, Option<f64>); 3] = [
    (64 * KIB, Some(0.90), Some(0.90)),
    (256 * KIB, Some(0.95), Some(0.90)),
    (1024 * KIB, Some(0.95), Some(0.90)),
];

/// Something that writes and reads a tape of sealed blocks.
trait Tape {
    /// Goes to the beginning and writes `data` in blocks of `size`; how long the writing took.
    fn write(&mut self, data: &[u8], size: usize) -> Duration;
    /// Goes to the beginning and reads `into.len()` bytes in blocks of `size`; how long the reading took.
    fn read(&mut self, into: &mut [u8], size: usize) -> Duration;
}

fn main() {
    // `cargo bench` passes --bench; `cargo test --all-targets` does not, and only wants to see it work.
    let turns = if std::env::args().any(|argument| argument == "--bench") {
        TURNS
    } else {
        1
    };
    println!(
        "{:20} {:>9} {:>14} {:>14} {:>7} {:>6}",
        "what", "block", "sg-sim MiB/s", "bare MiB/s", "ratio", "goal"
    );
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (size, goal, goal_outside) in SIZES {
        rows(
            "in process",
            turns,
            size,
            goal,
            &mut ours::InProcess::in_memory(),
            &mut bare::Memory::new(TURN_BYTES),
        );
        rows(
            "over the socket",
            turns,
            size,
            goal_outside,
            &mut ours::socket(),
            &mut bare::socket(TURN_BYTES),
        );
        let (file, bare_file) = (
            folder.path().join(format!("{size}.cart")),
            folder.path().join(format!("{size}.bare")),
        );
        rows(
            "to a file",
            turns,
            size,
            goal_outside,
            &mut ours::InProcess::in_file(&file),
            &mut bare::OnDisk::new(&bare_file),
        );
    }
    for start in start::Start::ALL {
        print_start(start, turns);
    }
}

fn print_start(start: start::Start, turns: usize) {
    // Not beside the tapes: a path longer than 107 bytes is no socket's.
    let folder = tempfile::tempdir().unwrap();
    // The first start brings the program into memory, and is not counted.
    start.once(folder.path(), turns);
    let took: Vec<f64> = (0..turns)
        .map(|turn| start.once(folder.path(), turn).as_secs_f64() * 1000.0)
        .collect();
    let (middle, worst) = (median(took.clone()), took.iter().copied().fold(0.0, f64::max));
    let above = if middle > START_MS { " above" } else { "" };
    println!(
        "{:20} median {middle:.1} ms, worst of {turns} {worst:.1} ms, goal {START_MS} ms{above}",
        start.name()
    );
}

fn rows(place: &str, turns: usize, size: usize, goal: Option<f64>, ours: &mut dyn Tape, bare: &mut dyn Tape) {
    let data: Vec<u8> = (0..TURN_BYTES)
        .map(|at| u8::try_from((at ^ (at >> 8)) % 251).unwrap())
        .collect();
    let (mut from_ours, mut from_bare) = (vec![0; TURN_BYTES], vec![0; TURN_BYTES]);
    let written = measure(turns, || ours.write(&data, size), || bare.write(&data, size));
    print_row("write", place, size, goal, &written);
    let read = measure(
        turns,
        || ours.read(&mut from_ours, size),
        || bare.read(&mut from_bare, size),
    );
    assert!(
        from_ours == data && from_bare == data,
        "what was read is not what was written"
    );
    print_row("read", place, size, goal, &read);
}

/// Seconds of each side, turn by turn.
struct Measured {
    ours: Vec<f64>,
    bare: Vec<f64>,
}

fn measure(turns: usize, mut ours: impl FnMut() -> Duration, mut bare: impl FnMut() -> Duration) -> Measured {
    // The first turn of each brings in memory and pages, and is not counted.
    ours();
    bare();
    let mut measured = Measured {
        ours: Vec::new(),
        bare: Vec::new(),
    };
    for turn in 0..turns {
        // Who comes first changes with every turn.
        let (one, other) = if turn % 2 == 0 {
            let one = ours();
            (one, bare())
        } else {
            let other = bare();
            (ours(), other)
        };
        measured.ours.push(one.as_secs_f64());
        measured.bare.push(other.as_secs_f64());
    }
    measured
}

fn print_row(verb: &str, place: &str, size: usize, goal: Option<f64>, measured: &Measured) {
    let ratio = median(
        measured
            .ours
            .iter()
            .zip(&measured.bare)
            .map(|(ours, bare)| bare / ours)
            .collect(),
    );
    let speed = |seconds: &[f64]| f64::from(u32::try_from(TURN_BYTES >> 20).unwrap()) / median(seconds.to_vec());
    let goal_text = goal.map(|goal| format!("{goal:.2}")).unwrap_or_default();
    let below = if goal.is_some_and(|goal| ratio < goal) {
        " below"
    } else {
        ""
    };
    println!(
        "{:20} {:>9} {:>14.0} {:>14.0} {ratio:>7.3} {goal_text:>6}{below}",
        format!("{verb} {place}"),
        format!("{} KiB", size / KIB),
        speed(&measured.ours),
        speed(&measured.bare),
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
