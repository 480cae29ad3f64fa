//! What clients send, with the descriptor that may be handed over beside a request. Bytes and descriptor only; nothing here reads from it.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::unix::OwnedReadHalf;

use crate::secret::receive;

/// The reading half of a client's connection.
pub(super) struct Incoming {
    from: OwnedReadHalf,
    handed: Option<OwnedFd>,
}

impl Incoming {
    pub(super) fn new(from: OwnedReadHalf) -> Self {
        Self { from, handed: None }
    }

    /// The descriptor that came last, once.
    pub(super) fn take_handed(&mut self) -> Option<OwnedFd> {
        self.handed.take()
    }
}

impl AsyncRead for Incoming {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let stream = self.from.as_ref();
            ready!(stream.poll_read_ready(context))?;
            let read = stream.try_io(Interest::READABLE, || receive(stream, buffer.initialize_unfilled()));
            match read {
                Ok(received) => {
                    buffer.advance(received.length);
                    if received.descriptor.is_some() {
                        self.handed = received.descriptor;
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}
