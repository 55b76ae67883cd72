//! The operator's end of the socket.
//!
//! **Shapes**: one connection a call; a reply is one JSON value, or one on each line for what takes long and
//! tells how far it is. **Errors**: [`ClientError`]: the server is not running, said no, or broke off.
//! **Bounds**: a reply of one value has at most [`REPLY_BYTES_MAX`] bytes, a line as many.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::{SOCKET_FILE, socket::open_path};

const REPLY_BYTES_MAX: usize = 64 << 20;

/// Why a call did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("{}: server is not running, nobody listens on this socket", .0.display())]
    NotRunning(PathBuf),
    /// The socket cannot be opened.
    #[error("{}: open the admin socket", .path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server refuses: nothing was done.
    #[error("{0}")]
    Refused(String),
    /// The server failed.
    #[error("{0}")]
    Failed(String),
    /// The connection ended, or what came over it was not an answer.
    #[error("the server broke off: {0}")]
    Broken(String),
}

/// Calls the server that has a data folder.
#[derive(Clone, Debug)]
pub struct Client {
    data_dir: PathBuf,
}

impl Client {
    /// A client of the server in `data_dir`, which need not be running yet.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned() }
    }

    /// Asks for `path`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.call(Method::GET, path, &Value::Null).await
    }

    /// Posts `body` to `path`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.call(Method::POST, path, body).await
    }

    /// Makes a call whose reply is one JSON value.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Value, ClientError> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| ClientError::Broken(error.to_string()))?.to_bytes();
        read(status, &body)
    }

    /// Posts `body` to `path` and gives every line of the reply to `line` as it comes.
    ///
    /// # Errors
    /// See [`ClientError`]; a last line `{"error": …}` is [`ClientError::Failed`].
    pub async fn lines(
        &self,
        path: &str,
        body: &Value,
        mut line: impl FnMut(Value),
    ) -> Result<(), ClientError> {
        let broken = |error: &dyn std::fmt::Display| ClientError::Broken(error.to_string());
        let response = self.send(Method::POST, path, body).await?;
        let status = response.status();
        let mut incoming = response.into_body();
        let mut rest = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
            rest.extend_from_slice(&data);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let text = rest.split_to(end);
                rest.advance(1);
                line(read(status, &text)?);
            }
            if rest.len() > REPLY_BYTES_MAX {
                return Err(broken(&"a line has no end"));
            }
        }
        if !rest.is_empty() {
            line(read(status, &rest)?);
        }
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Response<Incoming>, ClientError> {
        let broken = |error: hyper::Error| ClientError::Broken(error.to_string());
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let text = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(text))
            .map_err(|error| ClientError::Refused(format!("{path}: {error}")))?;
        // The connection does its work only while it is polled, and a call is all there is on it.
        let (connection, response) = (Box::pin(connection), sender.send_request(request));
        spawn(async move { drop(connection.await) });
        response.await.map_err(broken)
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let path = self.data_dir.join(SOCKET_FILE);
        let connected = match open_path(&self.data_dir, SOCKET_FILE) {
            Ok(open) => UnixStream::connect(&open.path).await,
            Err(error) => Err(error),
        };
        connected.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning(path),
            _ => ClientError::Connect { path, source },
        })
    }
}

/// The client runs in the operator's command, outside any world.
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::runtime::Handle::current().spawn(task);
}

fn read(status: StatusCode, body: &[u8]) -> Result<Value, ClientError> {
    let value: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body).map_err(|error| ClientError::Broken(error.to_string()))?
    };
    let error = value.get("error").and_then(Value::as_str).map(str::to_owned);
    match error {
        None if status.is_success() => Ok(value),
        None => Err(ClientError::Broken(status.to_string())),
        Some(error) if status.is_client_error() => Err(ClientError::Refused(error)),
        Some(error) => Err(ClientError::Failed(error)),
    }
}
