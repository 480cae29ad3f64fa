//! The `sg-sim` program: see `sg-sim --help`. Everything is in `sg_sim::front`; only the real randomness and the real clock are made
//! here.

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sg_sim::Randomness;

fn main() -> ExitCode {
    sg_sim::front::cli::main(|| Box::new(SystemRandomness), since_start)
}

/// The system's monotonic clock, from zero.
fn since_start() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// The kernel's randomness. The cipher library's own generator spends tens of milliseconds on its first byte.
struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&mut self, out: &mut [u8]) {
        // There is no drive without nonces: it waits as long as the system has no randomness, as early in a boot.
        while getrandom::fill(out).is_err() {
            std::thread::yield_now();
        }
    }
}
