//! `tapekey`: the command line.

mod real {
    //! What only a program may ask of the machine.
    pub(crate) mod clock;
    pub(crate) mod entropy;
}

use std::io::{stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tapekey::cli::{Arguments, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let clock = Arc::new(real::clock::SystemClock::start());
    let entropy = real::entropy::KernelEntropy;
    run(Arguments::parse(), clock, &entropy, &mut stdout(), &mut stderr())
        .await
        .into()
}
