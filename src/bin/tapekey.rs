//! `tapekey`: the command line.

mod real {
    //! What only a program may ask of the machine.
    pub(crate) mod clock;
}

use std::io::{stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tapekey::cli::{Arguments, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let clock = Arc::new(real::clock::SystemClock::start());
    run(Arguments::parse(), clock, &mut stdout(), &mut stderr())
        .await
        .into()
}
