//! The control socket: how the command line, hooks and monitors speak to `tapekeyd`.
//!
//! One JSON object a line, in both directions, with a version and a request id. Key bytes never cross it: no message has a field for
//! them; `unlock` may hand the descriptor of a pipe over that the daemon takes a key out of. Only root, the daemon's own user and the members of one configured group are heard; the kernel says who called.
//!
//! This room knows nothing of drives or keys beyond the words of its messages; what is commanded is done by the controller.

pub mod client;
pub mod commands;
mod incoming;
mod lines;
pub mod messages;
pub mod peer;
pub mod server;
pub mod socket;
