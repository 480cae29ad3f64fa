//! A small KMIP client for the tests themselves: it makes, revokes and destroys keys, which the product never does, and asks what the product
//! asks, so that the same story can be told to a real server and to the fake one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::{Authority, Identity, provider};
use super::in_time;
use super::tags::{self, operation};
use super::ttlv::{self, Item, Value, bytes, date_time, enumeration, integer, structure, text};

/// Why an operation was refused: the Result Reason.
pub(crate) type Refused = u32;

/// How a key's group is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A custom attribute of this name.
    Custom(&'static str),
    ObjectGroup,
    /// Application Specific Information with the namespace `x-keygroup`.
    ApplicationSpecificInformation,
}

pub(crate) const X_KEYGROUP: Carrier = Carrier::Custom("x-keygroup");

/// One connection, in KMIP 1.4 unless said otherwise.
pub(crate) struct Talk {
    stream: TlsStream<TcpStream>,
    pub(crate) version: (i32, i32),
}

impl Talk {
    pub(crate) async fn open(address: SocketAddr, authority: &Authority, client: &Identity) -> io::Result<Self> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(authority.roots())
            .with_client_auth_cert(vec![client.certificate.clone()], client.key.clone_key())
            .unwrap();
        let stream = TcpStream::connect(address).await?;
        let name = address.ip().into();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        Ok(Self {
            stream,
            version: (1, 4),
        })
    }

    /// Sends a message as it is; the next message that comes back.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Item> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let mut header = [0; 8];
        in_time("a reply", self.stream.read_exact(&mut header)).await?;
        let mut reply = header.to_vec();
        reply.resize(ttlv::message_length(header), 0);
        in_time("the rest of a reply", self.stream.read_exact(&mut reply[8..])).await?;
        Ok(Item::decode(&reply).unwrap())
    }

    pub(crate) async fn batch(&mut self, items: Vec<(u32, Vec<Item>)>) -> io::Result<Item> {
        let request = request(self.version, &items);
        self.exchange(&request.encode()).await
    }

    /// One operation: its payload, or why not.
    pub(crate) async fn ask(&mut self, operation: u32, payload: Vec<Item>) -> Result<Item, Refused> {
        let reply = self.batch(vec![(operation, payload)]).await.unwrap();
        let [item] = reply.all(tags::BATCH_ITEM).collect::<Vec<_>>()[..] else {
            panic!("one batch item was asked for: {reply:?}");
        };
        outcome(item)
    }

    /// Registers `material` as an AES key of `group`, written down by `carrier`. It is Pre-Active. Its identifier.
    pub(crate) async fn register(&mut self, carrier: Carrier, group: &str, material: &[u8]) -> Result<String, Refused> {
        self.register_with(vec![grouped(carrier, group)], material).await
    }

    /// The same with other attributes: names and values.
    pub(crate) async fn register_with(
        &mut self,
        more: Vec<(&'static str, Item)>,
        material: &[u8],
    ) -> Result<String, Refused> {
        let mut attributes = vec![("Cryptographic Usage Mask", integer(tags::ATTRIBUTE_VALUE, 12))];
        attributes.extend(more);
        let length = i32::try_from(material.len() * 8).unwrap();
        let key = symmetric_key(tags::RAW, material.to_vec(), length, []);
        let payload = vec![
            enumeration(tags::OBJECT_TYPE, tags::SYMMETRIC_KEY_TYPE),
            template(attributes),
            key,
        ];
        let made = self.ask(operation::REGISTER, payload).await?;
        Ok(made.text(tags::UNIQUE_IDENTIFIER).unwrap().to_owned())
    }

    /// Has the server make an AES-256 key of `group`. It is Pre-Active. Its identifier.
    pub(crate) async fn create(&mut self, carrier: Carrier, group: &str) -> Result<String, Refused> {
        let attributes = vec![
            ("Cryptographic Algorithm", enumeration(tags::ATTRIBUTE_VALUE, tags::AES)),
            ("Cryptographic Length", integer(tags::ATTRIBUTE_VALUE, 256)),
            ("Cryptographic Usage Mask", integer(tags::ATTRIBUTE_VALUE, 12)),
            grouped(carrier, group),
        ];
        let payload = vec![
            enumeration(tags::OBJECT_TYPE, tags::SYMMETRIC_KEY_TYPE),
            template(attributes),
        ];
        let made = self.ask(operation::CREATE, payload).await?;
        Ok(made.text(tags::UNIQUE_IDENTIFIER).unwrap().to_owned())
    }

    /// Registers and activates.
    pub(crate) async fn active_key(&mut self, carrier: Carrier, group: &str, material: &[u8]) -> String {
        let identifier = self.register(carrier, group, material).await.unwrap();
        self.activate(&identifier).await.unwrap();
        identifier
    }

    pub(crate) async fn activate(&mut self, identifier: &str) -> Result<(), Refused> {
        let payload = vec![text(tags::UNIQUE_IDENTIFIER, identifier)];
        self.ask(operation::ACTIVATE, payload).await.map(|_| ())
    }

    /// Key compromise makes it Compromised, any other reason Deactivated.
    pub(crate) async fn revoke(&mut self, identifier: &str, reason_code: u32) -> Result<(), Refused> {
        let reason = enumeration(tags::REVOCATION_REASON_CODE, reason_code);
        let mut payload = vec![
            text(tags::UNIQUE_IDENTIFIER, identifier),
            structure(tags::REVOCATION_REASON, [reason]),
        ];
        if reason_code == tags::KEY_COMPROMISE {
            payload.push(date_time(tags::COMPROMISE_OCCURRENCE_DATE, 1));
        }
        self.ask(operation::REVOKE, payload).await.map(|_| ())
    }

    pub(crate) async fn destroy(&mut self, identifier: &str) -> Result<(), Refused> {
        let payload = vec![text(tags::UNIQUE_IDENTIFIER, identifier)];
        self.ask(operation::DESTROY, payload).await.map(|_| ())
    }

    /// Locate by these attributes (KMIP 1.x).
    pub(crate) async fn locate(&mut self, filters: Vec<(&str, Item)>) -> Result<Vec<String>, Refused> {
        let filters = filters.into_iter().map(|(name, value)| attribute(name, value));
        let found = self.ask(operation::LOCATE, filters.collect()).await?;
        let identifiers = found.all(tags::UNIQUE_IDENTIFIER);
        Ok(identifiers.map(|item| item.as_text().unwrap().to_owned()).collect())
    }

    /// The key's bytes.
    pub(crate) async fn get(&mut self, identifier: &str) -> Result<Vec<u8>, Refused> {
        self.key_by(operation::GET, identifier).await
    }

    /// The key's bytes, by Export, whose header has to say 2.1.
    pub(crate) async fn export(&mut self, identifier: &str) -> Result<Vec<u8>, Refused> {
        self.key_by(operation::EXPORT, identifier).await
    }

    async fn key_by(&mut self, operation: u32, identifier: &str) -> Result<Vec<u8>, Refused> {
        let payload = vec![text(tags::UNIQUE_IDENTIFIER, identifier)];
        let found = self.ask(operation, payload).await?;
        let block = found.find(tags::SYMMETRIC_KEY).unwrap().find(tags::KEY_BLOCK).unwrap();
        let value = block.find(tags::KEY_VALUE).unwrap();
        Ok(value.bytes(tags::KEY_MATERIAL).unwrap().to_vec())
    }

    /// The attributes with these names, all without names (KMIP 1.x): name and value, in the order they came in.
    pub(crate) async fn attributes(
        &mut self,
        identifier: &str,
        names: &[&str],
    ) -> Result<Vec<(String, Value)>, Refused> {
        let mut payload = vec![text(tags::UNIQUE_IDENTIFIER, identifier)];
        payload.extend(names.iter().map(|name| text(tags::ATTRIBUTE_NAME, *name)));
        let found = self.ask(operation::GET_ATTRIBUTES, payload).await?;
        let attributes = found.all(tags::ATTRIBUTE).map(|attribute| {
            let name = attribute.text(tags::ATTRIBUTE_NAME).unwrap().to_owned();
            (name, attribute.find(tags::ATTRIBUTE_VALUE).unwrap().value.clone())
        });
        Ok(attributes.collect())
    }

    /// The one attribute of this name.
    pub(crate) async fn attribute(&mut self, identifier: &str, name: &str) -> Option<Value> {
        let mut found = self.attributes(identifier, &[name]).await.unwrap();
        assert!(found.len() <= 1, "{found:?}");
        found.pop().map(|(_, value)| value)
    }

    pub(crate) async fn discover_versions(&mut self) -> Result<Vec<(i32, i32)>, Refused> {
        let found = self.ask(operation::DISCOVER_VERSIONS, Vec::new()).await?;
        let versions = found.all(tags::PROTOCOL_VERSION);
        Ok(versions
            .map(|version| structure(0, [version.clone()]).version().unwrap())
            .collect())
    }
}

