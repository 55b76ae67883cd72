//! `POST /auth/register`, `/auth/login`, `/auth/mfa/totp`, `/auth/refresh`, `/auth/logout`, `/auth/logout/all`:
//! the contract's own calls, and Discord's second step of a login.
//!
//! **Shapes**: `{user, access_token, refresh_token, expires_in}`; `expires_in` in seconds.

use axum::{Json, extract::State, http::StatusCode};
use nexus_accounts::{Account, AccountError, Accounts, LoginRequest, NewAccount, Session, SessionRequest};
use serde_json::{Value, json};

use crate::{auth::Caller, body, error::ApiError, form, objects::Objects};

const NAME_CHARS: usize = 255;
pub(crate) const PASSWORD_CHARS: usize = 1024;
const TOKEN_CHARS: usize = 512;
const CODE_CHARS: usize = 32;

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
        email_proof: None,
        invite: form.text("invite", 1..=NAME_CHARS),
        session: Some(session_request()),
    })?;
    let registered = accounts.register(new).await?;
    ask_to_verify(&accounts, &registered.account).await;
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
    match accounts.login(request).await {
        Ok(session) => Ok(Json(tokens(&objects, session).await?)),
        // The password was right; the answer is Discord's to a login that needs a second step.
        Err(AccountError::SecondFactorRequired { ticket }) => Ok(Json(json!({
            "mfa": true,
            "totp": true,
            "sms": false,
            "backup": true,
            "ticket": ticket.0,
            "access_token": null,
        }))),
        Err(error) => Err(error.into()),
    }
}

/// The account is made; that its address is not confirmed yet is told by `verified`.
async fn ask_to_verify(accounts: &Accounts, account: &Account) {
    if let Some(email) = account.email.as_deref().filter(|_| accounts.sends_mail())
        && let Err(error) = accounts.ask_to_verify(account.user, email).await
    {
        tracing::info!(%error, "a new account's address could not be asked for confirmation");
    }
}

/// Mails whoever has forgotten the password a link. The answer does not tell whether there is such an account.
pub(crate) async fn forgot(
    State(accounts): State<Accounts>,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    let login = form::read(&body, |form| form.required_text("login", 1..=NAME_CHARS))?;
    accounts.forgot_password(&login).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets a new password with the token of that link; one logs in with it afterwards.
pub(crate) async fn reset(
    State(accounts): State<Accounts>,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    let (token, password) = form::read(&body, |form| {
        (form.required_text("token", 1..=TOKEN_CHARS), form.required_text("password", 1..=PASSWORD_CHARS))
    })?;
    accounts.reset_password(&token, &password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirms an address with the token of a link.
pub(crate) async fn verify(
    State(accounts): State<Accounts>,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    let token = form::read(&body, |form| form.required_text("token", 1..=TOKEN_CHARS))?;
    accounts.confirm_mail(&token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mails the caller another link to confirm the address with.
pub(crate) async fn resend(State(accounts): State<Accounts>, caller: Caller) -> Result<StatusCode, ApiError> {
    caller.no_bots()?;
    let account = accounts.account(caller.user()).await?.ok_or(ApiError::Internal)?;
    if let Some(email) = account.email.filter(|_| !account.email_verified) {
        if !accounts.sends_mail() {
            return Err(AccountError::NoMail.into());
        }
        accounts.ask_to_verify(caller.user(), &email).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The second step of a login: a code of the app, or a recovery code.
pub(crate) async fn login_with_code(
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let (ticket, code) = form::read(&body, |form| {
        (form.required_text("ticket", 1..=TOKEN_CHARS), form.required_text("code", 1..=CODE_CHARS))
    })?;
    let session = accounts.login_with_ticket(&ticket, &code).await?;
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

/// Ends every session of the caller, this one too.
pub(crate) async fn logout_all(
    State(accounts): State<Accounts>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    caller.no_bots()?;
    accounts.logout_all(caller.user()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn logout(State(accounts): State<Accounts>, caller: Caller) -> Result<StatusCode, ApiError> {
    accounts.logout(&caller.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
