//! The calls of this crate: users, registration tokens, media and rooms. Other parts put theirs beside these.

use axum::{
    Router,
    routing::{get, post},
};
use nexus_accounts::Accounts;
use nexus_media::Media;
use nexus_views::Views;

mod media;
mod rooms;
mod tokens;
mod users;

/// What the calls need.
#[derive(Clone)]
pub struct AdminParts {
    /// The accounts.
    pub accounts: Accounts,
    /// The media of the same store.
    pub media: Media,
    /// The views of the same store.
    pub views: Views,
}

impl std::fmt::Debug for AdminParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminParts").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

/// The calls about users, registration tokens, media and rooms.
pub fn routes(parts: AdminParts) -> Router {
    Router::new()
        .route("/users", get(users::list).post(users::create))
        .route("/users/{name}", get(users::show))
        .route("/users/{name}/password", post(users::reset_password))
        .route("/users/{name}/deactivate", post(users::deactivate))
        .route("/users/{name}/reactivate", post(users::reactivate))
        .route("/users/{name}/admin", post(users::set_admin))
        .route("/users/{name}/second-factor/remove", post(users::remove_second_factor))
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/{token}/revoke", post(tokens::revoke))
        .route("/users/{name}/sessions/revoke", post(users::revoke_sessions))
        .route("/users/{name}/media/delete", post(media::delete_of_user))
        .route("/media", get(media::list))
        .route("/media/{id}", get(media::show))
        .route("/media/{id}/delete", post(media::delete))
        .route("/rooms", get(rooms::list))
        .route("/rooms/{room}", get(rooms::show))
        .with_state(parts)
}