/// A batch item's payload, or why there is none.
pub(crate) fn outcome(item: &Item) -> Result<Item, Refused> {
    match item.enumeration(tags::RESULT_STATUS) {
        Some(0) => Ok(item
            .find(tags::RESPONSE_PAYLOAD)
            .cloned()
            .unwrap_or_else(|| structure(tags::RESPONSE_PAYLOAD, []))),
        _ => Err(item.enumeration(tags::RESULT_REASON).unwrap()),
    }
}

pub(crate) fn request(version: (i32, i32), items: &[(u32, Vec<Item>)]) -> Item {
    let count = i32::try_from(items.len()).unwrap();
    let header = structure(
        tags::REQUEST_HEADER,
        [ttlv::version(version), integer(tags::BATCH_COUNT, count)],
    );
    let items = items.iter().zip(0_u8..).map(|((operation, payload), number)| {
        structure(
            tags::BATCH_ITEM,
            [
                enumeration(tags::OPERATION, *operation),
                bytes(tags::UNIQUE_BATCH_ITEM_ID, [number]),
                structure(tags::REQUEST_PAYLOAD, payload.clone()),
            ],
        )
    });
    structure(tags::REQUEST_MESSAGE, std::iter::once(header).chain(items))
}

/// The attribute that puts a key into `group`: its name and value.
pub(crate) fn grouped(carrier: Carrier, group: &str) -> (&'static str, Item) {
    match carrier {
        Carrier::Custom(name) => (name, text(tags::ATTRIBUTE_VALUE, group)),
        Carrier::ObjectGroup => ("Object Group", text(tags::ATTRIBUTE_VALUE, group)),
        Carrier::ApplicationSpecificInformation => (
            "Application Specific Information",
            structure(
                tags::ATTRIBUTE_VALUE,
                [
                    text(tags::APPLICATION_NAMESPACE, "x-keygroup"),
                    text(tags::APPLICATION_DATA, group),
                ],
            ),
        ),
    }
}

