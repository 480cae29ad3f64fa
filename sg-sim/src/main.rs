//! The `sg-sim` program: see `sg-sim --help`. Everything is in `sg_sim::front`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sg_sim::front::cli::main()
}
