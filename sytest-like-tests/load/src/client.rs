//! One client of the server: one keep-alive HTTP/1.1 connection with `TCP_NODELAY`, made anew when it breaks.
//!
//! **Shapes**: `call` takes a method, a path with its query, and a JSON text; it gives the status and body.
//! **Errors**: [`Failure`] is a short class of what went wrong, such as `http 429 M_LIMIT_EXCEEDED` or
//! `timeout`, made to be counted. Nothing is retried here: the caller decides.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Uri, header};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::Target;

/// The class of a request's failure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// An answer, whatever its status.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Reply {
    /// The body of a 200, or the class of the refusal.
    pub(crate) fn success<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        if self.status != 200 {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body).map_err(|_| Failure("unreadable body".to_owned()))
    }

    /// The class of an answer that is not what the caller wants.
    pub(crate) fn refusal(&self) -> Failure {
        #[derive(Deserialize)]
        struct Refusal {
            #[serde(default)]
            errcode: String,
        }
        let errcode =
            serde_json::from_slice::<Refusal>(&self.body).map(|body| body.errcode).unwrap_or_default();
        Failure(format!("http {} {errcode}", self.status).trim_end().to_owned())
    }
}

/// A user's connection.
pub(crate) struct Client {
    authority: String,
    token: Option<String>,
    timeout: Duration,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client that connects at its first request.
    pub(crate) fn new(target: &Target, token: Option<&str>) -> anyhow::Result<Self> {
        let base: Uri = target.base.parse().with_context(|| format!("read the address {}", target.base))?;
        anyhow::ensure!(base.scheme_str() == Some("http"), "only http:// addresses are supported");
        let authority = base.authority().context("the address has no host")?;
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", authority.host()),
            token: token.map(str::to_owned),
            timeout: Duration::from_secs(target.timeout_s),
            connection: None,
        })
    }

    /// Connects, if it is not connected.
    pub(crate) async fn connect(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, Failure> {
        let usable = self.connection.take().filter(|connection| !connection.is_closed());
        let connection = match usable {
            Some(connection) => connection,
            None => handshake(&self.authority).await.map_err(|_| Failure("connect".to_owned()))?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn call(&mut self, method: Method, path: &str, body: String) -> Result<Reply, Failure> {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, self.authority.as_str());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Failure("request not expressible".to_owned()))?;
        let limit = self.timeout;
        let answer = tokio::time::timeout(limit, self.exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(Failure("timeout".to_owned())));
        if answer.is_err() {
            // An answer may still be on its way: the connection cannot be trusted with the next request.
            self.connection = None;
        }
        answer
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, Failure> {
        let broken = |_| Failure("connection broken".to_owned());
        let connection = self.connect().await?;
        connection.ready().await.map_err(broken)?;
        let response = connection.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
        Ok(Reply { status, body })
    }
}

async fn handshake(authority: &str) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the connection; how it ended shows in the request that it was carrying.
    tokio::spawn(connection);
    Ok(sender)
}

/// One segment of a path.
pub(crate) fn segment(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &'static str) -> Reply {
        Reply { status, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn refusals_are_classed_by_status_and_errcode() {
        let limited = reply(429, r#"{"errcode":"M_LIMIT_EXCEEDED","error":"slower"}"#);
        assert_eq!(limited.refusal().0, "http 429 M_LIMIT_EXCEEDED");
        assert_eq!(reply(502, "<html>").refusal().0, "http 502");
        assert_eq!(reply(200, "{").success::<serde_json::Value>().unwrap_err().0, "unreadable body");
    }

    #[test]
    fn room_ids_become_one_path_segment() {
        assert_eq!(segment("!a/b:localhost").to_string(), "%21a%2Fb%3Alocalhost");
    }
}
