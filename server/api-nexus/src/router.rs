//! The route table: every REST call, served alike under four prefixes, and the gateway.
//!
//! **Errors**: a path nobody serves is 404, a method a path does not know 405, both in Discord's shape.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, patch, post, put},
};

use crate::{
    api::NexusApi,
    endpoints::{
        applications, attachments, audit_logs, auth, bans, bulk_delete, channels, directory, gateway_address,
        guild_preview, guilds, invites, join, member_changes, members, messages, mfa, oauth2, overwrites,
        pins, polls, reactions, read_states, roles, rooms, sessions, threads, typing, users,
    },
    error::ApiError,
    gateway, limits,
};

/// Where the REST calls are.
const PREFIXES: [&str; 4] = ["/api/v10", "/api/v9", "/api/v1", "/api"];

/// The Discord-shaped API and its gateway.
pub fn router(api: NexusApi) -> Router {
    let calls = limits::limited(calls(), &api);
    let all = PREFIXES.iter().fold(Router::new(), |all, prefix| all.nest(prefix, calls.clone()));
    // Some libraries connect to the bare host.
    all.route("/", get(gateway::upgrade))
        .route("/gateway", get(gateway::upgrade))
        .route("/gateway/", get(gateway::upgrade))
        .route("/attachments/{channel_id}/{attachment_id}/{file_name}", get(attachments::get))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(api)
}

fn calls() -> Router<NexusApi> {
    Router::new()
        .merge(account_calls())
        .merge(guild_calls())
        .merge(channel_calls())
        .merge(message_calls())
        .merge(thread_calls())
        .merge(pin_calls())
}

fn account_calls() -> Router<NexusApi> {
    Router::new()
        .route("/auth/register", post(auth::register))
        .route("/auth/login", post(auth::login))
        .route("/auth/refresh", post(auth::refresh))
        .route("/auth/logout", post(auth::logout))
        .route("/auth/logout/all", post(auth::logout_all))
        .route("/auth/forgot", post(auth::forgot))
        .route("/auth/reset", post(auth::reset))
        .route("/auth/verify", post(auth::verify))
        .route("/auth/verify/resend", post(auth::resend))
        .route("/auth/mfa/totp", post(auth::login_with_code))
        .route("/auth/sessions", get(sessions::list))
        .route("/auth/sessions/logout", post(sessions::revoke))
        .route("/users/@me/mfa/totp/enable", post(mfa::enable))
        .route("/users/@me/mfa/totp/disable", post(mfa::disable))
        .route("/users/@me/mfa/codes", post(mfa::codes))
        .route("/applications", get(applications::list).post(applications::create))
        .route("/applications/@me", get(applications::own))
        .route("/applications/{application_id}/bot", post(applications::make_bot))
        .route("/oauth2/applications/@me", get(applications::own))
        .route("/oauth2/authorize", post(oauth2::authorize))
        .route("/gateway", get(gateway_address::address))
        .route("/gateway/bot", get(gateway_address::address_for_bot))
        .route("/users/{user_id}", get(users::get).patch(users::patch))
        .route("/users/@me/delete", post(users::delete))
        .route("/users/@me/guilds", get(users::guilds))
        .route("/users/@me/guilds/{guild_id}", delete(users::leave_guild))
}

fn guild_calls() -> Router<NexusApi> {
    Router::new()
        .route("/guilds", post(guilds::create))
        .route("/guilds/join", post(join::join))
        .route("/directory", get(directory::list))
        .route("/guilds/{guild_id}", get(guilds::get).patch(guilds::patch).delete(guilds::delete))
        .route(
            "/guilds/{guild_id}/channels",
            get(guilds::channels).post(guilds::create_channel).patch(overwrites::move_channels),
        )
        .route("/guilds/{guild_id}/members", get(members::list))
        .route("/guilds/{guild_id}/members/search", get(members::search))
        .route(
            "/guilds/{guild_id}/members/{user_id}",
            get(members::get).patch(member_changes::patch).delete(bans::kick),
        )
        .route("/guilds/{guild_id}/members/{user_id}/nick", patch(member_changes::own_nick))
        .route(
            "/guilds/{guild_id}/members/{user_id}/roles/{role_id}",
            put(member_changes::add_role).delete(member_changes::remove_role),
        )
        .route("/guilds/{guild_id}/bans", get(bans::list))
        .route("/guilds/{guild_id}/bans/{user_id}", get(bans::get).put(bans::put).delete(bans::delete))
        .route("/guilds/{guild_id}/bulk-ban", post(bans::bulk))
        .route("/guilds/{guild_id}/prune", get(bans::prune_count).post(bans::prune))
        .route("/guilds/{guild_id}/roles", get(roles::list).post(roles::create).patch(roles::move_many))
        .route("/guilds/{guild_id}/roles/member-counts", get(roles::counts))
        .route(
            "/guilds/{guild_id}/roles/{role_id}",
            get(roles::get).patch(roles::patch).delete(roles::delete),
        )
        .route("/guilds/{guild_id}/preview", get(guild_preview::get))
        .route("/guilds/{guild_id}/audit-logs", get(audit_logs::list))
        .route("/guilds/{guild_id}/threads/active", get(threads::active))
        .route("/guilds/{guild_id}/invites", get(guilds::invites))
        .route("/rooms/{room_id}", get(rooms::get))
}

