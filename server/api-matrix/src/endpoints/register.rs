//! `POST /_matrix/client/v3/register` and `GET /register/available`
//!
//! What registering takes (nothing, an invite code, the setup token) becomes a flow of one stage:
//! `m.login.dummy`, or `m.login.registration_token` with the code as its token.
//!
//! **Source**: Matrix v1.19, client-server API, "Account registration", "Token-authenticated registration".

use std::sync::Arc;

use axum::{Json, extract::State};
use nexus_accounts::{AccountError, Accounts, NewAccount, ProofKey, Purpose, Requirement};
use serde::Deserialize;
use serde_json::{Value, json};

use super::login::{session_fields, session_request};
use crate::{
    body::Fields,
    confirm::{EMAIL, pass_email},
    error::ApiError,
    query::Params,
    uia::{Failure, Note, Operation, Passed, Request, Step, UiaSessions},
};

const DUMMY: &str = "m.login.dummy";
const TOKEN: &str = "m.login.registration_token";

/// The query of a registration.
#[derive(Deserialize)]
pub(crate) struct Kind {
    kind: Option<String>,
}

/// Makes an account.
pub(crate) async fn register(
    State(accounts): State<Accounts>,
    State(sessions): State<Arc<UiaSessions>>,
    Params(Kind { kind }): Params<Kind>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    match kind.as_deref() {
        None | Some("user") => {}
        Some("guest") => return Err(ApiError::guests_forbidden()),
        Some(_) => return Err(ApiError::invalid_param("kind must be user or guest")),
    }
    let auth = body.object("auth")?;
    let asked = body.clone();
    let username = body.string("username")?;
    let password = body.string("password")?;
    let inhibit_login = body.boolean("inhibit_login")?;
    let session = session_request(&mut body)?;
    if let Some(username) = &username {
        accounts.check_username(username).await?;
    }
    let (passed, invite, email_proof) = pass_stages(&accounts, &sessions, &asked, auth).await?;
    let password = password.ok_or_else(|| ApiError::missing_param("password"))?;
    let session = (!inhibit_login).then_some(session);
    let registered = accounts
        .register(NewAccount { username, password, email: None, email_proof, invite, session })
        .await?;
    sessions.finish(passed);
    Ok(Json(match &registered.session {
        Some(session) => session_fields(session).into(),
        None => json!({ "user_id": registered.account.user_id }),
    }))
}

/// Runs a stage; gives the invite code or token that was needed, and the proof of an address.
async fn pass_stages(
    accounts: &Accounts,
    sessions: &UiaSessions,
    body: &Fields,
    auth: Option<Fields>,
) -> Result<(Passed, Option<String>, Option<ProofKey>), ApiError> {
    let flow = match accounts.requirement().await? {
        Requirement::Nothing => vec![DUMMY],
        Requirement::Invite | Requirement::SetupToken => vec![TOKEN],
        Requirement::Closed => return Err(AccountError::RegistrationClosed.into()),
    };
    let mut flows = vec![flow];
    if accounts.sends_mail() {
        // An address is not asked for, but whoever confirms one on the way has it from the beginning.
        let with_address: Vec<&str> = flows[0].iter().copied().filter(|stage| *stage != DUMMY).collect();
        flows.push(with_address.into_iter().chain([EMAIL]).collect());
    }
    let request = Request::new(Operation::Register, flows, body);
    let passed = match sessions.attempt(&request, auth)? {
        Step::Passed(passed) => passed,
        Step::Try(mut attempt) if attempt.stage == TOKEN => {
            let token = attempt.fields.required_string("token")?;
            if !accounts.is_valid_invite(&token).await? {
                let failure = Failure { errcode: "M_UNAUTHORIZED", message: "the token is not valid" };
                return Err(sessions.refuse(&request, attempt, failure));
            }
            sessions.pass(&request, attempt, Some(Note::Token(token)))?
        }
        Step::Try(attempt) if attempt.stage == EMAIL => {
            pass_email(accounts, sessions, &request, attempt, Purpose::Register).await?
        }
        Step::Try(attempt) => sessions.pass(&request, attempt, None)?,
    };
    let token = passed.notes.iter().find_map(|note| match note {
        Note::Token(token) => Some(token.clone()),
        Note::Address(_) => None,
    });
    let proof = passed.address();
    Ok((passed, token, proof))
}

/// The query of a token check.
#[derive(Deserialize)]
pub(crate) struct Token {
    token: Option<String>,
}

/// Whether somebody could register with a token at present.
pub(crate) async fn token_validity(
    State(accounts): State<Accounts>,
    Params(Token { token }): Params<Token>,
) -> Result<Json<Value>, ApiError> {
    let token = token.ok_or_else(|| ApiError::missing_param("token"))?;
    let valid = match accounts.requirement().await? {
        Requirement::Invite | Requirement::SetupToken => accounts.is_valid_invite(&token).await?,
        Requirement::Nothing | Requirement::Closed => false,
    };
    Ok(Json(json!({ "valid": valid })))
}

/// The query of an availability check.
#[derive(Deserialize)]
pub(crate) struct Username {
    username: Option<String>,
}

/// Whether a username is free.
pub(crate) async fn available(
    State(accounts): State<Accounts>,
    Params(Username { username }): Params<Username>,
) -> Result<Json<Value>, ApiError> {
    let username = username.ok_or_else(|| ApiError::missing_param("username"))?;
    accounts.check_username(&username).await?;
    Ok(Json(json!({ "available": true })))
}
