//! `GET` and `POST /_matrix/client/v3/login`
//!
//! **Source**: Matrix v1.19, client-server API, "Login". Only `m.login.password` is known.
//! Matrix has no stage for a second factor here: who has one writes its code behind the password.

use axum::{Json, extract::State};
use nexus_accounts::{Accounts, LoginRequest, Session, SessionRequest};
use serde_json::{Map, Value, json};

use crate::{body::Fields, error::ApiError};

const PASSWORD: &str = "m.login.password";

/// How one can log in.
pub(crate) async fn flows() -> Json<Value> {
    Json(json!({ "flows": [{ "type": PASSWORD }] }))
}

/// Starts a session.
pub(crate) async fn login(
    State(accounts): State<Accounts>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    if body.required_string("type")? != PASSWORD {
        return Err(ApiError::unknown_choice("the login type is not known here"));
    }
    let login = named_user(&mut body)?;
    let password = body.required_string("password")?;
    let session = session_request(&mut body)?;
    let session = accounts.login_in_one_step(LoginRequest { login, password, session }).await?;
    Ok(Json(session_fields(&session).into()))
}

/// Whom a body names by `identifier`, or by the `user` of older clients.
pub(crate) fn named_user(body: &mut Fields) -> Result<String, ApiError> {
    let Some(mut identifier) = body.object("identifier")? else { return body.required_string("user") };
    if identifier.required_string("type")? != "m.id.user" {
        return Err(ApiError::unknown_choice("the identifier type is not known here"));
    }
    identifier.required_string("user")
}

/// The session that a registration or login asks for.
pub(crate) fn session_request(body: &mut Fields) -> Result<SessionRequest, ApiError> {
    Ok(SessionRequest {
        device_id: body.string("device_id")?,
        device_name: body.string("initial_device_display_name")?,
        refreshable: body.boolean("refresh_token")?,
    })
}

/// A new session as its client gets it.
pub(crate) fn session_fields(session: &Session) -> Map<String, Value> {
    let mut fields = token_fields(session);
    fields.insert("user_id".to_owned(), session.login.user_id.as_str().into());
    fields.insert("device_id".to_owned(), session.login.device.as_str().into());
    fields
}

/// The tokens of a session.
pub(crate) fn token_fields(session: &Session) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("access_token".to_owned(), session.access_token.as_str().into());
    if let Some(token) = &session.refresh_token {
        fields.insert("refresh_token".to_owned(), token.as_str().into());
    }
    if let Some(life) = session.expires_in {
        fields.insert("expires_in_ms".to_owned(), u64::try_from(life.as_millis()).unwrap_or(u64::MAX).into());
    }
    fields
}
