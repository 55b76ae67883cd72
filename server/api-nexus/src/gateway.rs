//! The gateway, version 10 in JSON: a socket on which a client identifies or resumes and then hears, in
//! order, everything that concerns it.
//!
//! A session is a fold over the log (`machine.rs`, pure): commits become facts (`resolve.rs`), facts become
//! numbered dispatches, dispatches become JSON (`render.rs`). So a session can be resumed from a saved
//! checkpoint after any crash: the log is folded again and gives the same numbers. See
//! `docs/adr/2026-11-22-gateway-sessions.md`.
//!
//! **Shapes**: `?v=9|10&encoding=json&compress=zlib-stream`, all optional. **Errors**: 400 at the upgrade for
//! an encoding that is not JSON; close codes in `protocol.rs`.

use std::sync::Arc;

use axum::{
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    response::{IntoResponse as _, Response},
};
use nexus_event_store::{feed::Topic, world::World};
use tokio::sync::watch;

use crate::{error::ApiError, objects::Objects, params::Query};

mod announcements;
mod checkpoint;
mod connection;
mod fact;
mod handshake;
mod intents;
mod live;
mod machine;
pub(crate) mod members;
mod protocol;
mod render;
mod resolve;
mod session;
mod sight;
mod socket;
mod typing;
mod votes;

pub(crate) use announcements::Announcement;
pub(crate) use intents::Intents;

use announcements::Announcements;
use live::LiveSessions;
use resolve::Resolver;
use socket::{READ_BYTES_MAX, Transport};

/// The gateway of one server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    objects: Objects,
    resolver: Resolver,
    live: LiveSessions,
    announcements: Announcements,
    url: String,
    closing: watch::Receiver<bool>,
}

impl Gateway {
    pub(crate) fn new(objects: Objects, url: String, closing: watch::Receiver<bool>) -> Self {
        let resolver = Resolver::new(objects.views.clone());
        let (live, announcements) = (LiveSessions::default(), Announcements::default());
        Self { inner: Arc::new(Inner { objects, resolver, live, announcements, url, closing }) }
    }

    /// Where clients connect: no query, no slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.inner.url
    }

    /// Tells a guild's sessions something that is not in the log.
    pub(crate) fn announce(&self, announcement: Announcement) {
        let topic = Topic::Room(announcement.guild);
        self.inner.announcements.add(announcement);
        self.inner.objects.views.store().feed().wake(topic);
    }

    fn world(&self) -> &World {
        self.inner.objects.views.store().world()
    }
}

/// `GET /gateway` as a WebSocket.
pub(crate) async fn upgrade(
    State(gateway): State<Gateway>,
    query: Query,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(_) => return ApiError::NotAWebSocket.into_response(),
    };
    let transport = match Transport::parse(&query) {
        Ok(transport) => transport,
        Err(error) => return error.into_response(),
    };
    upgrade
        .max_message_size(READ_BYTES_MAX)
        .max_frame_size(READ_BYTES_MAX)
        .on_upgrade(move |socket| connection::run(gateway, socket, transport))
}

#[cfg(test)]
mod tests;
