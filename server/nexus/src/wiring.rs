//! Puts the server together: opens the store and builds the facades on it.
//!
//! This is the one place that knows which part takes what. **Invariant**: each constructor gets exactly
//! what it uses; nothing here decides anything at run time.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, anyhow};
use axum::{Router, http::HeaderMap, routing::get};
use nexus_event_store::{
    Store,
    kv::{
        KvError,
        rocks::{RocksEngine, RocksTuning},
    },
    world::World,
};
use nexus_federation::ServerKeys;
use tokio::sync::watch;

use crate::{
    config::{Config, PublicUrl},
    health::Health,
    http::Routers,
    metrics::Metrics,
    page::Page,
};

/// The store's folder inside `data_dir`.
const STORE_FOLDER: &str = "store";

/// What the parts are built from.
pub(crate) struct Ground<'a> {
    pub(crate) config: &'a Config,
    /// Where clients reach the server.
    pub(crate) public_url: &'a PublicUrl,
    pub(crate) world: &'a World,
    pub(crate) keys: Arc<ServerKeys>,
    pub(crate) metrics: &'a Metrics,
    /// Becomes true when the server closes. Shutdown waits until every clone is dropped, so only what
    /// must finish keeps one: gateway sessions and long polls.
    pub(crate) closing: watch::Receiver<bool>,
}

/// What serving needs.
pub(crate) struct Parts {
    pub(crate) nexus_api: Router,
    pub(crate) matrix_api: Router,
    pub(crate) store: Store,
}

/// Opens the store and builds every part on it.
pub(crate) async fn build(ground: &Ground<'_>) -> Result<Parts> {
    let store = open_store(ground).await?;
    Ok(Parts { nexus_api: Router::new(), matrix_api: Router::new(), store })
}

/// The routers of the front, with the server's own routes beside the facades'.
pub(crate) fn routers(parts: Parts, ground: &Ground<'_>) -> Routers {
    let page = Page::new(&ground.config.server_name, ground.public_url);
    let health = Health::new(ground.world.clone(), Arc::new(move || parts.store.visible().0));
    let metrics = ground.metrics.clone();
    let own = Router::new()
        .route("/", get(async move || page.reply()))
        .route("/health", get(async move || health.reply()))
        .route("/metrics", get(async move |request: HeaderMap| metrics.page(&request)));
    Routers { matrix: parts.matrix_api, nexus: parts.nexus_api, own }
}

async fn open_store(ground: &Ground<'_>) -> Result<Store> {
    let folder = ground.config.data_dir.join(STORE_FOLDER);
    let engine =
        RocksEngine::open(&folder, RocksTuning::default()).map_err(|error| unusable(&folder, &error))?;
    let store = Store::open(Arc::new(engine), ground.world.clone(), Arc::new(abort))
        .await
        .with_context(|| format!("{}: open the store", folder.display()))?;
    ground.metrics.register_store(store.clone());
    Ok(store)
}

/// The commonest reason in words that name the cause; every other in the engine's own.
fn unusable(folder: &Path, error: &KvError) -> anyhow::Error {
    let folder = folder.display();
    if error.to_string().contains("lock file") {
        anyhow!("{folder}: another running server has this store open")
    } else {
        anyhow!("{folder}: open the store: {error}")
    }
}

/// The engine cannot be trusted any more: what is in memory must not be served as if it were durable.
fn abort(error: &KvError) {
    tracing::error!(%error, "the store failed, the server stops");
    std::process::abort();
}
