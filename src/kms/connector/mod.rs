//! Servers outside that hold keys, as selection sees them: what they can be asked, and what an answer can be.
//!
//! A connector speaks one server's protocol and nothing else. It never keeps an answer, never derives a key and sets itself no time limit
//! for a whole question: `select` does all of that, for every kind of server alike. Key bytes leave a connector in a [`DataKey`] only.

mod by_kind;
pub mod kmip;

pub(in crate::kms) use by_kind::ByKind;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::clock::Timestamp;
use crate::kad::{BlockKads, KeyId};
pub use crate::kms_api::{
    CreatedKey, Finding, GroupAttribute, GroupName, KeyName, KeyServerKind, KeyState, ServerEndpoint, ServerName,
    Verdict,
};
use crate::secret::DataKey;

/// An answer on its way. It owns what it needs and may be dropped at any time: then the time for it was up.
pub type Asking<T> = Pin<Box<dyn Future<Output = Answer<T>> + Send>>;

/// What a look at a server found, on its way.
pub type Checking = Pin<Box<dyn Future<Output = Vec<Finding>> + Send>>;

/// Makes connectors to servers as administrators configured them.
pub trait Connect: Send + Sync {
    /// A connector. Nobody is asked for it.
    ///
    /// # Errors
    /// Why the settings cannot be used, on one line.
    fn connect(&self, identity: ServerIdentity, settings: Settings) -> Result<Arc<dyn ExternalServer>, String>;
}

/// How a server is reached and talked to, besides who it is. No `Debug`: it has a private key.
pub struct Settings {
    /// Where it is reached, in the order in which these are tried.
    pub endpoints: Vec<ServerEndpoint>,
    /// The CAs that its certificate must come from.
    pub trust: Vec<CertificateDer<'static>>,
    /// What the KMS shows it: its own certificate first.
    pub certificate: Vec<CertificateDer<'static>>,
    /// The private key to that.
    pub private_key: PrivateKeyDer<'static>,
    /// Where its keys have their group.
    pub group_attribute: GroupAttribute,
    /// Whether a key that it calls compromised may still read what was written under it.
    pub allow_compromised_restore: bool,
}

/// A server outside that holds keys. Restores ask every one; backups those that are enabled for it.
pub trait ExternalServer: Send + Sync {
    /// Who it is; always the same.
    fn identity(&self) -> &ServerIdentity;

    /// The key that new volumes of `group` are to be written under: of its active keys the most recent one.
    fn key_for_backup(&self, group: &GroupName) -> Asking<ExternalKey>;

    /// Every key that `wanted` may name and whose state allows reading, the best first. What is not asked for may be among them: the
    /// KMS looks at each. None is [`Answer::NoSuchKey`].
    fn keys_for_restore(&self, wanted: &Wanted) -> Asking<Vec<ExternalKey>>;

    /// Looks at everything between here and a key: certificates, versions, how it searches; with `group` also at the key that new volumes
    /// of that group would get. Trouble is a finding.
    fn check(&self, group: Option<&GroupName>) -> Checking;

    /// Makes a key in `group`, active at once. It stays there.
    fn create_key(&self, group: &GroupName, name: Option<&KeyName>) -> Asking<CreatedKey>;

    /// Ends the connections that were not used for a while, and what their buffers hold with them. Due every minute or so.
    fn end_idle(&self) {}

    /// What is known of the server from earlier connections. Asks nobody.
    fn peer(&self) -> Peer;
}

/// What is known of a server from the connections that came about so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// The version of its protocol that was agreed on, such as `1.4`.
    pub protocol_version: Option<String>,
    /// The last moment of the certificate that it showed; of several endpoints, the soonest.
    pub certificate_not_after: Option<Timestamp>,
}

/// Who a server is and how it is to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerIdentity {
    /// Its name in the KMS's configuration.
    pub name: ServerName,
    /// What it speaks.
    pub kind: KeyServerKind,
    /// Where it is reached, for people: `HOST:PORT`, several of them if it has several endpoints.
    pub address: String,
    /// The highest is asked first; 0 unless somebody set it.
    pub priority: i32,
    /// Whether new volumes may be written under its keys.
    pub enabled_for_backup: bool,
    /// How long one question to it may take, all its endpoints included.
    pub limit: Duration,
}

/// What a restore looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The keys with this id, which stands in a KAD of ours: see [`KeyId::from_identifier`]. It may be a cut one, so there may be several.
    Id(KeyId),
    /// The keys that KADs of other software may name: by the KAD that was noted with the key, or as the key's id.
    ForeignKads(BlockKads),
}

/// What a server said.
pub enum Answer<T> {
    /// This.
    Found(T),
    /// It was asked, and has no such key; the text says more, where more is known.
    NoSuchKey(Option<String>),
    /// It could not be asked, or its answer was none: whether it has the key is not known. TLS trouble is of this kind.
    Unreachable(String),
    /// It answered, and does not give the key: for its state, or for want of a permission. The text says what to do.
    Refused(String),
}

/// A key as an external server gives it. No `Debug`: it carries a key.
pub struct ExternalKey {
    /// The group's key.
    pub key: DataKey,
    /// What the server calls it, unique within the server; its id in KADs follows from this.
    pub identifier: String,
    /// Its name, if it has one that is a name here too.
    pub name: Option<KeyName>,
    /// The group it is in.
    pub group: GroupName,
    /// Active or inactive; no other state comes out of a connector.
    pub state: KeyState,
    /// Whether it is marked as compromised on its server, and given all the same because this server's settings allow it. Its state here is
    /// inactive then, and every release says so in the audit log.
    pub compromised: bool,
    /// The KAD of other software that was noted with it.
    pub foreign_kad: Option<Vec<u8>>,
    /// The version of the server's protocol that it came by, such as `1.4`.
    pub protocol_version: String,
}

impl ExternalKey {
    /// Its id in KADs.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::from_identifier(&self.identifier)
    }

    /// Its name; without one, its id.
    #[must_use]
    pub fn shown_name(&self) -> KeyName {
        self.name.clone().unwrap_or_else(|| KeyName::of_id(self.id()))
    }
}

impl fmt::Display for ServerIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({} at {})", self.name, self.kind, self.address)
    }
}
