//! TLS towards a KMIP server: 1.3 or 1.2, always with our certificate, trusting the CAs that were given for this server and no other.
//!
//! A certificate that one side does not take shows in many ways: in the handshake, under TLS 1.3 only as an alert on the first read, or as a
//! connection that just ends. All of them become [`Lost::Certificate`], which says what to do; none is told as a server that is down. Whatever
//! else goes wrong with TLS behind the handshake is a broken connection: nobody knows what the server has read before.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore, version};
use tokio_rustls::TlsConnector;

use super::error::{KmipError, Lost};
use crate::clock::Clock;
use crate::kms::tls_time::ClockTime;

/// Connects with the given certificates.
pub(super) fn connector(
    server: &str,
    trust: &[CertificateDer<'static>],
    (certificate, key): (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
    clock: &Arc<dyn Clock>,
) -> Result<TlsConnector, KmipError> {
    let untrusted = |problem: String| KmipError::Trust {
        server: server.to_owned(),
        problem,
    };
    let own = |error: rustls::Error| KmipError::OwnCertificate {
        server: server.to_owned(),
        problem: error.to_string(),
    };
    let mut roots = RootCertStore::empty();
    for certificate in trust {
        roots
            .add(certificate.clone())
            .map_err(|error| untrusted(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(untrusted("there is none".to_owned()));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(ClockTime(clock.clone())))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(own)?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificate, key)
        .map_err(own)?;
    // A resumed session would skip the look at the certificates.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// What a failed handshake means.
pub(super) fn handshake_failed(error: &io::Error) -> Lost {
    match tls_error(error) {
        Some(error) => certificate_problem(error),
        None => Lost::Certificate(format!(
            "the server broke off the TLS handshake: {}\nhint: it may not take the client certificate, or speak no TLS that is used here",
            in_words(error)
        )),
    }
}

/// What a failed read or write means.
pub(super) fn exchange_failed(error: &io::Error, (unanswered, first): (bool, bool)) -> Lost {
    match tls_error(error) {
        Some(error) if unanswered && says_that_we_are_not_taken(error) => return certificate_problem(error),
        Some(error) => {
            return Lost::Broken {
                problem: format!("TLS failed: {error}"),
                unanswered,
            };
        }
        None => {}
    }
    if first && unanswered {
        return Lost::Unwelcome(format!(
            "the server ended the connection before its first reply: {}\nhint: most often it does not take the client certificate",
            in_words(error)
        ));
    }
    Lost::Broken {
        problem: in_words(error),
        unanswered,
    }
}

/// An error in few words: rustls says a lot about an end without a farewell.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it was closed".to_owned(),
        _ => error.to_string(),
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether the server ends the handshake with it: such a server has not looked at a request.
fn says_that_we_are_not_taken(error: &rustls::Error) -> bool {
    use AlertDescription as Alert;
    let rustls::Error::AlertReceived(alert) = error else {
        return false;
    };
    matches!(
        alert,
        Alert::HandshakeFailure
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateRequired
    )
}

fn certificate_problem(error: &rustls::Error) -> Lost {
    let hint = match error {
        rustls::Error::AlertReceived(alert) => alert_hint(*alert),
        rustls::Error::InvalidCertificate(problem) => server_hint(problem),
        _ => "compare the TLS versions and cipher suites of the server with TLS 1.2 and 1.3 with AES-GCM",
    };
    let problem = match error {
        rustls::Error::AlertReceived(alert) => format!("the server refuses us: {alert:?}"),
        rustls::Error::InvalidCertificate(problem) => {
            format!("the server's certificate is refused: {}", server_problem(problem))
        }
        error => format!("TLS failed: {error}"),
    };
    Lost::Certificate(format!("{problem}\nhint: {hint}"))
}

fn alert_hint(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateExpired => "the client certificate has expired: renew it with the same name",
        AlertDescription::UnknownCA => {
            "the server does not know the CA of the client certificate: let it trust that CA"
        }
        AlertDescription::CertificateRevoked => "the client certificate is revoked: get a new one with the same name",
        AlertDescription::HandshakeFailure => {
            "no cipher suite in common: a server with TLS 1.2 alone may need an EC certificate"
        }
        AlertDescription::ProtocolVersion => "the server must speak TLS 1.2 or 1.3",
        _ => "the server does not take the client certificate: look at its CA, its dates and its use",
    }
}

/// In few words: rustls names times and whole lists of names, and there is not room for all of it in an answer.
fn server_problem(problem: &CertificateError) -> String {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "its CA is not trusted".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host".to_owned()
        }
        problem => problem.to_string(),
    }
}

fn server_hint(problem: &CertificateError) -> &'static str {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "renew the server's certificate",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "compare the clocks of both machines"
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "trust the CA that signed it: tapekey kms server set NAME --ca FILE"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "use a host name or address that stands in it, or have it reissued"
        }
        _ => "look at the server's certificate and at the CA that is trusted for it",
    }
}
