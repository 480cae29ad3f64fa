//! The bare side: a server that only does TLS and sends a fixed body, an append that only waits for the disk, an open that only opens.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::post;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tapekey::kms_api::{AUDIT_HEAD_HEADER, RESTORE_KEYS_PATH};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::in_milliseconds;

/// The argument that makes this program a bare server.
pub(super) const SERVE: &str = "--serve-bare";

/// The body that the bare server sends, in the service's folder.
pub(super) const BODY: &str = "bare-body.json";

/// The audit head that it sends along.
pub(super) const HEAD: &str = "bare-head.txt";

/// Serves the fixed body with the certificates of the KMS in `folder` until it is killed.
#[tokio::main]
pub(super) async fn serve(folder: &Path) {
    let body = Bytes::from(std::fs::read(folder.join(BODY)).unwrap());
    let head = HeaderValue::try_from(std::fs::read_to_string(folder.join(HEAD)).unwrap()).unwrap();
    let headers: HeaderMap = [
        (
            HeaderName::from_static("content-type"),
            HeaderValue::from_static("application/json"),
        ),
        (HeaderName::try_from(AUDIT_HEAD_HEADER).unwrap(), head),
    ]
    .into_iter()
    .collect();
    // It takes the request's body, as any server must.
    let router = Router::new().route(RESTORE_KEYS_PATH, post(move |_: Bytes| async move { (headers, body) }));
    let tls = TlsAcceptor::from(Arc::new(tls(folder)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("ready on https://{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, service) = (tls.clone(), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            stream.set_nodelay(true).unwrap();
            let stream = tls.accept(stream).await.unwrap();
            let http = hyper::server::conn::http1::Builder::new();
            // The client ends the connection as it likes.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn tls(folder: &Path) -> ServerConfig {
    let chain = |name: &str| CertificateDer::pem_file_iter(folder.join(name)).unwrap();
    let mut authorities = RootCertStore::empty();
    for certificate in chain("issuing-ca.pem") {
        authorities.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider.clone())
        .build()
        .unwrap();
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            chain("server/certificate.pem").map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_file(folder.join("server/key.pem")).unwrap(),
        )
        .unwrap()
}

/// A file to which blocks are appended durably.
pub(super) struct Appending(File);

impl Appending {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self(File::create(folder.join("appended")).unwrap())
    }

    /// One page, and nothing goes on before it is on the disk.
    pub(super) fn append(&mut self) {
        self.0.write_all(&[0x5A; 4096]).unwrap();
        self.0.sync_data().unwrap();
    }
}

/// Milliseconds to open the SQLite file of the KMS in `folder` and to find one key.
pub(super) fn open(folder: &Path) -> f64 {
    let begun = Instant::now();
    let connection = rusqlite::Connection::open(folder.join("store/kms.sqlite")).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    let found: Vec<u8> = connection
        .query_row("SELECT sealed FROM keys ORDER BY id LIMIT 1", (), |row| row.get(0))
        .unwrap();
    let took = in_milliseconds(begun.elapsed());
    assert!(!found.is_empty());
    took
}
