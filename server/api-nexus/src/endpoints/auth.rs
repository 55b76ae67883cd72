//! `POST /auth/register`, `/auth/login`, `/auth/refresh`, `/auth/logout`: the contract's own calls.
//!
//! **Shapes**: `{user, access_token, refresh_token, expires_in}`; `expires_in` in seconds.

use axum::{Json, extract::State, http::StatusCode};
use nexus_accounts::{Accounts, LoginRequest, NewAccount, Session, SessionRequest};
use serde_json::{Value, json};

use crate::{auth::Caller, body, error::ApiError, form, objects::Objects};

const NAME_CHARS: usize = 255;
const PASSWORD_CHARS: usize = 512;
const TOKEN_CHARS: usize = 512;

fn session_request() -> SessionRequest {
    SessionRequest { refreshable: true, ..SessionRequest::default() }
}

async fn tokens(objects: &Objects, session: Session) -> Result<Value, ApiError> {
    Ok(json!({
        "user": objects.own_user(session.login.user).await?,
        "access_token": session.access_token,
        "refresh_token": session.refresh_token,
        "expires_in": session.expires_in.map(|life| life.as_secs()),
        "token_type": "Bearer",
    }))
}

pub(crate) async fn register(
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    body::Json(body): body::Json,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let new = form::read(&body, |form| NewAccount {
        username: Some(form.required_text("username", 1..=NAME_CHARS)),
        password: form.required_text("password", 1..=PASSWORD_CHARS),
        email: form.text("email", 3..=320),
        invite: form.text("invite", 1..=NAME_CHARS),
        session: Some(session_request()),
    })?;
    let registered = accounts.register(new).await?;
    let session = registered.session.ok_or(ApiError::Internal)?;
    Ok((StatusCode::CREATED, Json(tokens(&objects, session).await?)))
}

pub(crate) async fn login(
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let request = form::read(&body, |form| LoginRequest {
        login: form.required_text("login", 1..=NAME_CHARS),
        password: form.required_text("password", 1..=PASSWORD_CHARS),
        session: session_request(),
    })?;
    let session = accounts.login(request).await?;
    Ok(Json(tokens(&objects, session).await?))
}

pub(crate) async fn refresh(
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let token = form::read(&body, |form| form.required_text("refresh_token", 1..=TOKEN_CHARS))?;
    let session = accounts.refresh(&token).await?;
    Ok(Json(tokens(&objects, session).await?))
}

pub(crate) async fn logout(State(accounts): State<Accounts>, caller: Caller) -> Result<StatusCode, ApiError> {
    accounts.logout(&caller.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
