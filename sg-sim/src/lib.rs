//! sg-sim.
