//! The route table.
//!
//! Everything under `/_matrix` is answered here: what is not in the table is `M_UNRECOGNIZED`, 404 for an
//! unknown path and 405 for a known one with another method. Every reply gets CORS headers, and `OPTIONS`
//! is answered before anything else looks at the request.
//!
//! **Source**: Matrix v1.19, client-server API, "Web browser clients".

use axum::{
    Router,
    http::{
        HeaderName, Method,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
    routing::{any, get, post, put},
};
use tower_http::cors::{Any, CorsLayer};

use crate::{
    api::MatrixApi,
    endpoints::{
        account, account_data, capabilities, create_room, devices, event, filters, login, logout, members,
        membership, messages, profile, redact, refresh, register, send, state, synapse_register, sync,
        threepids, typing, versions, well_known, whoami,
    },
    error::ApiError,
    limits,
};

mod media;
mod rooms;

/// The Matrix API, ready to be merged into a server's router.
pub fn router(api: MatrixApi) -> Router {
    let limits = api.config().limits.clone();
    let routes = Router::new()
        .route("/.well-known/matrix/client", get(well_known::client))
        .route("/_matrix/client/versions", get(versions::get))
        .nest("/_matrix/client/v1", rooms::v1())
        .nest("/_matrix/client/v3", v3())
        // Libraries from before v1.1 say r0 and mean the same.
        .nest("/_matrix/client/r0", v3())
        .route(
            "/_matrix/client/v1/register/m.login.registration_token/validity",
            get(register::token_validity),
        )
        .route("/_synapse/admin/v1/register", get(synapse_register::nonce).post(synapse_register::register));
    limits::limited(routes.merge(media::routes()), &api, &limits)
        .route("/_matrix", any(unrecognized))
        .route("/_matrix/", any(unrecognized))
        .route("/_matrix/{*rest}", any(unrecognized))
        .route("/_synapse/{*rest}", any(unrecognized))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(cors())
        .with_state(api)
}

fn v3() -> Router<MatrixApi> {
    account_routes().merge(user_routes()).merge(room_routes()).merge(rooms::v3())
}

fn account_routes() -> Router<MatrixApi> {
    Router::new()
        .route("/register", post(register::register))
        .route("/register/available", get(register::available))
        .route("/login", get(login::flows).post(login::login))
        .route("/refresh", post(refresh::refresh))
        .route("/logout", post(logout::one))
        .route("/logout/all", post(logout::all))
        .route("/account/whoami", get(whoami::get))
        .route("/account/password", post(account::change_password))
        .route("/account/password/email/requestToken", post(threepids::ask_to_reset))
        .route("/register/email/requestToken", post(threepids::ask_to_register))
        .route("/account/3pid", get(threepids::list).post(threepids::add_without_password))
        .route("/account/3pid/add", post(threepids::add))
        .route("/account/3pid/delete", post(threepids::delete))
        .route("/account/3pid/email/requestToken", post(threepids::ask_to_add))
        .route("/account/deactivate", post(account::deactivate))
        .route("/devices", get(devices::list))
        .route("/devices/{device}", get(devices::get).put(devices::rename).delete(devices::delete))
        .route("/delete_devices", post(devices::delete_several))
        .route("/capabilities", get(capabilities::get))
}

fn user_routes() -> Router<MatrixApi> {
    Router::new()
        .route("/sync", get(sync::get))
        .route("/user/{user}/filter", post(filters::create))
        .route("/user/{user}/filter/{filter}", get(filters::get))
        .route("/user/{user}/account_data/{kind}", get(account_data::get).put(account_data::put))
        .route(
            "/user/{user}/rooms/{room}/account_data/{kind}",
            get(account_data::get_in_room).put(account_data::put_in_room),
        )
        .route("/profile/{user}", get(profile::get))
        .route(
            "/profile/{user}/{key}",
            get(profile::get_field).put(profile::put_field).delete(profile::delete_field),
        )
        .route("/joined_rooms", get(members::joined_rooms))
}

fn room_routes() -> Router<MatrixApi> {
    Router::new()
        .route("/createRoom", post(create_room::post))
        .route("/join/{room}", post(membership::join_by_name))
        .route("/rooms/{room}/join", post(membership::join))
        .route("/rooms/{room}/leave", post(membership::leave))
        .route("/rooms/{room}/invite", post(membership::invite))
        .route("/rooms/{room}/send/{kind}/{txn}", put(send::put))
        .route("/rooms/{room}/redact/{event}/{txn}", put(redact::put))
        .route("/rooms/{room}/state", get(state::list))
        .route("/rooms/{room}/state/{kind}", get(state::get).put(state::put))
        .route("/rooms/{room}/state/{kind}/", get(state::get).put(state::put))
        .route("/rooms/{room}/state/{kind}/{key}", get(state::get).put(state::put))
        .route("/rooms/{room}/event/{event}", get(event::get))
        .route("/rooms/{room}/messages", get(messages::get))
        .route("/rooms/{room}/joined_members", get(members::joined_members))
        .route("/rooms/{room}/members", get(members::members))
        .route("/rooms/{room}/typing/{user}", put(typing::put))
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS])
        .allow_headers([HeaderName::from_static("x-requested-with"), CONTENT_TYPE, AUTHORIZATION])
}

async fn unrecognized() -> ApiError {
    ApiError::unrecognized()
}

async fn method_not_allowed() -> ApiError {
    ApiError::method_not_allowed()
}
