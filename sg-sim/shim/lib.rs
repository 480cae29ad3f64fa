//! The preloaded half of `sg-sim run`: makes an unmodified program see `/sim/sg0`, `/sim/nst0` and their like.
//!
//! `build.rs` compiles this into a shared object of its own, which `sg-sim run` puts into `LD_PRELOAD`. It takes the place of the C library's
//! functions on files for paths below `/sim/` and for descriptors that came from there, and hands everything else on unchanged. What a node
//! answers is decided by `sg-sim run`, on the other side of a Unix socket; here bytes are only moved.
//!
//! A descriptor of ours is a socket connected to `sg-sim run` and bound to a name in the abstract name space that says which node it is
//! (`descriptor`). So it is known in every process that inherits it, also after exec, and the last close of it is seen by the other side.
//! Each request goes over a connection of its own, so nothing is shared between threads or processes and no lock is ever held.
//!
//! There is no standard library here and no allocation: the functions may be called from signal handlers and between fork and exec.

#![no_std]
#![deny(
    missing_docs,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod answers;
mod control;
mod descriptor;
mod libc;
mod link;
mod names;
mod next;
mod node;
mod open;
mod scsi;
mod status;
mod tape;
mod transfer;

/// There is nowhere to report to: a bug here must not run on inside somebody's backup program.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort takes no argument and does not return.
    unsafe { libc::abort() }
}
