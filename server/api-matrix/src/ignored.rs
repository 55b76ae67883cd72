//! Whom a user ignores: their messages and invites are not served; what they change of a room's state is.
//!
//! **Shapes**: account data `m.ignored_user_list`, `{"ignored_users": {"@user:server": {}}}`; anything else
//! ignores nobody.
//! **Source**: Matrix v1.19, client-server API, "Ignoring Users".

use std::collections::BTreeSet;

use nexus_accounts::{AccountError, Accounts};
use nexus_event_store::UserNo;
use nexus_views::Event;
use ruma::UserId;
use serde_json::Value;

/// Users who are not heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignored(BTreeSet<String>);

impl Ignored {
    /// Whom `user` ignores.
    pub(crate) async fn of(accounts: &Accounts, user: UserNo) -> Result<Self, AccountError> {
        let datum = accounts.account_data(user, None, "m.ignored_user_list").await?;
        Ok(datum.map(|content| Self::read(&content)).unwrap_or_default())
    }

    fn read(content: &str) -> Self {
        let content: Value = serde_json::from_str(content).unwrap_or_default();
        let users = content["ignored_users"].as_object().into_iter().flatten();
        Self(users.map(|(user, _)| user.clone()).collect())
    }

    /// Whether `user` is ignored.
    pub(crate) fn has(&self, user: &UserId) -> bool {
        self.0.contains(user.as_str())
    }

    /// Whether an event is not to be served.
    pub(crate) fn hides(&self, event: &Event) -> bool {
        event.pdu.state_key().is_none() && self.has(event.pdu.sender())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_lists_ignore_nobody() {
        for content in ["", "[]", "{}", r#"{"ignored_users":["@a:b"]}"#, r#"{"ignored_users":7}"#] {
            assert!(Ignored::read(content).0.is_empty(), "{content}");
        }
        let list = Ignored::read(r#"{"ignored_users":{"@a:b":{},"@c:d":null}}"#);
        assert!(list.has(<&UserId>::try_from("@a:b").unwrap()));
        assert!(!list.has(<&UserId>::try_from("@x:b").unwrap()));
    }
}
