//! Users: `GET /users?after=&limit=`, `POST /users`, `GET /users/{name}` and what can be done to one.
//!
//! **Shapes**: a user is `{name, user_id, id, number, admin, bot, deactivated, email, created_ms}`, one alone
//! has `devices`, too. A page's `next` goes into `after`. A `{name}` is a username or a whole user id.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use nexus_accounts::{Account, NewAccount, PasswordChange};
use nexus_event_store::UserNo;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminParts;
use crate::Refusal;

const PAGE_MAX: usize = 1000;

type Reply = Result<Json<Value>, Refusal>;

#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn list(State(parts): State<AdminParts>, Query(page): Query<Page>) -> Reply {
    let limit = page.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let found = parts.accounts.accounts(page.after.map(UserNo), limit).await?;
    let next = found.last().filter(|_| found.len() == limit).map(|last| last.user.0);
    Ok(Json(json!({ "users": found.iter().map(user_json).collect::<Vec<_>>(), "next": next })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    name: String,
    password: String,
    email: Option<String>,
    #[serde(default)]
    admin: bool,
}

pub(super) async fn create(State(parts): State<AdminParts>, Json(body): Json<Creation>) -> Reply {
    let new = NewAccount {
        username: Some(body.name),
        password: body.password,
        email: body.email,
        email_proof: None,
        invite: None,
        session: None,
    };
    let account = parts.accounts.create_account(new, body.admin).await?.account;
    Ok(Json(user_json(&account)))
}

pub(super) async fn show(State(parts): State<AdminParts>, Path(name): Path<String>) -> Reply {
    let account = find(&parts, &name).await?;
    let mut user = user_json(&account);
    let devices: Vec<Value> = parts
        .accounts
        .devices(account.user)
        .await?
        .into_iter()
        .map(
            |device| json!({ "id": device.id, "name": device.display_name, "created_ms": device.created_ms, "last_used_ms": device.last_used_ms }),
        )
        .collect();
    user["devices"] = devices.into();
    user["second_factor"] = parts.accounts.has_second_factor(account.user).await?.into();
    Ok(Json(user))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    password: String,
    #[serde(default)]
    keep_sessions: bool,
}

pub(super) async fn reset_password(
    State(parts): State<AdminParts>,
    Path(name): Path<String>,
    Json(body): Json<NewPassword>,
) -> Reply {
    let account = find(&parts, &name).await?;
    let change =
        PasswordChange { password: body.password, keep_device: None, logout_others: !body.keep_sessions };
    parts.accounts.change_password(account.user, change).await?;
    Ok(Json(json!({ "user_id": account.user_id, "sessions_revoked": !body.keep_sessions })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deactivation {
    #[serde(default)]
    erase: bool,
}

pub(super) async fn deactivate(
    State(parts): State<AdminParts>,
    Path(name): Path<String>,
    Json(body): Json<Deactivation>,
) -> Reply {
    let account = find(&parts, &name).await?;
    if let Some(guild) = parts.views.owned_guilds(account.user).await?.first() {
        let id = guild.id;
        let message = format!("{name} owns the guild {} ({id}), which must be handed over first", guild.name);
        return Err(Refusal::conflict(message));
    }
    parts.accounts.deactivate(account.user, body.erase).await?;
    if body.erase {
        parts.views.hide_from_newcomers([account.user_id.clone()]);
    }
    shown(&parts, &account).await
}

pub(super) async fn remove_second_factor(State(parts): State<AdminParts>, Path(name): Path<String>) -> Reply {
    let account = find(&parts, &name).await?;
    let removed = parts.accounts.remove_second_factor(account.user).await?;
    Ok(Json(json!({ "user_id": account.user_id, "removed": removed })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reactivation {
    password: String,
}

pub(super) async fn reactivate(
    State(parts): State<AdminParts>,
    Path(name): Path<String>,
    Json(body): Json<Reactivation>,
) -> Reply {
    let account = find(&parts, &name).await?;
    parts.accounts.reactivate(account.user, &body.password).await?;
    shown(&parts, &account).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    admin: bool,
}

pub(super) async fn set_admin(
    State(parts): State<AdminParts>,
    Path(name): Path<String>,
    Json(body): Json<Admin>,
) -> Reply {
    let account = find(&parts, &name).await?;
    parts.accounts.set_admin(account.user, body.admin).await?;
    shown(&parts, &account).await
}

pub(super) async fn revoke_sessions(State(parts): State<AdminParts>, Path(name): Path<String>) -> Reply {
    let account = find(&parts, &name).await?;
    if account.is_bot() {
        return Err(Refusal::bad_request(
            "a bot has no sessions to revoke; its owner can make a new token, or deactivate it",
        ));
    }
    let count = parts.accounts.devices(account.user).await?.len();
    parts.accounts.logout_all(account.user).await?;
    Ok(Json(json!({ "user_id": account.user_id, "revoked": count })))
}

pub(super) async fn find(parts: &AdminParts, name: &str) -> Result<Account, Refusal> {
    let found = parts.accounts.account_by_name(name).await?;
    found.ok_or_else(|| Refusal::not_found(format!("{name}: no such user")))
}

async fn shown(parts: &AdminParts, account: &Account) -> Reply {
    let now = parts.accounts.account(account.user).await?;
    Ok(Json(user_json(now.as_ref().unwrap_or(account))))
}

fn user_json(account: &Account) -> Value {
    json!({
        "name": account.username(),
        "user_id": account.user_id,
        "id": account.snowflake.to_string(),
        "number": account.user.0,
        "admin": account.admin,
        "bot": account.is_bot(),
        "deactivated": account.deactivated,
        "email": account.email,
        "email_verified": account.email_verified,
        "erased": account.erased,
        "created_ms": account.created_ms,
    })
}
