//! A new key of our own, and the request (PKCS #10) that shows the KMS its public half. The private half never leaves this host.
//!
//! It is drawn by the cipher library, which takes no seed; nothing that encrypts data comes from it.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use thiserror::Error;
use zeroize::Zeroizing;

/// No key, or no request.
#[derive(Debug, Error)]
#[error("make a private key: {0}\nhint: this is a fault of tapekey, please report it")]
pub struct SigningError(#[from] rcgen::Error);

/// A new private key in PEM, and the request for a certificate of it in PEM. What name the certificate gets is for the KMS to say.
pub(super) fn new_key() -> Result<(Zeroizing<String>, String), SigningError> {
    let key = Zeroizing::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "tapekey client");
    let request = params.serialize_request(&*key)?.pem()?;
    Ok((Zeroizing::new(key.serialize_pem()), request))
}
