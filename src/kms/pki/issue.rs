//! Making certificates.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use thiserror::Error;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::{facts, role};
use crate::kms_api::Role;

/// Hosts' clocks differ: a certificate is valid a little before it was made.
const CLOCK_SKEW: Duration = Duration::hours(1);
const YEAR: Duration = Duration::days(365);
const ROOT_VALID: Duration = Duration::days(20 * YEAR.whole_days());
const ISSUING_VALID: Duration = Duration::days(10 * YEAR.whole_days());
const LEAF_VALID: Duration = Duration::days(2 * YEAR.whole_days());

/// A certificate cannot be made.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A host's name cannot stand in a certificate.
    #[error(
        "host name \"{shown}\" cannot stand in a certificate\nhint: write a DNS name or an IP address, without port"
    )]
    HostName {
        /// The name with everything unprintable escaped.
        shown: String,
    },
    /// A certificate signing request that cannot be followed.
    #[error("the certificate signing request {problem}\nhint: make a new one with a new key of the curve P-256")]
    Request {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The library refused.
    #[error("make certificate {name}: {source}\nhint: this is a fault of tapekey-kms, please report it")]
    Library {
        /// For whom.
        name: String,
        /// What it said.
        source: rcgen::Error,
    },
}

/// A CA with its private key. No `Debug`.
pub struct Authority {
    params: CertificateParams,
    certificate: Certificate,
    key: Zeroizing<KeyPair>,
}

/// A certificate for a program, with its private key. No `Debug`.
pub struct Leaf {
    /// The certificate, in PEM.
    pub certificate_pem: String,
    /// The certificate, in DER.
    pub certificate_der: Vec<u8>,
    /// The private key, in PEM.
    pub key_pem: Zeroizing<String>,
    /// The last moment that the certificate is valid.
    pub not_after: OffsetDateTime,
}

impl Authority {
    /// A root CA, which signs itself.
    ///
    /// # Errors
    /// The library's.
    pub fn root(now: OffsetDateTime) -> Result<Self, PkiError> {
        let name = "tapekey root CA";
        let key = new_key(name)?;
        // One more CA may stand below: the issuing one.
        let params = authority_params(name, now, ROOT_VALID, 1);
        let certificate = params.self_signed(&*key).map_err(library(name))?;
        Ok(Self {
            params,
            certificate,
            key,
        })
    }

    /// The CA that signs leaves.
    ///
    /// # Errors
    /// The library's.
    pub fn issuing(root: &Self, now: OffsetDateTime) -> Result<Self, PkiError> {
        let name = "tapekey issuing CA";
        let key = new_key(name)?;
        let params = authority_params(name, now, ISSUING_VALID, 0);
        let certificate = params.signed_by(&*key, &root.issuer()).map_err(library(name))?;
        Ok(Self {
            params,
            certificate,
            key,
        })
    }

    /// A certificate for the KMS itself, reachable as this machine and under `hosts`.
    ///
    /// # Errors
    /// [`PkiError::HostName`], or the library's.
    pub fn server(&self, hosts: &[String], now: OffsetDateTime) -> Result<Leaf, PkiError> {
        server_leaf((&self.issuer(), self.not_after()), hosts, now)
    }

    /// A certificate for a client of the KMS.
    ///
    /// # Errors
    /// The library's.
    pub fn client(&self, name: &str, role: Role, now: OffsetDateTime) -> Result<Leaf, PkiError> {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let ca = (&self.issuer(), self.not_after());
        leaf(ca, name, client_names(name, role)?, usage, now)
    }

    /// The CA's certificate, in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The CA's certificate, in DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// The private key as PKCS #8, in DER.
    #[must_use]
    pub fn key_der(&self) -> &[u8] {
        self.key.serialized_der()
    }

    /// The private key in PEM.
    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    /// The last moment that the CA is valid.
    #[must_use]
    pub fn not_after(&self) -> OffsetDateTime {
        self.params.not_after
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &*self.key)
    }
}

/// A server certificate under a CA of which certificate (DER) and private key (PKCS #8, DER) are at hand. It never outlives the CA.
///
/// # Errors
/// [`PkiError::HostName`]; the library's, if the two are not what they should be.
pub fn server_under(certificate: &[u8], key: &[u8], hosts: &[String], now: OffsetDateTime) -> Result<Leaf, PkiError> {
    let name = "tapekey issuing CA";
    let key = Zeroizing::new(KeyPair::try_from(key).map_err(library(name))?);
    let issuer = Issuer::from_ca_cert_der(&certificate.into(), &*key).map_err(library(name))?;
    let until = facts(certificate).map_or(now + LEAF_VALID, |ca| ca.not_after);
    server_leaf((&issuer, until), hosts, now)
}

