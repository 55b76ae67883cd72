//! Rate limits of the endpoints: which counts as what.
//!
//! Every call counts as a request of its user (or, without a good token, of its address); some count as more.
//! **Errors**: 429 `M_LIMIT_EXCEEDED` with `retry_after_ms` and `Retry-After`. **Source**: Matrix v1.19,
//! client-server API, "Rate limiting".

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    Router,
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{Method, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use nexus_rate_limits::{Action, Key, RateLimits, name_number};

use crate::{api::MatrixApi, auth::token_in, error::ApiError};

/// `routes` under the limits, if there are any.
pub(crate) fn limited(routes: Router<MatrixApi>, api: &MatrixApi, limits: &RateLimits) -> Router<MatrixApi> {
    if !limits.are_on() {
        return routes;
    }
    routes.route_layer(middleware::from_fn_with_state(api.clone(), limit))
}

async fn limit(State(api): State<MatrixApi>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match take(&api, &parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refused) => refused.into_response(),
    }
}

async fn take(api: &MatrixApi, parts: &Parts) -> Result<(), ApiError> {
    let limits = &api.config().limits;
    let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let address = info.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip());
    let address = Key::of_address(address);
    let login = match token_in(&parts.headers, &parts.uri) {
        Some(token) => api.accounts().authenticate(&token).await.ok().flatten(),
        None => None,
    };
    let user = login.map(|login| login.user);
    let take = |action, key| {
        limits.take(action, key).map(drop).map_err(|limited| ApiError::limited(limited.retry_after))
    };
    take(Action::Request, user.map_or(address, Key::User))?;
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let Some((action, scope)) = action_of(&parts.method, path) else { return Ok(()) };
    take(
        action,
        match (scope, user) {
            (Scope::Address, _) | (_, None) => address,
            (Scope::User, Some(user)) => Key::User(user),
            (Scope::Room, Some(user)) => Key::UserIn(user, room_of(parts.uri.path())),
        },
    )
}

/// What a bucket is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Address,
    User,
    /// A user in the room that the path names.
    Room,
}

fn action_of(method: &Method, path: &str) -> Option<(Action, Scope)> {
    let path = path.strip_prefix("/_matrix/client/").unwrap_or(path);
    let path = path.split_once('/').map_or(path, |(_, rest)| rest);
    if *method == Method::GET {
        // What can be used to find out names and tokens by trying.
        let is_probe = path == "register/available" || path.ends_with("/validity");
        return is_probe.then_some((Action::Proof, Scope::Address));
    }
    Some(match path {
        "register" => (Action::Register, Scope::Address),
        "login" => (Action::Login, Scope::Address),
        "createRoom" => (Action::Create, Scope::User),
        "join/{room}" | "knock/{room}" => (Action::Join, Scope::User),
        _ if path.ends_with("/requestToken") => (Action::Mail, Scope::Address),
        _ if path.starts_with("profile/") => (Action::Profile, Scope::User),
        _ => match path.strip_prefix("rooms/{room}/")? {
            "join" => (Action::Join, Scope::User),
            "invite" => (Action::Invite, Scope::User),
            send if send.starts_with("send/") => (Action::Send, Scope::Room),
            write if write.starts_with("state/") || write.starts_with("redact/") => {
                (Action::Change, Scope::Room)
            }
            _ => return None,
        },
    })
}

/// A number for the id behind `/rooms/`.
fn room_of(path: &str) -> u64 {
    let id = path.split_once("/rooms/").and_then(|(_, rest)| rest.split('/').next());
    name_number(id.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_count_as_what_they_do() {
        let action = |method, path: &str| action_of(&method, &format!("/_matrix/client/{path}"));
        let send = "v3/rooms/{room}/send/{kind}/{txn}";
        assert_eq!(action(Method::PUT, send), Some((Action::Send, Scope::Room)));
        let state = "r0/rooms/{room}/state/{kind}";
        assert_eq!(action(Method::PUT, state), Some((Action::Change, Scope::Room)));
        assert_eq!(action(Method::GET, state), None);
        assert_eq!(action(Method::POST, "v3/login"), Some((Action::Login, Scope::Address)));
        assert_eq!(action(Method::GET, "v3/login"), None);
        assert_eq!(action(Method::GET, "v3/register/available"), Some((Action::Proof, Scope::Address)));
        let validity = "v1/register/m.login.registration_token/validity";
        assert_eq!(action(Method::GET, validity), Some((Action::Proof, Scope::Address)));
        assert_eq!(action(Method::POST, "v3/rooms/{room}/typing/{user}"), None);
    }
}
