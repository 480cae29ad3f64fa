//! The device against a guest that a test plays: its rings and descriptors are written byte by byte, as a driver would.

mod commands;
mod faults;
mod guest;
mod malformed;
mod ordering;
mod task_management;
