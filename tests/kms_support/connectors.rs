//! Connectors to servers as they are configured: whatever an administrator names is played by the other KMS of that name, and what the
//! connector was given is kept for the test to see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use tapekey::kms::connector::{
    Asking, Checking, Connect, CreatedKey, ExternalKey, ExternalServer, GroupName, KeyName, Peer, ServerIdentity,
    Settings, Wanted,
};
use tapekey::kms::pki::{Authority, Leaf};
use tapekey::kms_api::{
    AddServer, GroupAttribute, KeyServerKind, Role, ServerCredentials, ServerName, ServerPrivateKey,
};

use super::outside::OtherKms;
use super::{Home, VirtualClock};
use tapekey::clock::Clock;

/// Makes connectors to the servers of these names.
#[derive(Default)]
pub(crate) struct Connectors {
    servers: BTreeMap<String, Arc<OtherKms>>,
    /// Why none can be made at all.
    broken: Mutex<Option<String>>,
    /// The client certificate of each connector that was made, in order.
    made: Mutex<Vec<(String, CertificateDer<'static>)>>,
}

impl Connectors {
    pub(crate) fn to(servers: &[&Arc<OtherKms>]) -> Arc<Self> {
        let named = servers
            .iter()
            .map(|server| (server.identity().name.to_string(), Arc::clone(server)));
        Arc::new(Self {
            servers: named.collect(),
            ..Self::default()
        })
    }

    pub(crate) fn break_down(&self, why: Option<&str>) {
        *self.broken.lock().unwrap() = why.map(str::to_owned);
    }

    /// The client certificates that were given for the server, the last at the end.
    pub(crate) fn certificates_for(&self, name: &str) -> Vec<CertificateDer<'static>> {
        let made = self.made.lock().unwrap();
        let of_it = made.iter().filter(|(server, _)| server == name);
        of_it.map(|(_, certificate)| certificate.clone()).collect()
    }
}

impl Connect for Connectors {
    fn connect(&self, identity: ServerIdentity, settings: Settings) -> Result<Arc<dyn ExternalServer>, String> {
        if let Some(why) = &*self.broken.lock().unwrap() {
            return Err(why.clone());
        }
        let name = identity.name.to_string();
        let server = self.servers.get(&name).ok_or("nobody plays it")?.clone();
        let certificate = settings.certificate[0].clone();
        self.made.lock().unwrap().push((name, certificate));
        Ok(Arc::new(Connected { identity, server }))
    }
}

/// Another KMS under the settings of an administrator.
struct Connected {
    identity: ServerIdentity,
    server: Arc<OtherKms>,
}

impl ExternalServer for Connected {
    fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    fn key_for_backup(&self, group: &GroupName) -> Asking<ExternalKey> {
        self.server.key_for_backup(group)
    }

    fn keys_for_restore(&self, wanted: &Wanted) -> Asking<Vec<ExternalKey>> {
        self.server.keys_for_restore(wanted)
    }

    fn check(&self, group: Option<&GroupName>) -> Checking {
        self.server.check(group)
    }

    fn create_key(&self, group: &GroupName, name: Option<&KeyName>) -> Asking<CreatedKey> {
        self.server.create_key(group, name)
    }

    fn peer(&self) -> Peer {
        self.server.peer()
    }
}

/// A CA that both sides believe, and what it signed.
pub(crate) struct Trust {
    authority: Authority,
    clock: Arc<VirtualClock>,
}

impl Trust {
    pub(crate) fn new(home: &Home) -> Self {
        Self {
            authority: Authority::root(home.clock.now()).unwrap(),
            clock: home.clock.clone(),
        }
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.authority.certificate_pem()
    }

    /// A new certificate and key for the KMS.
    pub(crate) fn leaf(&self) -> Leaf {
        self.authority
            .client("tapekey-kms", Role::MediaServer, self.clock.now())
            .unwrap()
    }

    pub(crate) fn credentials(&self) -> ServerCredentials {
        credentials_of(&self.leaf())
    }

    /// The wish to add a server.
    pub(crate) fn server(&self, name: &str) -> AddServer {
        AddServer {
            name: ServerName::new(name).unwrap(),
            kind: KeyServerKind::Kmip,
            endpoints: vec![format!("{name}.example.org:5696").parse().unwrap()],
            priority: 0,
            enabled_for_backup: true,
            group_attribute: GroupAttribute::Auto,
            trust: self.ca_pem(),
            credentials: self.credentials(),
            limit_ms: 5000,
            allow_compromised_restore: true,
        }
    }
}

pub(crate) fn credentials_of(leaf: &Leaf) -> ServerCredentials {
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
    ServerCredentials {
        certificate: leaf.certificate_pem.clone(),
        private_key: ServerPrivateKey::of_der(key.secret_der().to_vec().into()),
    }
}
