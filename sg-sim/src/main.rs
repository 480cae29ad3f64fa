//! The `sg-sim` program: see `sg-sim --help`. Everything is in `sg_sim::front`; only the real randomness is made here.

use std::process::ExitCode;

use sg_sim::Randomness;

fn main() -> ExitCode {
    sg_sim::front::cli::main(|| Box::new(SystemRandomness))
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
