//! What the handlers share, and what each of them takes of it.
//!
//! [`MatrixApi`] is the router's state; a handler names only the parts it uses, through `FromRef`.

use std::sync::Arc;

use axum::extract::FromRef;
use nexus_accounts::Accounts;
use nexus_event_store::world::World;
use nexus_media::Media;
use nexus_rooms::Rooms;
use nexus_views::Views;

use crate::uia::UiaSessions;

/// What the operator decided about this API.
#[derive(Clone, Debug)]
pub struct MatrixConfig {
    /// Where clients reach this server, without a slash at the end.
    pub public_url: String,
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
}

impl MatrixApi {
    /// The API over these rooms, views and accounts, which belong to one store.
    #[must_use]
    pub fn new(rooms: Rooms, views: Views, accounts: Accounts, media: Media, config: MatrixConfig) -> Self {
        let world = views.store().world().clone();
        let sessions = Arc::new(UiaSessions::new(world.clone()));
        Self { rooms, views, accounts, media, world, config: Arc::new(config), sessions }
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
