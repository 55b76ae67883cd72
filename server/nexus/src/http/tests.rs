//! What the front does for every facade, and how the listener drains.

use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Notify, oneshot, watch},
};

use super::*;
use crate::{metrics::Metrics, world};

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5);

fn front(router: Router, closing: watch::Receiver<bool>) -> Front {
    let world = world::system(tokio::runtime::Handle::current()).unwrap();
    let routers = Routers { matrix: router.clone(), nexus: router.clone(), own: router };
    Front::new(routers, Vec::new(), 5 << 20, Metrics::new().requests(), world, closing)
}

fn echo_routes() -> Router {
    Router::new()
        .route("/", get(async || "page"))
        .route("/api/v10/echo", post(async |body: String| body))
        .route("/_matrix/echo", post(async |body: String| body))
        .route("/api/v10/panic", get(async || -> String { panic!("expected by this test") }))
        .route("/_matrix/panic", get(async || -> String { panic!("expected by this test") }))
}

async fn answer(request: Request<Body>) -> (StatusCode, hyper::HeaderMap, Value) {
    let response = front(echo_routes(), watch::channel(false).1).answer(request, PEER).await;
    let (head, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (head.status, head.headers, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn request(method: &str, uri: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(uri).body(body.into()).unwrap()
}

#[tokio::test]
async fn every_response_has_security_headers() {
    for uri in ["/", "/api/v10/nothing", "/_matrix/nothing", "/api/v10/panic"] {
        let (_, headers, _) = answer(request("GET", uri, "")).await;
        assert_eq!(headers["x-content-type-options"], "nosniff", "{uri}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{uri}");
        assert_eq!(headers["x-frame-options"], "DENY", "{uri}");
        assert!(headers.contains_key("content-security-policy"), "{uri}");
        assert_eq!(headers.contains_key("access-control-allow-origin"), uri != "/", "{uri}");
    }
}

#[tokio::test]
async fn browsers_of_other_origins_may_call_the_apis() {
    for uri in ["/api/v10/echo", "/_matrix/echo"] {
        let (status, headers, _) = answer(request("OPTIONS", uri, "")).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let allowed = headers["access-control-allow-headers"].to_str().unwrap();
        assert!(allowed.contains("Authorization") && allowed.contains("X-Audit-Log-Reason"));
    }
}

#[tokio::test]
async fn a_panic_is_a_500_of_the_facade() {
    let (status, _, body) = answer(request("GET", "/_matrix/panic", "")).await;
    assert_eq!(
        (status.as_u16(), body),
        (500, json!({"errcode": "M_UNKNOWN", "error": "Internal Server Error"}))
    );
    let (status, _, body) = answer(request("GET", "/api/v10/panic", "")).await;
    assert_eq!((status.as_u16(), body), (500, json!({"message": "500: Internal Server Error", "code": 0})));
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let large = "x".repeat(BODY_BYTES_MAX as usize + 1);
    let mut announced = request("POST", "/_matrix/echo", large.clone());
    announced.headers_mut().insert(header::CONTENT_LENGTH, large.len().into());
    let (status, _, body) = answer(announced).await;
    assert_eq!((status.as_u16(), &body["errcode"]), (413, &json!("M_TOO_LARGE")));
    let (status, _, _) = answer(request("POST", "/api/v10/echo", large)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "a body of unannounced length");
    let (status, _, _) = answer(request("POST", "/api/v10/echo", "x".repeat(BODY_BYTES_MAX as usize))).await;
    assert_eq!(status, StatusCode::OK);
    let long = format!("/api/v10/echo?x={}", "x".repeat(URI_BYTES_MAX));
    let (status, _, body) = answer(request("GET", &long, "")).await;
    assert_eq!((status.as_u16(), &body["message"]), (414, &json!("414: URI Too Long")));
}

#[test]
fn paths_belong_to_facades() {
    for (path, facade) in [
        ("/", Facade::Own),
        ("/metrics", Facade::Own),
        ("/health/x", Facade::Nexus),
        ("/api/v10/users/@me", Facade::Nexus),
        ("/_matrix/client/versions", Facade::Matrix),
        ("/_matrixes", Facade::Nexus),
        ("/_nexus/federation/v1/send", Facade::Matrix),
        ("/.well-known/matrix/client", Facade::Matrix),
    ] {
        assert_eq!(Facade::of(path), facade, "{path}");
    }
}

#[test]
fn a_websocket_is_never_for_the_page() {
    let mut upgrade = request("GET", "/?v=10&encoding=json", "");
    assert_eq!(Facade::of_request(&upgrade), Facade::Own);
    upgrade.headers_mut().insert(header::UPGRADE, "websocket".parse().unwrap());
    assert_eq!(Facade::of_request(&upgrade), Facade::Nexus);
}

#[test]
fn only_sync_may_wait_long() {
    assert!(is_long_poll(&"/_matrix/client/v3/sync?timeout=30000".parse().unwrap()));
    assert!(!is_long_poll(&"/api/v10/channels/1/messages".parse().unwrap()));
}

/// A server whose one route waits for `release`, a way to stop it, and its end.
struct Running {
    address: SocketAddr,
    entered: Arc<Notify>,
    release: Arc<Notify>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

async fn run() -> Running {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (inside, outside) = (entered.clone(), release.clone());
    let slow = async move || {
        inside.notify_one();
        outside.notified().await;
        "done"
    };
    let closing = watch::Sender::new(false);
    let router = Router::new().route("/api/slow", get(slow.clone())).route("/_matrix/sync", get(slow));
    let front = front(router, closing.subscribe());
    let listener = listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let world = world::system(tokio::runtime::Handle::current()).unwrap();
    let ended = tokio::runtime::Handle::current().spawn(async move {
        let stop = async { drop(stopped.await) };
        listener::serve(listener, front, &world, closing, stop).await;
    });
    Running { address, entered, release, stop, ended }
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_shutdown_lets_requests_finish_and_closes_idle_connections() {
    let server = run().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /api/slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    server.entered.notified().await;
    server.stop.send(()).unwrap();
    assert_eq!(read_all(&mut idle).await, "", "closed without a word");
    assert!(TcpStream::connect(server.address).await.is_err(), "no new connections");
    server.release.notify_one();
    let reply = read_all(&mut busy).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK") && reply.ends_with("done"), "{reply}");
    tokio::time::timeout(Duration::from_secs(5), server.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_long_polls() {
    let server = run().await;
    let mut poll = TcpStream::connect(server.address).await.unwrap();
    poll.write_all(b"GET /_matrix/sync?timeout=30000 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    server.entered.notified().await;
    server.stop.send(()).unwrap();
    let reply = read_all(&mut poll).await;
    assert!(reply.starts_with("HTTP/1.1 503") && reply.contains("M_UNKNOWN"), "{reply}");
    tokio::time::timeout(Duration::from_secs(5), server.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let server = run().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\n{}",
        "X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(3000)
    );
    // The server may close while we still write.
    drop(stream.write_all(head.as_bytes()).await);
    let mut start = [0; 12];
    if stream.read_exact(&mut start).await.is_ok() {
        assert_eq!(&start, b"HTTP/1.1 431");
    }
    server.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), server.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let server = run().await;
    let error = listener::bind(server.address).await.unwrap_err();
    assert!(format!("{error:#}").starts_with(&format!("http.listen: listen on {}: ", server.address)));
    server.stop.send(()).unwrap();
    server.ended.await.unwrap();
}
