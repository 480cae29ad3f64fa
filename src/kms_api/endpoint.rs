//! Where an external server is reached, as people write it and as it crosses the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most bytes of the name of an endpoint's host, as in DNS.
const HOST_LENGTH_MAX: usize = 253;

/// One place where a server is reached: `HOST:PORT`, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerEndpoint {
    host: String,
    port: u16,
}

/// A text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "endpoint \"{shown}\" is not HOST:PORT\nhint: such as kmip.example.org:5696, 192.0.2.7:5696 or [2001:db8::7]:5696"
)]
pub struct EndpointError {
    /// The text with everything unprintable escaped, cut if long.
    pub shown: String,
}

impl ServerEndpoint {
    /// Its host: a name or an address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for ServerEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let refused = || EndpointError {
            shown: text.escape_default().take(80).collect(),
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(refused)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bracketed {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                (1..=HOST_LENGTH_MAX).contains(&host.len())
                    && host
                        .chars()
                        .all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter))
            }
        };
        match is_host {
            true => Ok(Self {
                host: bracketed.unwrap_or(host).to_owned(),
                port,
            }),
            false => Err(refused()),
        }
    }
}

impl TryFrom<String> for ServerEndpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<ServerEndpoint> for String {
    fn from(endpoint: ServerEndpoint) -> Self {
        endpoint.to_string()
    }
}

impl fmt::Display for ServerEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port_and_reads_as_it_is_written() {
        for good in [
            "kmip.example.org:5696",
            "192.0.2.7:1",
            "[2001:db8::7]:5696",
            "localhost:65535",
        ] {
            assert_eq!(good.parse::<ServerEndpoint>().unwrap().to_string(), good);
        }
        assert_eq!(
            "[2001:db8::7]:5696".parse::<ServerEndpoint>().unwrap().host(),
            "2001:db8::7"
        );
        for bad in [
            "",
            "kmip",
            ":5696",
            "kmip:",
            "kmip:0",
            "kmip:65536",
            "a b:1",
            "a/b:1",
            "2001:db8::7:5696",
            "[kmip]:1",
            "https://kmip:5696",
            "kmip:5696\n",
            &format!("{}:1", "x".repeat(254)),
        ] {
            assert!(bad.parse::<ServerEndpoint>().is_err(), "{bad:?}");
        }
    }
}
