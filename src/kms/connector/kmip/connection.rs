//! One TLS connection to one endpoint: a request goes out, its reply comes in, one after the other.
//!
//! A connection that failed, or whose exchange was given up half-way, is never used again: what it still brings may answer another question.

use std::io;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::endpoint::Endpoint;
use super::error::Lost;
use super::names::tag;
use super::reply::Unreadable;
use super::tls::{exchange_failed, handshake_failed};
use super::ttlv::{HEADER_LENGTH, kind, message_length};

/// An open connection.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    /// Whether the server is known to take our certificate.
    proven: bool,
}

impl Connection {
    /// Connects. `proven`: the server has just taken our certificate, so that if it ends this connection without a word, that is not why.
    pub(super) async fn open(endpoint: &Endpoint, (tls, proven): (&TlsConnector, bool)) -> Result<Self, Lost> {
        let not_connected = |error: io::Error| Lost::NotConnected(error.to_string());
        let stream = TcpStream::connect((endpoint.host(), endpoint.port()))
            .await
            .map_err(not_connected)?;
        // Requests are short: waiting for more to send only costs time. Without the option they are merely slower.
        let _ = stream.set_nodelay(true);
        let name =
            ServerName::try_from(endpoint.host().to_owned()).map_err(|error| Lost::NotConnected(error.to_string()))?;
        let stream = tls
            .connect(name, stream)
            .await
            .map_err(|error| handshake_failed(&error))?;
        Ok(Self { stream, proven })
    }

    /// The server's certificate and the version of TLS, for people.
    pub(super) fn peer(&self) -> (Option<CertificateDer<'static>>, &'static str) {
        let (_, session) = self.stream.get_ref();
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        let version = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        };
        (certificate.map(|certificate| certificate.clone().into_owned()), version)
    }

    /// Sends `request` and waits for its reply, which is wiped when it was read.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Zeroizing<Vec<u8>>, Lost> {
        if let Err(error) = self.send(request).await {
            return Err(self.why_not_sent(&error).await);
        }
        let mut header = [0; HEADER_LENGTH];
        let (read, first) = self.fill(&mut header, !self.proven).await;
        read.map_err(|error| exchange_failed(&error, first))?;
        let length = message_length(&header).map_err(Unreadable::from)?;
        let [t1, t2, t3, kind, ..] = header;
        if u32::from_be_bytes([0, t1, t2, t3]) != tag::RESPONSE_MESSAGE.0 || kind != kind::STRUCTURE {
            return Err(Unreadable::NoResponse.into());
        }
        let mut reply = Zeroizing::new(vec![0; length]);
        if let Some((place, rest)) = reply.split_first_chunk_mut::<HEADER_LENGTH>() {
            *place = header;
            let (read, _) = self.fill(rest, false).await;
            read.map_err(|error| exchange_failed(&error, (false, false)))?;
        }
        self.proven = true;
        Ok(reply)
    }

    async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.stream.flush().await
    }

    /// Under TLS 1.3 a refused certificate may first show as a connection that takes no more: the alert that says so is then still to be read.
    async fn why_not_sent(&mut self, error: &io::Error) -> Lost {
        let first = !self.proven;
        let mut byte = [0];
        match self.stream.read(&mut byte).await {
            Err(alert) => exchange_failed(&alert, (true, first)),
            Ok(_) => exchange_failed(error, (true, first)),
        }
    }

    /// Fills `buffer`; also whether nothing at all came, and whether this was the first reply.
    async fn fill(&mut self, buffer: &mut [u8], first: bool) -> (io::Result<()>, (bool, bool)) {
        let mut filled = 0;
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.stream.read(room).await {
                Ok(0) => {
                    let ended = io::Error::new(io::ErrorKind::UnexpectedEof, "it was closed");
                    return (Err(ended), (filled == 0, first));
                }
                Ok(read) => filled += read,
                Err(error) => return (Err(error), (filled == 0, first)),
            }
        }
        (Ok(()), (false, first))
    }
}
