//! Sockets: binding, accepting and draining.
//!
//! **Units**: one task a connection, at most [`CONNECTIONS_MAX`] of them.
//! **Errors**: an address that cannot be bound is named in one line; a failing connection ends alone.
//! **Invariant**: draining stops within [`DRAIN_MAX`], whatever clients do.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nexus_event_store::world::World;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use super::Front;

/// Connections at one time; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 32_768;
/// For a request's head, and for the silence between two requests of one connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// A request's head: method, path and all headers.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
/// How long a shutdown waits for requests and gateway sessions to end.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// After an accept that failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds `address`.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("http.listen: listen on {address}"))
}

/// Serves until `stop` resolves, then drains: no new connections, `closing` becomes true for everything
/// that waits or streams, and what is under way may finish.
pub(crate) async fn serve(
    listener: TcpListener,
    front: Front,
    world: &World,
    closing: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            (stream, peer, permit) = accept(&listener, &permits, world) => {
                let connection = serve_connection(stream, peer, front.clone(), closing.subscribe(), permit);
                world.spawn("http connection", connection);
            }
        }
    }
    drop((listener, front));
    closing.send_replace(true);
    // Every connection and everything that outlives one, such as a gateway session, holds a receiver.
    if tokio::time::timeout(DRAIN_MAX, closing.closed()).await.is_err() {
        tracing::info!("shutdown did not wait for the last connections");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    world: &World,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                world.clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    front: Front,
    mut closing: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
) {
    // Replies and gateway frames are small and somebody waits for each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| front.clone().handle(request, peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        _ = closing.changed() => {
            // Finishes the request under way, then closes.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
    drop((permit, closing));
}
