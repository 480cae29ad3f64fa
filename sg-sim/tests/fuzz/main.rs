//! Fuzz targets that run on stable Rust: commands, Set Data Encryption pages, cartridge files.
//!
//! `cargo test -p sg-sim --test fuzz` makes a fixed number of rounds from a fixed seed, in a few seconds. `-- --seconds 60` goes on for so long in all,
//! `--seed N` begins elsewhere, and a word names the target. Each round takes an input from `corpus/`, changes it, and holds what comes back
//! against what a drive could answer. A round that fails is printed with its seed, number and input; `--seed S --round N TARGET` repeats it alone.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a fuzzer that cannot go on has found something"
)]

mod cartridges;
mod commands;
mod corpus;
mod mutation;
mod pages;

use mutation::Lots;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::{Duration, Instant},
};

/// Rounds of each target unless a time is given.
const ROUNDS: u64 = 1_500;

/// Something that takes inputs.
trait Target {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// One round: makes an input from `lots`, tries it, and panics if the answer is wrong. `say` hears the input.
    fn round(&mut self, lots: &mut Lots, say: &mut dyn FnMut(&str));
}

struct Wishes {
    seconds: Option<u64>,
    seed: u64,
    round: Option<u64>,
    targets: Vec<String>,
}

impl Wishes {
    /// Switches that `cargo test` hands to every test are none of ours.
    fn of(arguments: impl Iterator<Item = String>) -> Self {
        let mut wishes = Self {
            seconds: None,
            seed: 1,
            round: None,
            targets: vec![],
        };
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|word| word.parse().ok());
            match argument.as_str() {
                "--seconds" => wishes.seconds = number(),
                "--seed" => wishes.seed = number().unwrap_or(1),
                "--round" => wishes.round = number(),
                word if word.starts_with('-') => {}
                word => wishes.targets.push(word.to_owned()),
            }
        }
        wishes
    }

    fn wants(&self, target: &str) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|word| target.contains(word.as_str()))
    }
}

fn main() -> ExitCode {
    let wishes = Wishes::of(std::env::args().skip(1));
    let mut targets: Vec<Box<dyn Target>> = vec![
        Box::new(commands::Commands::new()),
        Box::new(pages::Pages::new()),
        Box::new(cartridges::Cartridges::new()),
    ];
    targets.retain(|target| wishes.wants(target.name()));
    let share = u64::try_from(targets.len()).unwrap().max(1);
    let limit = wishes
        .seconds
        .map(|seconds| Duration::from_secs(seconds) / u32::try_from(share).unwrap());
    for target in &mut targets {
        if !run(target.as_mut(), &wishes, limit) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Rounds until the time is up, or so many.
fn run(target: &mut dyn Target, wishes: &Wishes, limit: Option<Duration>) -> bool {
    let (began, mut rounds) = (Instant::now(), 0);
    let first = wishes.round.unwrap_or(0);
    for round in first.. {
        let over = limit.map_or(rounds >= ROUNDS, |limit| began.elapsed() >= limit);
        if over || (wishes.round.is_some() && round > first) {
            break;
        }
        let mut input = String::new();
        let mut lots = Lots::new(wishes.seed, round);
        let tried = catch_unwind(AssertUnwindSafe(|| {
            target.round(&mut lots, &mut |text| text.clone_into(&mut input))
        }));
        if tried.is_err() {
            let (name, seed) = (target.name(), wishes.seed);
            eprintln!("fuzz {name}: failed with --seed {seed} --round {round}\ninput:\n{input}");
            return false;
        }
        rounds += 1;
    }
    println!("fuzz {}: {rounds} rounds from seed {}", target.name(), wishes.seed);
    true
}
