//! A server that knows just enough KMIP to be asked: keys in memory, habits by order of the test, TLS on a port of its own.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::model::{Model, Said};
use crate::kms::connector::kmip::Endpoint;

type Pair = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A CA and what it issued.
pub(super) struct Pki(CertifiedIssuer<'static, KeyPair>);

impl Pki {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(super) fn server(&self) -> Pair {
        self.leaf(ExtendedKeyUsagePurpose::ServerAuth, |_| {})
    }

    pub(super) fn client(&self) -> Pair {
        self.leaf(ExtendedKeyUsagePurpose::ClientAuth, |_| {})
    }

    pub(super) fn leaf(&self, usage: ExtendedKeyUsagePurpose, change: fn(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), key)
    }
}

/// How the responder does TLS.
pub(super) struct Tls {
    pub(super) server: Pair,
    pub(super) trust: CertificateDer<'static>,
    pub(super) versions: &'static [&'static rustls::SupportedProtocolVersion],
}

/// A running server; gone with its test.
pub(super) struct Responder {
    pub(super) endpoint: Endpoint,
    pub(super) model: Arc<Mutex<Model>>,
    /// Told when a client ends a connection.
    pub(super) ended: Arc<Notify>,
}

impl Responder {
    pub(super) async fn start(tls: Tls, model: Model) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(tls.trust).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(tls.versions)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![tls.server.0], tls.server.1)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
        let model = Arc::new(Mutex::new(model));
        let shared = model.clone();
        let ended = Arc::new(Notify::new());
        let told = ended.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let deaf = {
                    let mut model = shared.lock().unwrap();
                    model.connections += 1;
                    model.deaf
                };
                if deaf {
                    tokio::spawn(async move {
                        let _held = stream;
                        std::future::pending::<()>().await;
                    });
                    continue;
                }
                tokio::spawn(serve(acceptor.clone(), stream, (shared.clone(), told.clone())));
            }
        });
        Self { endpoint, model, ended }
    }
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, (model, ended): (Arc<Mutex<Model>>, Arc<Notify>)) {
    // A client that is refused, or that has heard enough, hangs up.
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    while let Some(request) = request(&mut stream).await {
        let said = model.lock().unwrap().answer(&request);
        match said {
            Said::Reply(reply) if stream.write_all(&reply).await.is_ok() => {}
            Said::Silence => return std::future::pending().await,
            // No record of this connection's keys.
            Said::Garbage => {
                let (mut plain, _) = stream.into_inner();
                let _ = plain.write_all(&[&[23, 3, 3, 0, 64][..], &[7; 64]].concat()).await;
                return;
            }
            Said::Reply(_) | Said::HangUp => return,
        }
    }
    ended.notify_one();
}

async fn request(stream: &mut TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let mut message = vec![0; 8];
    stream.read_exact(&mut message).await.ok()?;
    let length = u32::from_be_bytes(message[4..].try_into().unwrap());
    message.resize(8 + usize::try_from(length).unwrap(), 0);
    stream.read_exact(&mut message[8..]).await.ok()?;
    Some(message)
}
