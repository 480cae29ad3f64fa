//! One story for every server: PyKMIP as it is published and with custom attributes, and the fake one with the habits of several.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tapekey::kms::connector::kmip::GroupAttribute;
use tokio::sync::OnceCell;

use super::certificates::Authority;
use super::client::Client;
use super::fake::{Fake, Habits, Object, Vendor};
use super::pykmip::{Kind, PyKmip};
use super::tags::{self, state};
use super::talk::{Carrier, X_KEYGROUP};
use super::ttlv::Value;

/// Started by the first test of a binary that needs them, and ended with the process: they stop when it is gone.
static STOCK: OnceCell<Option<PyKmip>> = OnceCell::const_new();
static WITH_CUSTOM_ATTRIBUTES: OnceCell<Option<PyKmip>> = OnceCell::const_new();
static AUTHORITY: LazyLock<Arc<Authority>> = LazyLock::new(|| Arc::new(Authority::new("CA of the KMIP tests")));

pub(crate) enum Server {
    /// Shared by all tests of a binary, so that each test needs groups of its own.
    PyKmip(&'static PyKmip),
    Fake(Fake),
}

/// A server, and how groups are written down on it.
pub(crate) struct Place {
    /// For messages of failed tests.
    pub(crate) name: &'static str,
    tag: &'static str,
    pub(crate) server: Server,
    pub(crate) carrier: Carrier,
    /// As it is configured for the client.
    pub(crate) group_attribute: Option<GroupAttribute>,
}

impl Place {
    /// A name for a group that no other test and no other place has.
    pub(crate) fn group(&self, of_the_test: &str) -> String {
        format!("ENCR_{}_{of_the_test}", self.tag)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match &self.server {
            Server::PyKmip(server) => server.address(),
            Server::Fake(server) => server.address(),
        }
    }

    pub(crate) fn authority(&self) -> &Arc<Authority> {
        match &self.server {
            Server::PyKmip(server) => server.authority(),
            Server::Fake(server) => server.authority(),
        }
    }

    /// Registers a key in `group`, as the owner of the client's certificate. It is Pre-Active. Its identifier.
    pub(crate) async fn register(&self, group: &str, material: [u8; 32]) -> String {
        match &self.server {
            Server::PyKmip(server) => {
                let mut talk = server.talk("owner").await;
                talk.register(self.carrier, group, &material).await.unwrap()
            }
            Server::Fake(server) => {
                let key = Object::aes(&material).in_group(self.carrier, group);
                server.add(key.in_state(state::PRE_ACTIVE))
            }
        }
    }

    pub(crate) async fn activate(&self, identifier: &str) {
        match &self.server {
            Server::PyKmip(server) => server.talk("owner").await.activate(identifier).await.unwrap(),
            Server::Fake(server) => server.activate(identifier),
        }
    }

    /// Registers and activates.
    pub(crate) async fn active_key(&self, group: &str, material: [u8; 32]) -> String {
        let identifier = self.register(group, material).await;
        self.activate(&identifier).await;
        identifier
    }

    pub(crate) async fn deactivate(&self, identifier: &str) {
        self.revoke(identifier, tags::CESSATION_OF_OPERATION, state::DEACTIVATED)
            .await;
    }

    pub(crate) async fn compromise(&self, identifier: &str) {
        self.revoke(identifier, tags::KEY_COMPROMISE, state::COMPROMISED).await;
    }

    async fn revoke(&self, identifier: &str, why: u32, state: u32) {
        match &self.server {
            Server::PyKmip(server) => server.talk("owner").await.revoke(identifier, why).await.unwrap(),
            Server::Fake(server) => server.change(identifier, |key| key.state = state),
        }
    }

    pub(crate) async fn destroy(&self, identifier: &str) {
        match &self.server {
            Server::PyKmip(server) => server.talk("owner").await.destroy(identifier).await.unwrap(),
            Server::Fake(server) => server.change(identifier, |key| key.destroyed = true),
        }
    }

    /// When it was made, in seconds since 1970.
    pub(crate) async fn initial_date(&self, identifier: &str) -> i64 {
        match &self.server {
            Server::PyKmip(server) => {
                let date = server.talk("owner").await.attribute(identifier, "Initial Date").await;
                let Some(Value::DateTime(date)) = date else {
                    panic!("no Initial Date: {date:?}");
                };
                date
            }
            Server::Fake(server) => {
                let mut date = 0;
                server.change(identifier, |key| date = key.initial_date);
                date
            }
        }
    }

