//! What the handlers share, and what each of them takes of it.
//!
//! [`MatrixApi`] is the router's state; a handler names only the parts it uses, through `FromRef`.

use std::sync::Arc;

use axum::extract::FromRef;
use nexus_accounts::Accounts;
use nexus_event_store::world::World;
use nexus_media::Media;
use nexus_rate_limits::RateLimits;
use nexus_rooms::Rooms;
use nexus_views::Views;

use crate::{endpoints::synapse_register::Nonces, uia::UiaSessions};

/// What the operator decided about this API.
#[derive(Clone)]
pub struct MatrixConfig {
    /// Where clients reach this server, without a slash at the end.
    pub public_url: String,
    /// How often whom may do what.
    pub limits: RateLimits,
    /// Whoever knows it may register accounts through Synapse's admin call; `None` = nobody.
    pub shared_secret: Option<String>,
    /// Whether the directory of public rooms may be read without logging in.
    pub public_directory: bool,
}

/// The state of the Matrix API's router. Cheap to clone.
#[derive(Clone)]
pub struct MatrixApi {
    rooms: Rooms,
    views: Views,
    accounts: Accounts,
    media: Media,
    world: World,
    config: Arc<MatrixConfig>,
    sessions: Arc<UiaSessions>,
    nonces: Arc<Nonces>,
}

impl MatrixApi {
    /// The API over these rooms, views and accounts, which belong to one store.
    #[must_use]
    pub fn new(rooms: Rooms, views: Views, accounts: Accounts, media: Media, config: MatrixConfig) -> Self {
        let world = views.store().world().clone();
        let sessions = Arc::new(UiaSessions::new(world.clone()));
        let nonces = Arc::new(Nonces::default());
        Self { rooms, views, accounts, media, world, config: Arc::new(config), sessions, nonces }
    }
}

impl MatrixApi {
    pub(crate) fn config(&self) -> &MatrixConfig {
        &self.config
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }
}

impl std::fmt::Debug for MatrixConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MatrixConfig").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for MatrixApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MatrixApi").field("config", &self.config).finish_non_exhaustive()
    }
}

macro_rules! part {
    ($type:ty, $field:ident) => {
        impl FromRef<MatrixApi> for $type {
            fn from_ref(api: &MatrixApi) -> Self {
                api.$field.clone()
            }
        }
    };
}

part!(Rooms, rooms);
part!(Views, views);
part!(Accounts, accounts);
part!(Media, media);
part!(World, world);
part!(Arc<MatrixConfig>, config);
part!(Arc<UiaSessions>, sessions);
part!(Arc<Nonces>, nonces);
