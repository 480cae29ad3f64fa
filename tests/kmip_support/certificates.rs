//! A CA for the tests, and certificates under it. Keys are of P-256: PyKMIP offers rustls nothing else.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

/// A certificate with its private key.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) key_pem: String,
}

/// From when to when a certificate is valid.
#[derive(Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) from: OffsetDateTime,
    pub(crate) to: OffsetDateTime,
}

impl Validity {
    pub(crate) fn current() -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            from: now - Duration::days(2),
            to: now + Duration::days(365),
        }
    }

    /// It ended an hour ago.
    pub(crate) fn past() -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            from: now - Duration::days(2),
            to: now - Duration::hours(1),
        }
    }

    /// It ends after this many days.
    pub(crate) fn ending_in_days(days: i64) -> Self {
        let to = OffsetDateTime::now_utc() + Duration::days(days);
        Self { to, ..Self::current() }
    }
}

/// A CA that signs itself.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = params(name, Validity::current());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = new_key();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            params,
            key,
        }
    }

    /// For a server on this machine, named as one and by its address.
    pub(crate) fn server(&self) -> Identity {
        self.server_valid(Validity::current())
    }

    pub(crate) fn server_valid(&self, validity: Validity) -> Identity {
        let mut params = params("KMIP server", validity);
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into().unwrap()),
            SanType::IpAddress([127, 0, 0, 1].into()),
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// For a server of another name: no client of these tests reaches it under that.
    pub(crate) fn server_elsewhere(&self) -> Identity {
        let mut params = params("KMIP server", Validity::current());
        params.subject_alt_names = vec![SanType::DnsName("kms.example.org".try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// For a client; servers know it by this common name.
    pub(crate) fn client(&self, common_name: &str) -> Identity {
        self.client_valid(common_name, Validity::current())
    }

    pub(crate) fn client_valid(&self, common_name: &str, validity: Validity) -> Identity {
        let mut params = params(common_name, validity);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// For a client, without the extended key usage that says so.
    pub(crate) fn client_without_usage(&self, common_name: &str) -> Identity {
        self.sign(params(common_name, Validity::current()))
    }

    fn sign(&self, mut params: CertificateParams) -> Identity {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = new_key();
        let certificate = params
            .signed_by(&key, &Issuer::from_params(&self.params, &self.key))
            .unwrap();
        Identity {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        Arc::new(roots)
    }
}

fn params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = validity.from;
    params.not_after = validity.to;
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

/// The cipher suites of both sides.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
