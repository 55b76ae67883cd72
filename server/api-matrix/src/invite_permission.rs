//! Who takes no invites: `m.invite_permission_config` of the one who is invited.
//!
//! **Errors**: 403 `M_INVITE_BLOCKED`.
//! **Source**: Matrix v1.18, client-server API, "Invite permission".

use nexus_accounts::Accounts;
use ruma::UserId;
use serde_json::Value;

use crate::error::ApiError;

/// Refuses to invite a user of this server who takes no invites.
pub(crate) async fn check(accounts: &Accounts, target: &UserId) -> Result<(), ApiError> {
    let Some(account) = accounts.account_by_id(target).await? else { return Ok(()) };
    let config = accounts.account_data(account.user, None, "m.invite_permission_config").await?;
    let config: Value = config.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    if config["default_action"] == "block" { Err(ApiError::invite_blocked()) } else { Ok(()) }
}
