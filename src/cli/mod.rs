//! The command line `tapekey`: flags once, one file per subcommand.
//!
//! It speaks to the daemon over the control socket and to the KMS as any other client does; it never touches a drive itself.

pub mod kms;
pub mod output;
