//! The KMS's own certificates: a root CA to move off-line, an issuing CA under it, and leaves for the server and its clients. X.509 v3 as in
//! RFC 5280, ECDSA on P-256 throughout.
//!
//! Private keys here are drawn by the cipher library, which takes no seed; nothing that seals or encrypts data comes from it.

mod issue;
mod request;
mod role;

pub use issue::{Authority, Leaf, PkiError, certificate_pem, server_under};
pub(in crate::kms) use request::{IssuingCa, client_under};
pub(in crate::kms) use role::{CertificateFacts, facts};
pub use role::{Identity, identify};
