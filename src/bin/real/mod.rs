//! The real clock and the real randomness: the only place where a program of this package asks the machine for either.

mod clock;
mod entropy;

pub(crate) use clock::SystemClock;
pub(crate) use entropy::KernelEntropy;