/// A certificate (DER) in PEM (RFC 7468).
#[must_use]
pub fn certificate_pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n")
}

fn server_leaf(ca: Ca<'_>, hosts: &[String], now: OffsetDateTime) -> Result<Leaf, PkiError> {
    let always = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let names = always
        .iter()
        .chain(hosts.iter().filter(|host| !always.contains(host)))
        .map(|host| alternative_name(host))
        .collect::<Result<_, _>>()?;
    leaf(ca, "tapekey-kms", names, ExtendedKeyUsagePurpose::ServerAuth, now)
}

/// Who signs, and until when it can.
type Ca<'a> = (&'a Issuer<'a, &'a KeyPair>, OffsetDateTime);

fn leaf(
    (issuer, until): Ca<'_>,
    name: &str,
    alternative_names: Vec<SanType>,
    usage: ExtendedKeyUsagePurpose,
    now: OffsetDateTime,
) -> Result<Leaf, PkiError> {
    let key = new_key(name)?;
    let mut params = leaf_params(name, alternative_names, usage, now);
    params.not_after = params.not_after.min(until);
    let certificate = params.signed_by(&*key, issuer).map_err(library(name))?;
    Ok(Leaf {
        certificate_pem: certificate.pem(),
        certificate_der: certificate.der().to_vec(),
        key_pem: Zeroizing::new(key.serialize_pem()),
        not_after: params.not_after,
    })
}

pub(super) fn leaf_params(
    name: &str,
    alternative_names: Vec<SanType>,
    usage: ExtendedKeyUsagePurpose,
    now: OffsetDateTime,
) -> CertificateParams {
    let mut params = params(name, now, LEAF_VALID);
    params.subject_alt_names = alternative_names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params
}

/// Where a client's certificate says its role.
pub(super) fn client_names(name: &str, role: Role) -> Result<Vec<SanType>, PkiError> {
    let uri = role::uri(role).try_into().map_err(library(name))?;
    Ok(vec![SanType::URI(uri)])
}

fn new_key(name: &str) -> Result<Zeroizing<KeyPair>, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .map(Zeroizing::new)
        .map_err(library(name))
}

fn authority_params(name: &str, now: OffsetDateTime, valid: Duration, below: u8) -> CertificateParams {
    let mut params = params(name, now, valid);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str, now: OffsetDateTime, valid: Duration) -> CertificateParams {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name;
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + valid;
    params.use_authority_key_identifier_extension = true;
    params
}

fn alternative_name(host: &str) -> Result<SanType, PkiError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let wrong = || PkiError::HostName {
        shown: host.escape_default().to_string(),
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(wrong());
    }
    host.try_into().map(SanType::DnsName).map_err(|_| wrong())
}

pub(super) fn library(name: &str) -> impl Fn(rcgen::Error) -> PkiError {
    move |source| PkiError::Library {
        name: name.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_dns_names_or_addresses() {
        for good in ["kms1", "kms1.example.org", "10.0.0.1", "fe80::1"] {
            assert!(alternative_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a b",
            "a..b",
            "kms1:8443",
            "https://kms1",
            "k\u{e9}",
            "*.example.org",
            &"a".repeat(64),
        ] {
            assert!(alternative_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_server_certificate_never_outlives_the_issuing_ca() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let issuing = Authority::issuing(&Authority::root(now).unwrap(), now).unwrap();
        let late = issuing.not_after() - Duration::days(30);
        let (certificate, key) = (issuing.certificate_der(), issuing.key_der());
        for made in [
            issuing.server(&[], late).unwrap(),
            server_under(certificate, key, &[], late).unwrap(),
        ] {
            assert_eq!(made.not_after, issuing.not_after());
            assert_eq!(facts(&made.certificate_der).unwrap().not_after, issuing.not_after());
        }
    }

    #[test]
    fn a_client_certificate_says_who_and_which_role() {
        use super::super::identify;
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000);
        let issuing = Authority::issuing(&Authority::root(now).unwrap(), now).unwrap();
        let leaf = issuing.client("host-7", Role::MediaServer, now).unwrap();
        let der = CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes()).unwrap();
        let identity = identify(&der).unwrap();
        assert_eq!(
            (identity.role, identity.not_after),
            (Some(Role::MediaServer), now + LEAF_VALID)
        );
        assert_eq!(identity.actor.subject, "CN=host-7");
        let server = issuing.server(&[], now).unwrap();
        let der = CertificateDer::from_pem_slice(server.certificate_pem.as_bytes()).unwrap();
        assert_eq!(identify(&der).unwrap().role, None);
        assert!(identify(b"no certificate").is_none());
    }
}
