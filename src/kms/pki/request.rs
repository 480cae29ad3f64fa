//! Certificates for keys that their holders made and keep: only the public key comes here, in a certificate signing request (PKCS #10, RFC
//! 2986). What the request says about names and uses is not read.

use rcgen::{CertificateSigningRequestParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::issue::{PkiError, client_names, leaf_params, library};
use super::role::facts;
use crate::kms_api::{ClientName, Role, SIGNING_REQUEST_LENGTH_MAX};

/// A CA as the store keeps it: certificates and private key in DER. No `Debug`.
pub(in crate::kms) struct IssuingCa {
    pub(in crate::kms) certificate: Vec<u8>,
    pub(in crate::kms) root: Vec<u8>,
    pub(in crate::kms) key: Zeroizing<Vec<u8>>,
}

/// A certificate (DER) for the holder of the key in `signing_request` (PEM). It never outlives the CA.
///
/// # Errors
/// [`PkiError::Request`] if that is none, its signature is wrong or its key is not of P-256; the library's.
pub(in crate::kms) fn client_under(
    ca: &IssuingCa,
    signing_request: &str,
    (name, role): (&ClientName, Role),
    now: OffsetDateTime,
) -> Result<Vec<u8>, PkiError> {
    let refused = |problem| PkiError::Request { problem };
    if signing_request.len() > SIGNING_REQUEST_LENGTH_MAX {
        return Err(refused("is too long"));
    }
    let der = CertificateSigningRequestDer::from_pem_slice(signing_request.as_bytes());
    let der = der.map_err(|_| refused("is not PEM of one"))?;
    let request = CertificateSigningRequestParams::from_der(&der)
        .map_err(|_| refused("is malformed, or not signed by its own key"))?;
    if request.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
        return Err(refused("has a key that is not of the curve P-256"));
    }
    let mut params = leaf_params(
        name.as_str(),
        client_names(name.as_str(), role)?,
        ExtendedKeyUsagePurpose::ClientAuth,
        now,
    );
    if let Some(ca) = facts(&ca.certificate) {
        params.not_after = params.not_after.min(ca.not_after);
    }
    let library = library(name.as_str());
    let key = Zeroizing::new(KeyPair::try_from(ca.key.as_slice()).map_err(&library)?);
    let issuer = Issuer::from_ca_cert_der(&ca.certificate.as_slice().into(), &*key).map_err(&library)?;
    let certificate = params.signed_by(&request.public_key, &issuer).map_err(&library)?;
    Ok(certificate.der().to_vec())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, PKCS_ECDSA_P384_SHA384};
    use time::Duration;

    use super::super::{Authority, identify};
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn issuing_ca() -> IssuingCa {
        let root = Authority::root(NOW).unwrap();
        let issuing = Authority::issuing(&root, NOW).unwrap();
        IssuingCa {
            certificate: issuing.certificate_der().to_vec(),
            root: root.certificate_der().to_vec(),
            key: Zeroizing::new(issuing.key_der().to_vec()),
        }
    }

    fn request(params: &CertificateParams, key: &KeyPair) -> String {
        params.serialize_request(key).unwrap().pem().unwrap()
    }

    fn holder() -> ClientName {
        ClientName::new("host-7").unwrap()
    }

    #[test]
    fn a_certificate_says_what_the_service_decided_and_not_what_the_request_wished() {
        let mut wishes = CertificateParams::new(vec!["kms1.example.org".to_owned()]).unwrap();
        wishes
            .subject_alt_names
            .push(rcgen::SanType::URI("tapekey:role:admin".try_into().unwrap()));
        wishes.not_after = NOW + Duration::days(30_000);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let wished = request(&wishes, &key);
        let der = client_under(&issuing_ca(), &wished, (&holder(), Role::MediaServer), NOW).unwrap();
        let identity = identify(&der).unwrap();
        assert_eq!(
            (identity.role, identity.actor.subject.as_str()),
            (Some(Role::MediaServer), "CN=host-7")
        );
        assert_eq!(facts(&der).unwrap().not_after, NOW + Duration::days(730));
    }

    #[test]
    fn it_never_outlives_the_issuing_ca() {
        let ca = issuing_ca();
        let wished = request(
            &CertificateParams::default(),
            &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        );
        let late = NOW + Duration::days(3649);
        let der = client_under(&ca, &wished, (&holder(), Role::Auditor), late).unwrap();
        assert_eq!(
            facts(&der).unwrap().not_after,
            facts(&ca.certificate).unwrap().not_after
        );
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let other_curve = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let good = request(
            &CertificateParams::default(),
            &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        );
        let mut lines: Vec<_> = good.lines().collect();
        let body = lines[2].replace(['A', 'B', 'C', 'D'], "z");
        lines[2] = &body;
        for bad in [
            String::new(),
            "-----BEGIN CERTIFICATE REQUEST-----\n".to_owned(),
            good.replace("REQUEST", "RECIPE"),
            lines.join("\n"),
            "x".repeat(10_000),
            request(&CertificateParams::default(), &other_curve),
        ] {
            let refused = client_under(&issuing_ca(), &bad, (&holder(), Role::Auditor), NOW);
            assert!(matches!(refused, Err(PkiError::Request { .. })), "{bad}");
        }
    }
}
