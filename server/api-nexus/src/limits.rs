//! Rate limits of the REST calls: which call counts as what, and Discord's headers.
//!
//! Every call counts as a request of its user (or, without a good token, of its address); some count as more.
//! **Shapes**: `X-RateLimit-Limit`, `-Remaining`, `-Reset`, `-Reset-After`, `-Bucket` on calls that count as more;
//! 429 as [`ApiError::Limited`]. **Source**: `discord-api-docs`, "Rate Limits".

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    Router,
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header::AUTHORIZATION, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use nexus_rate_limits::{Action, Allowance, Key, Limited, name_number};

use crate::{api::NexusApi, auth::token_of, error::ApiError};

/// `calls` under the limits, if there are any.
pub(crate) fn limited(calls: Router<NexusApi>, api: &NexusApi) -> Router<NexusApi> {
    if !api.limits().are_on() {
        return calls;
    }
    calls.route_layer(middleware::from_fn_with_state(api.clone(), limit))
}

async fn limit(State(api): State<NexusApi>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let taken = match take(&api, &parts).await {
        Ok(taken) => taken,
        Err(refused) => return refused,
    };
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some((action, allowance)) = taken {
        tell(response.headers_mut(), &api, action, allowance);
    }
    response
}

/// Takes the tokens that a call costs, or answers it.
async fn take(api: &NexusApi, parts: &Parts) -> Result<Option<(Action, Allowance)>, Response> {
    let limits = api.limits();
    let address = Key::of_address(address_of(parts));
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let login = match header.and_then(token_of) {
        Some(token) => api.accounts().authenticate(token).await.ok().flatten(),
        None => None,
    };
    let user = login.map(|login| login.user);
    let refuse = |limited: Limited, is_global: bool| {
        ApiError::Limited { retry_after: limited.retry_after, is_global }.into_response()
    };
    limits.take(Action::Request, user.map_or(address, Key::User)).map_err(|limited| refuse(limited, true))?;
    let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let Some((action, scope)) = action_of(&parts.method, without_prefix(path)) else { return Ok(None) };
    let key = match (scope, user) {
        (Scope::Address, _) | (_, None) => address,
        (Scope::User, Some(user)) => Key::User(user),
        (Scope::Place, Some(user)) => Key::UserIn(user, place_of(parts.uri.path())),
    };
    match limits.take(action, key) {
        Ok(allowance) => Ok(allowance.map(|allowance| (action, allowance))),
        Err(limited) => {
            let none_left = Allowance { burst: limited.burst, remaining: 0, full_after: limited.retry_after };
            let mut response = refuse(limited, false);
            tell(response.headers_mut(), api, action, none_left);
            Err(response)
        }
    }
}

/// What a bucket is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Address,
    User,
    /// A user in the channel or guild that the path names.
    Place,
}

fn action_of(method: &Method, path: &str) -> Option<(Action, Scope)> {
    const MESSAGES: &str = "/channels/{channel_id}/messages";
    let writes = *method != Method::GET;
    Some(match path {
        _ if !writes && path != "/invites/{code}" => return None,
        "/auth/register" => (Action::Register, Scope::Address),
        "/auth/login" | "/auth/mfa/totp" => (Action::Login, Scope::Address),
        "/auth/forgot" | "/auth/verify/resend" => (Action::Mail, Scope::Address),
        "/auth/reset" | "/auth/verify" => (Action::Proof, Scope::Address),
        "/invites/{code}" if !writes => (Action::Proof, Scope::Address),
        "/invites/{code}" | "/guilds/join" => (Action::Join, Scope::User),
        "/channels/{channel_id}/invites" => (Action::Invite, Scope::User),
        "/guilds" | "/guilds/{guild_id}/channels" | "/applications" => (Action::Create, Scope::User),
        "/users/{user_id}" => (Action::Profile, Scope::User),
        MESSAGES if *method == Method::POST => (Action::Send, Scope::Place),
        _ if path.starts_with(MESSAGES) => (Action::Change, Scope::Place),
        _ => return None,
    })
}

fn without_prefix(path: &str) -> &str {
    let path = path.strip_prefix("/api").unwrap_or(path);
    ["/v10", "/v9", "/v1"].iter().find_map(|version| path.strip_prefix(version)).unwrap_or(path)
}

/// A number for the id behind `/channels/`.
fn place_of(path: &str) -> u64 {
    let id = path.split_once("/channels/").and_then(|(_, rest)| rest.split('/').next());
    name_number(id.unwrap_or_default())
}

fn address_of(parts: &Parts) -> IpAddr {
    let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}

fn tell(headers: &mut HeaderMap, api: &NexusApi, action: Action, allowance: Allowance) {
    let now_s = api.now_ms() as f64 / 1000.0;
    let after_s = allowance.full_after.as_secs_f64();
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-ratelimit-limit", allowance.burst.to_string());
    set("x-ratelimit-remaining", allowance.remaining.to_string());
    set("x-ratelimit-reset", format!("{:.3}", now_s + after_s));
    set("x-ratelimit-reset-after", format!("{after_s:.3}"));
    set("x-ratelimit-bucket", format!("nexus-{}", action.name()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_count_as_what_they_do() {
        let action = |method, path| action_of(&method, without_prefix(path));
        let messages = "/api/v10/channels/{channel_id}/messages";
        assert_eq!(action(Method::POST, messages), Some((Action::Send, Scope::Place)));
        assert_eq!(action(Method::GET, messages), None);
        let one = "/api/channels/{channel_id}/messages/{message_id}";
        assert_eq!(action(Method::PATCH, one), Some((Action::Change, Scope::Place)));
        assert_eq!(action(Method::POST, "/api/v9/auth/login"), Some((Action::Login, Scope::Address)));
        assert_eq!(action(Method::GET, "/api/v1/invites/{code}"), Some((Action::Proof, Scope::Address)));
        assert_eq!(action(Method::POST, "/api/v1/invites/{code}"), Some((Action::Join, Scope::User)));
        assert_eq!(action(Method::GET, "/api/v10/users/{user_id}"), None);
        assert_ne!(place_of("/api/v10/channels/1/messages"), place_of("/api/v10/channels/2/messages"));
        assert_eq!(place_of("/api/v9/channels/1/messages/5"), place_of("/api/v10/channels/1/messages"));
    }
}
