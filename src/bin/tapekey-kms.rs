//! `tapekey-kms`: the key management service.

mod real;

use std::io::{stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tapekey::kms::command::{Arguments, Machine, run};

#[tokio::main]
async fn main() -> ExitCode {
    let machine = Machine {
        clock: Arc::new(real::SystemClock::start()),
        entropy: Arc::new(real::KernelEntropy),
    };
    run(Arguments::parse(), machine, &mut stdout(), &mut stderr()).await
}
