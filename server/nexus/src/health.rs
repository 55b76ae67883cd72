//! `GET /health`: whether the server answers, and how far its log has come.
//!
//! **Shapes**: `{"status": "ok", "version": "0.1.0", "uptime_s": 12, "position": 345}`; `position` is
//! the last durable one.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use nexus_event_store::world::World;
use serde::Serialize;

/// Reads the last durable position.
pub(crate) type PositionSource = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Answers `GET /health`.
#[derive(Clone)]
pub(crate) struct Health {
    world: World,
    started: Duration,
    position: PositionSource,
}

#[derive(Serialize)]
struct Reply {
    status: &'static str,
    version: &'static str,
    uptime_s: u64,
    position: u64,
}

impl Health {
    pub(crate) fn new(world: World, position: PositionSource) -> Self {
        Self { started: world.clock.monotonic(), world, position }
    }

    pub(crate) fn reply(&self) -> Response {
        let uptime = self.world.clock.monotonic().saturating_sub(self.started);
        Json(Reply {
            status: "ok",
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: uptime.as_secs(),
            position: (self.position)(),
        })
        .into_response()
    }
}
