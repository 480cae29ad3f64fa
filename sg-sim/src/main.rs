//! The `sg-sim` program: see `sg-sim --help`. Everything is in `sg_sim::front`, but what only the system can give: randomness.

use sg_sim::Randomness;
use sg_sim::front::{Outside, cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(Outside {
        randomness: || Box::new(SystemRandomness),
    })
}

/// The cipher library's generator, seeded by the system.
struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&mut self, out: &mut [u8]) {
        // There is no drive without nonces: it waits as long as the system has no randomness, as early in a boot.
        while aws_lc_rs::rand::fill(out).is_err() {
            std::thread::yield_now();
        }
    }
}
