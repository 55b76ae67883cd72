//! What the handlers share, and what each of them takes of it.
//!
//! [`NexusApi`] is the router's state; a handler names only the parts it uses, through `FromRef`.

use std::sync::Arc;

use axum::extract::FromRef;
use nexus_accounts::Accounts;
use nexus_media::Media;
use nexus_rate_limits::RateLimits;
use nexus_rooms::Rooms;
use nexus_views::Views;
use tokio::sync::watch;

use crate::{gateway::Gateway, objects::Objects};

/// What the operator decided about this API.
#[derive(Clone, Debug)]
pub struct NexusConfig {
    /// Where clients reach this server, `http` or `https`, without a slash at the end.
    pub public_url: String,
    /// How often whom may do what.
    pub limits: RateLimits,
}

impl NexusConfig {
    /// Where the gateway is: no query, no slash at the end.
    pub(crate) fn gateway_url(&self) -> String {
        let base = self.public_url.trim_end_matches('/');
        // http becomes ws, https becomes wss.
        match base.strip_prefix("http") {
            Some(rest) => format!("ws{rest}/gateway"),
            None => format!("{base}/gateway"),
        }
    }
}

/// The state of the API's router. Cheap to clone.
#[derive(Clone)]
pub struct NexusApi {
    rooms: Rooms,
    views: Views,
    accounts: Accounts,
    media: Media,
    objects: Objects,
    gateway: Gateway,
    config: Arc<NexusConfig>,
}

impl NexusApi {
    /// The API over these rooms, views and accounts, which belong to one store. Gateway connections ask
    /// their clients to come back once `closing` is true, and then end.
    #[must_use]
    pub fn new(
        rooms: Rooms,
        views: Views,
        accounts: Accounts,
        media: Media,
        config: NexusConfig,
        closing: watch::Receiver<bool>,
    ) -> Self {
        let objects = Objects {
            views: views.clone(),
            accounts: accounts.clone(),
            media: media.clone(),
            public_url: config.public_url.trim_end_matches('/').into(),
        };
        let config = Arc::new(config);
        let gateway = Gateway::new(objects.clone(), config.gateway_url(), closing);
        Self { rooms, views, accounts, media, objects, gateway, config }
    }
}

impl NexusApi {
    pub(crate) fn limits(&self) -> &RateLimits {
        &self.config.limits
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The wall clock in milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        self.views.store().world().now().0
    }
}

impl std::fmt::Debug for NexusApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NexusApi").field("config", &self.config).finish_non_exhaustive()
    }
}

macro_rules! part {
    ($type:ty, $field:ident) => {
        impl FromRef<NexusApi> for $type {
            fn from_ref(api: &NexusApi) -> Self {
                api.$field.clone()
            }
        }
    };
}

part!(Rooms, rooms);
part!(Views, views);
part!(Accounts, accounts);
part!(Media, media);
part!(Objects, objects);
part!(Gateway, gateway);
part!(Arc<NexusConfig>, config);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_beside_the_api() {
        let url = |public_url: &str| {
            NexusConfig { public_url: public_url.to_owned(), limits: RateLimits::off() }.gateway_url()
        };
        assert_eq!(url("http://localhost:8080"), "ws://localhost:8080/gateway");
        assert_eq!(url("https://chat.example.org/"), "wss://chat.example.org/gateway");
    }
}
