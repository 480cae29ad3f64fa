//! Where a server listens: `HOST:PORT`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rustls::pki_types::ServerName;

use super::error::{KmipError, shown};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// `host` is a name or an address, without brackets.
    ///
    /// # Errors
    /// [`KmipError::BadEndpoint`] if no certificate could be for `host`, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, KmipError> {
        let endpoint = Self {
            host: host.to_owned(),
            port,
        };
        match ServerName::try_from(host) {
            Ok(_) if port != 0 => Ok(endpoint),
            _ => Err(KmipError::BadEndpoint {
                shown: shown(&endpoint.to_string()),
            }),
        }
    }

    /// The name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Endpoint {
    type Err = KmipError;

    fn from_str(text: &str) -> Result<Self, KmipError> {
        let bad = || KmipError::BadEndpoint { shown: shown(text) };
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bracketed.is_none() && host.contains(':') {
            return Err(bad());
        }
        Self::new(bracketed.unwrap_or(host), port.parse().map_err(|_| bad())?)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse() {
            Ok(IpAddr::V6(address)) => write!(formatter, "[{address}]:{}", self.port),
            _ => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_as_it_is_shown() {
        for text in ["kms.example.org:5696", "192.0.2.1:5696", "[2001:db8::1]:1"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "kms",
            "kms:",
            "kms:0",
            "kms:65536",
            "2001:db8::1:5696",
            "k ms:1",
            ":1",
            "[kms:1",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }
}