/// Name as an attribute.
pub(crate) fn named(name: &str) -> (&'static str, Item) {
    let value = [
        text(tags::NAME_VALUE, name),
        // Uninterpreted Text String.
        enumeration(tags::NAME_TYPE, 1),
    ];
    ("Name", structure(tags::ATTRIBUTE_VALUE, value))
}

/// State as an attribute.
pub(crate) fn in_state(state: u32) -> (&'static str, Item) {
    ("State", enumeration(tags::ATTRIBUTE_VALUE, state))
}

/// An attribute in the form of KMIP 1.x.
pub(crate) fn attribute(name: &str, value: Item) -> Item {
    structure(tags::ATTRIBUTE, [text(tags::ATTRIBUTE_NAME, name), value])
}

/// A symmetric key with AES as its algorithm; `after` stands behind the key material.
pub(crate) fn symmetric_key(
    format: u32,
    material: Vec<u8>,
    length: i32,
    after: impl IntoIterator<Item = Item>,
) -> Item {
    let value = std::iter::once(bytes(tags::KEY_MATERIAL, material)).chain(after);
    let block = structure(
        tags::KEY_BLOCK,
        [
            enumeration(tags::KEY_FORMAT_TYPE, format),
            structure(tags::KEY_VALUE, value),
            enumeration(tags::CRYPTOGRAPHIC_ALGORITHM, tags::AES),
            integer(tags::CRYPTOGRAPHIC_LENGTH, length),
        ],
    );
    structure(tags::SYMMETRIC_KEY, [block])
}

fn template(attributes: Vec<(&'static str, Item)>) -> Item {
    let attributes = attributes.into_iter().map(|(name, value)| attribute(name, value));
    structure(tags::TEMPLATE_ATTRIBUTE, attributes)
}
