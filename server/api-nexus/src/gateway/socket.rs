//! A WebSocket with the gateway's encoding: JSON text, or one zlib stream for the socket's whole life.
//!
//! **Invariant**: at most one frame is on its way; whoever does not take it within [`SEND_WITHIN`] is
//! dropped, and no queue grows meanwhile.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use flate2::{Compress, Compression, FlushCompress};
use nexus_event_store::world::World;

use super::protocol::{Close, FRAME_BYTES_MAX};
use crate::{error::ApiError, params::Query};

/// More than this is not even read; what is longer than a frame may be is told so.
pub(crate) const READ_BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;

/// How long a client may take to accept one frame.
const SEND_WITHIN: Duration = Duration::from_secs(15);

/// How long a client may take to close once it was told to.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What the URL asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transport {
    pub(crate) is_known_version: bool,
    pub(crate) zlib: bool,
}

impl Transport {
    /// Reads `v`, `encoding` and `compress`. A compression other than zlib is answered with text, which
    /// clients that offer one take.
    pub(crate) fn parse(query: &Query) -> Result<Self, ApiError> {
        if !matches!(query.text("encoding"), None | Some("json" | "")) {
            return Err(ApiError::field(
                &["encoding"],
                "BASE_TYPE_CHOICES",
                "Value must be one of ('json',).",
            ));
        }
        Ok(Self {
            is_known_version: matches!(query.text("v"), None | Some("9" | "10")),
            zlib: query.text("compress") == Some("zlib-stream"),
        })
    }
}

/// The other side is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Something from the client.
#[derive(Debug)]
pub(crate) enum Received {
    Frame(Vec<u8>),
    /// A frame that is not readable as one.
    Unreadable,
    /// The client closed, with this code.
    Closed(Option<u16>),
    /// The connection broke.
    Lost,
}

/// A client's socket.
pub(crate) struct Socket {
    inner: WebSocket,
    zlib: Option<Compress>,
    world: World,
}

impl Socket {
    pub(crate) fn new(inner: WebSocket, transport: Transport, world: World) -> Self {
        let zlib = transport.zlib.then(|| Compress::new(Compression::fast(), true));
        Self { inner, zlib, world }
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: String) -> Result<(), Gone> {
        let message = match &mut self.zlib {
            Some(zlib) => Message::Binary(deflate(zlib, frame.as_bytes()).ok_or(Gone)?.into()),
            None => Message::Text(frame.into()),
        };
        let too_late = self.world.clock.sleep(SEND_WITHIN);
        tokio::select! {
            biased;
            sent = self.inner.send(message) => sent.map_err(|_| Gone),
            () = too_late => Err(Gone),
        }
    }

    /// The next thing from the client.
    pub(crate) async fn receive(&mut self) -> Received {
        loop {
            return match self.inner.recv().await {
                Some(Ok(Message::Text(text))) => Received::Frame(text.as_bytes().to_vec()),
                Some(Ok(Message::Binary(bytes))) => Received::Frame(bytes.to_vec()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(frame))) => Received::Closed(frame.map(|frame| frame.code)),
                Some(Err(error)) if is_io(&error) => Received::Lost,
                Some(Err(_)) => Received::Unreadable,
                None => Received::Lost,
            };
        }
    }

    /// Closes with a code; best effort, the client may be gone. What it still sends is read and dropped until
    /// it closes too: a connection that is torn down with unread bytes takes the code with it.
    pub(crate) async fn close(mut self, close: Close) {
        let (code, reason) = close.shown();
        let frame = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let too_late = self.world.clock.sleep(CLOSE_WITHIN);
        let goodbye = async {
            if self.inner.send(frame).await.is_ok() {
                while let Some(Ok(_)) = self.inner.recv().await {}
            }
        };
        tokio::select! {
            biased;
            () = goodbye => {}
            () = too_late => {}
        }
    }
}

/// Whether the connection itself failed; other errors are about what came over it.
fn is_io(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if error.is::<std::io::Error>() {
            return true;
        }
        source = error.source();
    }
    error.to_string().contains("closed")
}

/// The next message of the stream, flushed to a byte boundary that ends `00 00 ff ff`.
fn deflate(zlib: &mut Compress, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() / 2 + 64);
    let mut rest = bytes;
    loop {
        let before = zlib.total_in();
        zlib.compress_vec(rest, &mut out, FlushCompress::Sync).ok()?;
        rest = rest.get(usize::try_from(zlib.total_in() - before).ok()?..)?;
        // Room to spare means that everything, the flush included, has been written.
        if rest.is_empty() && out.len() < out.capacity() {
            return Some(out);
        }
        out.reserve(bytes.len().max(1024));
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    #[test]
    fn every_message_ends_flushed_and_reads_in_one_stream() {
        let mut zlib = Compress::new(Compression::fast(), true);
        let mut reader = Decompress::new(true);
        let noisy: String =
            (0..20_000_u32).map(|n| char::from(b' ' + (n.wrapping_mul(7919) % 90) as u8)).collect();
        for text in ["{\"op\":10}", noisy.as_str(), "{\"op\":11}"] {
            let bytes = deflate(&mut zlib, text.as_bytes()).unwrap();
            assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]), "{text:.20}");
            let mut read = Vec::with_capacity(text.len() + 64);
            reader.decompress_vec(&bytes, &mut read, FlushDecompress::Sync).unwrap();
            assert_eq!(read, text.as_bytes());
        }
    }

    #[test]
    fn the_url_is_read_leniently_but_for_the_encoding() {
        let parse = |query| Transport::parse(&Query::parse(query));
        let plain = Transport { is_known_version: true, zlib: false };
        assert_eq!(parse(""), Ok(plain));
        assert_eq!(parse("v=10"), Ok(plain));
        assert_eq!(parse("v=10&encoding=json&compress=zstd-stream"), Ok(plain));
        assert_eq!(parse("v=9&encoding=json&compress=zlib-stream"), Ok(Transport { zlib: true, ..plain }));
        assert_eq!(parse("v=6"), Ok(Transport { is_known_version: false, ..plain }));
        assert!(parse("encoding=etf").is_err());
    }
}