fn channel_calls() -> Router<NexusApi> {
    Router::new()
        .route("/channels/{channel_id}", get(channels::get).patch(channels::patch).delete(channels::delete))
        .route(
            "/channels/{channel_id}/permissions/{overwrite_id}",
            put(overwrites::put).delete(overwrites::delete),
        )
        .route("/channels/{channel_id}/typing", post(typing::start))
        .route("/channels/{channel_id}/invites", get(invites::list_of_channel).post(invites::create))
        .route("/invites/{code}", get(invites::get).post(invites::accept).delete(invites::delete))
}

fn message_calls() -> Router<NexusApi> {
    const MESSAGE: &str = "/channels/{channel_id}/messages/{message_id}";
    Router::new()
        .route("/attachments/refresh-urls", post(attachments::refresh))
        .route("/channels/{channel_id}/messages", get(messages::list).post(messages::send))
        .route(MESSAGE, get(messages::get).patch(messages::edit).delete(messages::delete))
        .route(&format!("{MESSAGE}/reactions"), delete(reactions::clear))
        .route(&format!("{MESSAGE}/reactions/{{emoji}}"), get(reactions::list).delete(reactions::clear))
        .route(
            &format!("{MESSAGE}/reactions/{{emoji}}/{{user_id}}"),
            put(reactions::add).delete(reactions::remove),
        )
        // Files have their own bound, which the operator sets; everything else is bounded where it is read.
        .layer(DefaultBodyLimit::disable())
}

fn thread_calls() -> Router<NexusApi> {
    const MEMBERS: &str = "/channels/{channel_id}/thread-members";
    const ARCHIVED: &str = "/channels/{channel_id}/threads/archived";
    Router::new()
        .route("/channels/{channel_id}/threads", post(threads::create))
        .route("/channels/{channel_id}/messages/{message_id}/threads", post(threads::create_on_message))
        .route(&format!("{ARCHIVED}/public"), get(threads::archived))
        .route(&format!("{ARCHIVED}/private"), get(threads::archived_private))
        .route("/channels/{channel_id}/users/@me/threads/archived/private", get(threads::archived_private))
        .route(MEMBERS, get(threads::members))
        .route(
            &format!("{MEMBERS}/{{user_id}}"),
            get(threads::member).put(threads::add_member).delete(threads::remove_member),
        )
}

fn pin_calls() -> Router<NexusApi> {
    Router::new()
        .route("/channels/{channel_id}/pins", get(pins::old_list))
        .route("/channels/{channel_id}/pins/{message_id}", put(pins::add).delete(pins::remove))
        .route("/channels/{channel_id}/messages/pins", get(pins::list))
        .route("/channels/{channel_id}/messages/pins/{message_id}", put(pins::add).delete(pins::remove))
        .route("/channels/{channel_id}/polls/{message_id}/answers/@me", put(polls::vote))
        .route("/channels/{channel_id}/polls/{message_id}/answers/{answer_id}", get(polls::voters))
        .route("/channels/{channel_id}/polls/{message_id}/expire", post(polls::expire))
        .route("/channels/{channel_id}/messages/bulk-delete", post(bulk_delete::delete))
        .route("/channels/{channel_id}/messages/{message_id}/ack", post(read_states::ack))
        .route("/read-states/ack-bulk", post(read_states::ack_several))
}

async fn no_such_path() -> ApiError {
    ApiError::NoSuchPath
}

async fn no_such_method() -> ApiError {
    ApiError::NoSuchMethod
}

#[cfg(test)]
mod account_tests;
#[cfg(test)]
mod moderation_tests;
#[cfg(test)]
mod role_tests;
#[cfg(test)]
mod tests;
