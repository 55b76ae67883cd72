//! E-mail addresses: `GET` and `POST /account/3pid`, `/account/3pid/add`, `/account/3pid/delete`, and
//! `/register/email/requestToken`, `/account/password/email/requestToken`, `/account/3pid/email/requestToken`.
//!
//! An account has one address. The mails lead to this server's own page, which confirms them. Whether an address is
//! known here is not told: its owner gets another mail instead. Identity servers are not spoken to, so binding is
//! not offered. **Source**: Matrix v1.19, client-server API, "Adding Account Administrative Contact Information".

use std::sync::Arc;

use axum::{Json, extract::State};
use nexus_accounts::{Accounts, ProofRequest, Purpose};
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    body::Fields,
    confirm::{confirm, proof_key},
    error::ApiError,
    uia::{Operation, UiaSessions},
};

/// A secret has at most so many characters.
const SECRET_CHARS_MAX: usize = 255;

/// The user's address, once it is confirmed.
pub(crate) async fn list(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
) -> Result<Json<Value>, ApiError> {
    let account = accounts.account(login.user).await?;
    let verified = account.filter(|account| account.email_verified);
    let threepids: Vec<Value> = verified
        .and_then(|account| Some((account.email?, account.created_ms)))
        .map(|(address, at)| json!({ "medium": "email", "address": address, "validated_at": at, "added_at": at }))
        .into_iter()
        .collect();
    Ok(Json(json!({ "threepids": threepids })))
}

/// Adds an address that was proven, after the password.
pub(crate) async fn add(
    State(accounts): State<Accounts>,
    State(sessions): State<Arc<UiaSessions>>,
    Auth(login): Auth,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let auth = body.object("auth")?;
    let passed =
        confirm(&accounts, &sessions, &login, Operation::AddAddress(login.user), &body, auth).await?;
    accounts.add_address(login.user, &proof_key(&mut body)?).await?;
    sessions.finish(passed);
    Ok(Json(json!({})))
}

/// The older way to add an address. The proof was asked for with a secret that only this client knows.
pub(crate) async fn add_without_password(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let credentials = match body.object("three_pid_creds")? {
        Some(credentials) => Some(credentials),
        None => body.object("threePidCreds")?,
    };
    let mut credentials = credentials.ok_or_else(|| ApiError::missing_param("three_pid_creds"))?;
    accounts.add_address(login.user, &proof_key(&mut credentials)?).await?;
    Ok(Json(json!({})))
}

/// Removes an address.
pub(crate) async fn delete(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let medium = body.required_string("medium")?;
    let address = body.required_string("address")?;
    if medium != "email" || !accounts.remove_address(login.user, &address).await? {
        return Err(ApiError::not_found("the account has no such address"));
    }
    Ok(Json(json!({ "id_server_unbind_result": "no-support" })))
}

/// Mails a link to confirm the address of a new account.
pub(crate) async fn ask_to_register(
    State(accounts): State<Accounts>,
    body: Fields,
) -> Result<Json<Value>, ApiError> {
    ask(&accounts, Purpose::Register, body).await
}

/// Mails a link to confirm that one wants a new password.
pub(crate) async fn ask_to_reset(
    State(accounts): State<Accounts>,
    body: Fields,
) -> Result<Json<Value>, ApiError> {
    ask(&accounts, Purpose::ConfirmReset, body).await
}

/// Mails a link to confirm another address.
pub(crate) async fn ask_to_add(
    State(accounts): State<Accounts>,
    body: Fields,
) -> Result<Json<Value>, ApiError> {
    ask(&accounts, Purpose::AddAddress, body).await
}

/// `next_link` is for links that confirm when they are opened; ours ask first, and stay on their page.
async fn ask(accounts: &Accounts, purpose: Purpose, mut body: Fields) -> Result<Json<Value>, ApiError> {
    let secret = body.required_string("client_secret")?;
    let is_secret = |c: char| c.is_ascii_alphanumeric() || ".=_-".contains(c);
    if !(1..=SECRET_CHARS_MAX).contains(&secret.len()) || !secret.chars().all(is_secret) {
        return Err(ApiError::invalid_param("client_secret must be 1 to 255 of A-Z a-z 0-9 . = _ -"));
    }
    let address = body.required_string("email")?;
    let attempt = body.natural("send_attempt")?.ok_or_else(|| ApiError::missing_param("send_attempt"))?;
    let request = ProofRequest { purpose, address, secret, send_attempt: attempt };
    Ok(Json(json!({ "sid": accounts.ask_for_proof(request).await? })))
}
