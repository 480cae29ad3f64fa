//! The off-line recovery kit: every group key under a passphrase of its own, as one text to print and to keep apart from the passphrase.
//!
//! It is what is left when the key service, its disks and its host master key are gone. Its form is frozen: `tests/vectors/kit-v1.json` pins
//! it, and the text itself tells a stranger how to read it without this program. Standards: Argon2id (RFC 9106), AES-256-GCM (NIST SP
//! 800-38D), SHA-256, Crockford's base 32.

mod base32;
mod content;
mod error;
pub mod into;
mod lines;
pub mod make;
pub mod recover;
mod sealed;
mod text;

pub use content::{Contents, KitGroup, KitKey};
pub use error::KitError;
pub use lines::{Collector, Given, Problems};
pub use sealed::{Head, KitOf, SealedKit};
pub use text::{Extent, next_line, read};

#[cfg(test)]
mod tests;