    /// Until the server dates what it makes later than this.
    pub(crate) async fn until_the_next_second(&self, identifier: &str) {
        if let Server::Fake(server) = &self.server {
            return server.advance(1);
        }
        let made = self.initial_date(identifier).await;
        let clock = || time::OffsetDateTime::now_utc().unix_timestamp();
        while clock() <= made {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client {
            group_attribute: self.group_attribute,
            ..Client::of(self.authority(), &[self.address()])
        }
    }

    /// Nothing was sent that leads to trouble on one server or another.
    pub(crate) fn assert_nothing_to_complain_about(&self) {
        if let Server::Fake(server) = &self.server {
            assert_eq!(server.complaints(), [""; 0], "{}", self.name);
        }
    }
}

/// The shared PyKMIP; none where it is not installed.
pub(crate) async fn py_kmip(kind: Kind) -> Option<&'static PyKmip> {
    let shared = match kind {
        Kind::Stock => &STOCK,
        Kind::WithCustomAttributes => &WITH_CUSTOM_ATTRIBUTES,
    };
    shared.get_or_init(|| PyKmip::start(kind, &AUTHORITY)).await.as_ref()
}

/// All of them; PyKMIP only where it is installed.
pub(crate) async fn places() -> Vec<Place> {
    let mut places = Vec::new();
    for (name, tag, kind, carrier, group_attribute) in py_kmips() {
        if let Some(server) = py_kmip(kind).await {
            places.push(Place {
                name,
                tag,
                server: Server::PyKmip(server),
                carrier,
                group_attribute,
            });
        }
    }
    for (name, habits, carrier) in fakes() {
        places.push(Place {
            name,
            tag: "fake",
            server: Server::Fake(Fake::start(&AUTHORITY, habits).await),
            carrier,
            group_attribute: None,
        });
    }
    places
}

type PyKmipPlace = (&'static str, &'static str, Kind, Carrier, Option<GroupAttribute>);

fn py_kmips() -> [PyKmipPlace; 4] {
    use Kind::{Stock, WithCustomAttributes};
    let information = Carrier::ApplicationSpecificInformation;
    let by_information = Some(GroupAttribute::ApplicationSpecificInformation);
    let capital = Carrier::Custom("x-keyGroup");
    let by_keygroup = Some(GroupAttribute::XKeygroup);
    [
        ("stock PyKMIP, Object Group", "og", Stock, Carrier::ObjectGroup, None),
        (
            "stock PyKMIP, asi by configuration",
            "asi",
            Stock,
            information,
            by_information,
        ),
        (
            "PyKMIP with custom attributes",
            "custom",
            WithCustomAttributes,
            X_KEYGROUP,
            None,
        ),
        (
            "PyKMIP with another spelling",
            "capital",
            WithCustomAttributes,
            capital,
            by_keygroup,
        ),
    ]
}

fn fakes() -> Vec<(&'static str, Habits, Carrier)> {
    let only = |version| Habits {
        versions: vec![version],
        ..Habits::default()
    };
    let with_a_vendor_of_its_own = Habits {
        vendor: Vendor::Own,
        ..only((2, 1))
    };
    let information = Carrier::ApplicationSpecificInformation;
    let capital = Carrier::Custom("x-keyGroup");
    vec![
        ("fake", Habits::default(), X_KEYGROUP),
        ("fake like PyKMIP", Habits::of_pykmip(), information),
        ("fake like another server", Habits::of_another_server(), X_KEYGROUP),
        (
            "fake like another server, another spelling",
            Habits::of_another_server(),
            capital,
        ),
        ("fake of KMIP 1.0", only((1, 0)), X_KEYGROUP),
        ("fake of KMIP 1.2", only((1, 2)), Carrier::ObjectGroup),
        ("fake of KMIP 2.0", only((2, 0)), X_KEYGROUP),
        (
            "fake of KMIP 2.1 with a vendor of its own",
            with_a_vendor_of_its_own,
            X_KEYGROUP,
        ),
    ]
}
