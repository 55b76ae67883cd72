//! The front of the server: one door for every request, whichever API it is for.
//!
//! [`Front::handle`] checks sizes, names the client's address, hands the request to the router of its
//! facade under a time limit, and puts security headers on whatever comes back. [`listener`] feeds it.
//!
//! **Errors**: those made here (too large, too slow, a panic) have the facade's own shape.
//! **Invariant**: every response passes [`headers::complete`]; a facade cannot forget one.

use std::{convert::Infallible, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use futures_util::{FutureExt as _, StreamExt as _};
use hyper::{Method, Request, StatusCode, Uri, body::Incoming, header};
use nexus_event_store::world::World;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::{config::Network, metrics::RequestMetrics};

mod address;
mod facade;
mod headers;
pub(crate) mod listener;

pub(crate) use facade::Facade;

/// The largest request body but for uploads: the JSON APIs need far less.
pub(crate) const BODY_BYTES_MAX: u64 = 1 << 20;
/// The longest path and query. A Matrix sync filter may be written into the query.
const URI_BYTES_MAX: usize = 16 << 10;
/// What a request may take that does not wait for news.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// What a request with a file may take.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(3600);
/// What `/sync` may take; its facade ends a long poll sooner by itself.
const LONG_POLL_TIMEOUT: Duration = Duration::from_secs(600);

/// The routers that [`Front`] chooses between.
pub(crate) struct Routers {
    /// `/_matrix`, `/_nexus`, `/_synapse`, `/.well-known/matrix`.
    pub(crate) matrix: Router,
    /// `/api`, the gateway, and every path that is nobody else's.
    pub(crate) nexus: Router,
    /// `/`, `/health`, `/metrics`, `/account/mail`.
    pub(crate) own: Router,
}

/// Answers requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Front {
    routers: Arc<Routers>,
    trusted_proxies: Arc<[Network]>,
    upload_bytes_max: u64,
    metrics: RequestMetrics,
    world: World,
    closing: watch::Receiver<bool>,
}

impl Front {
    /// The front of `routers`. Once `closing` is true, long polls end.
    pub(crate) fn new(
        routers: Routers,
        trusted_proxies: Vec<Network>,
        upload_bytes_max: u64,
        metrics: RequestMetrics,
        world: World,
        closing: watch::Receiver<bool>,
    ) -> Self {
        Self {
            routers: Arc::new(routers),
            trusted_proxies: trusted_proxies.into(),
            upload_bytes_max,
            metrics,
            world,
            closing,
        }
    }

    /// Answers `request`, which came from `peer`.
    pub(crate) async fn handle(
        self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response, Infallible> {
        Ok(self.answer(request.map(Body::new), peer).await)
    }

    async fn answer(&self, mut request: Request<Body>, peer: SocketAddr) -> Response {
        let started = self.world.clock.monotonic();
        let facade = Facade::of_request(&request);
        let method = request.method().clone();
        let client = address::of_client(peer, request.headers(), &self.trusted_proxies);
        request.extensions_mut().insert(ConnectInfo(client));
        let upload = is_upload(&request);
        let bytes_max = if upload { self.upload_bytes_max + BODY_BYTES_MAX } else { BODY_BYTES_MAX };
        let mut response = match refuse(facade, &request, bytes_max) {
            Some(refusal) => {
                discard(request.into_body()).await;
                refusal
            }
            None if method == Method::OPTIONS && facade.allows_other_origins() => headers::preflight(),
            None => self.route(facade, request.map(|body| limited(body, bytes_max)), upload).await,
        };
        headers::complete(facade, response.headers_mut());
        let took = self.world.clock.monotonic().saturating_sub(started);
        self.metrics.observe(facade, &method, response.status(), took);
        response
    }

    async fn route(&self, facade: Facade, request: Request<Body>, upload: bool) -> Response {
        let router = match facade {
            Facade::Matrix => &self.routers.matrix,
            Facade::Nexus => &self.routers.nexus,
            Facade::Own => &self.routers.own,
        };
        let long_poll = is_long_poll(request.uri());
        let timeout = match (upload, long_poll) {
            (true, _) => UPLOAD_TIMEOUT,
            (false, true) => LONG_POLL_TIMEOUT,
            (false, false) => REQUEST_TIMEOUT,
        };
        let routed = AssertUnwindSafe(router.clone().oneshot(request)).catch_unwind();
        let outcome = tokio::select! {
            biased;
            outcome = tokio::time::timeout(timeout, routed) => outcome,
            // Its client asks again, and finds us back or learns that we are gone.
            () = closed(self.closing.clone()), if long_poll => {
                return facade.error(StatusCode::SERVICE_UNAVAILABLE);
            }
        };
        match outcome {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            // The panic hook has logged where.
            Ok(Err(_panic)) => facade.error(StatusCode::INTERNAL_SERVER_ERROR),
            Err(_elapsed) => {
                tracing::warn!(
                    facade = facade.name(),
                    timeout_s = timeout.as_secs(),
                    "request took too long"
                );
                facade.error(StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }
}

fn limited(body: Body, bytes_max: u64) -> Body {
    Body::new(http_body_util::Limited::new(body, usize::try_from(bytes_max).unwrap_or(usize::MAX)))
}

/// Whether the request brings a file: a Matrix upload, or a form for the Discord-shaped API.
fn is_upload<B>(request: &Request<B>) -> bool {
    let form = || {
        let kind = request.headers().get(header::CONTENT_TYPE).map(hyper::header::HeaderValue::as_bytes);
        kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(b"multipart/form-data"))
    };
    let path = request.uri().path();
    path.starts_with("/_matrix/media/") || (path.starts_with("/api/") && path.contains("/messages") && form())
}

/// The most of a refused body that is read for the sake of its sender.
const DISCARD_BYTES_MAX: usize = 64 << 20;
/// The longest that takes.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads what is left of a refused request: a client that is still sending when the connection closes sees
/// a broken pipe and not the answer.
async fn discard(body: Body) {
    let mut body = http_body_util::BodyStream::new(body);
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.next().await {
            bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
            if bytes > DISCARD_BYTES_MAX {
                return;
            }
        }
    };
    // Too slow is as good as too much.
    drop(tokio::time::timeout(DISCARD_TIMEOUT, read).await);
}

/// Whether the request may wait for news.
fn is_long_poll(uri: &Uri) -> bool {
    uri.path().ends_with("/sync")
}

async fn closed(mut closing: watch::Receiver<bool>) {
    // An error means that the sender is gone, and so the server.
    drop(closing.wait_for(|closing| *closing).await);
}

/// An error for a request that is too large to look at.
fn refuse(facade: Facade, request: &Request<Body>, bytes_max: u64) -> Option<Response> {
    let uri_bytes = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    if uri_bytes > URI_BYTES_MAX {
        return Some(facade.error(StatusCode::URI_TOO_LONG));
    }
    let announced = request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse::<u64>().ok()?;
    (announced > bytes_max).then(|| facade.error(StatusCode::PAYLOAD_TOO_LARGE))
}

#[cfg(test)]
mod tests;
