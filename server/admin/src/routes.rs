//! The calls of this crate: users and rooms. Other parts put theirs beside these.

use axum::{
    Router,
    routing::{get, post},
};
use nexus_accounts::Accounts;
use nexus_views::Views;

mod rooms;
mod users;

/// What the calls need.
#[derive(Clone)]
pub struct AdminParts {
    /// The accounts.
    pub accounts: Accounts,
    /// The views of the same store.
    pub views: Views,
}

impl std::fmt::Debug for AdminParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminParts").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

/// The calls about users and rooms.
pub fn routes(parts: AdminParts) -> Router {
    Router::new()
        .route("/users", get(users::list).post(users::create))
        .route("/users/{name}", get(users::show))
        .route("/users/{name}/password", post(users::reset_password))
        .route("/users/{name}/deactivate", post(users::deactivate))
        .route("/users/{name}/reactivate", post(users::reactivate))
        .route("/users/{name}/admin", post(users::set_admin))
        .route("/users/{name}/sessions/revoke", post(users::revoke_sessions))
        .route("/rooms", get(rooms::list))
        .route("/rooms/{room}", get(rooms::show))
        .with_state(parts)
}
