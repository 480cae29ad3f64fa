//! How a server is reached. No `Debug`: there is a private key in it.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::endpoint::Endpoint;
use super::group::GroupAttribute;

/// How a server is reached, with which certificates, and what is known of its habits.
pub struct KmipSettings {
    /// Where it listens; all of them are doors to the same store.
    pub endpoints: Vec<Endpoint>,
    /// The CAs that its certificate may come from.
    pub trust: Vec<CertificateDer<'static>>,
    /// Our certificate for it, and what links it to its CA.
    pub certificate: Vec<CertificateDer<'static>>,
    /// The key of our certificate.
    pub private_key: PrivateKeyDer<'static>,
    /// The attribute that holds a key's group; `None`: found out by asking.
    pub group_attribute: Option<GroupAttribute>,
    /// Whether keys that are marked as compromised may still decrypt what was written under them.
    pub allow_compromised_restore: bool,
    /// How long one endpoint may take for one exchange, connecting included.
    pub endpoint_limit: Duration,
}
