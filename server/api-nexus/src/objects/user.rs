//! User objects.
//!
//! A user of this server is known by localpart, another by the whole id: `username` must tell them apart.

use nexus_event_store::{RoomNo, Snowflake, UserNo};
use ruma::OwnedUserId;
use serde_json::{Value, json};

use super::{Built, Objects, or_absent};

/// What only the user sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnFlags {
    pub(crate) has_second_factor: bool,
    /// Not false for want of an address: clients then keep people from what they may do.
    pub(crate) is_verified: bool,
}

/// What a user object shows.
#[derive(Clone, Debug)]
pub(crate) struct UserCard {
    pub(crate) id: Snowflake,
    pub(crate) user_id: OwnedUserId,
    pub(crate) is_local: bool,
    pub(crate) is_bot: bool,
    pub(crate) display_name: Option<String>,
}

impl UserCard {
    /// The object as others see it.
    pub(crate) fn to_json(&self) -> Value {
        let username = if self.is_local { self.user_id.localpart() } else { &self.user_id.as_str()[1..] };
        json!({
            "id": self.id.to_string(),
            "username": username,
            "discriminator": "0",
            "global_name": self.display_name,
            "avatar": null,
            "avatar_decoration_data": null,
            "banner": null,
            "accent_color": null,
            "bot": self.is_bot,
            "system": self.user_id.localpart() == "nexus",
            "public_flags": 0,
            "mxid": self.user_id,
        })
    }

    /// The object as the user itself sees it.
    pub(crate) fn to_own_json(&self, email: Option<String>, private: OwnFlags) -> Value {
        let mut user = self.to_json();
        let own = json!({
            "mfa_enabled": private.has_second_factor,
            "verified": private.is_verified,
            "email": email,
            "locale": "en-US",
            "flags": 0,
            "premium_type": 0,
            "bio": "",
        });
        if let (Value::Object(user), Value::Object(own)) = (&mut user, own) {
            user.extend(own);
        }
        user
    }
}

impl Objects {
    /// A user, with the profile the guild's members see, if the user is in one.
    pub(crate) async fn card(&self, user: UserNo, guild: Option<RoomNo>) -> Built<UserCard> {
        let user_id = self.views.user_id(user).await?;
        let is_local = user_id.server_name() == self.views.server_name();
        let account = if is_local { self.accounts.account(user).await? } else { None };
        let in_guild = match guild {
            Some(guild) => self.views.membership(guild, user).await?,
            None => None,
        };
        let display_name = match in_guild {
            Some(membership) if !is_local => membership.display_name,
            _ if is_local => or_absent(self.accounts.profile_of(user).await)?.and_then(|it| it.display_name),
            _ => self.remote_name(user).await?,
        };
        Ok(UserCard {
            id: self.views.user_snowflake(user).await?,
            is_bot: account.is_some_and(|account| account.is_bot()),
            user_id,
            is_local,
            display_name,
        })
    }

    /// A user of another server shows the name of whichever room is at hand.
    async fn remote_name(&self, user: UserNo) -> Built<Option<String>> {
        let rooms = self.views.rooms_of(user).await?;
        Ok(rooms.into_iter().find_map(|(_, membership)| membership.display_name))
    }

    /// A user object.
    pub(crate) async fn user(&self, user: UserNo, guild: Option<RoomNo>) -> Built {
        Ok(self.card(user, guild).await?.to_json())
    }

    /// The user object of who asks.
    pub(crate) async fn own_user(&self, user: UserNo) -> Built {
        let account = self.accounts.account(user).await?;
        let flags = OwnFlags {
            has_second_factor: self.accounts.has_second_factor(user).await?,
            is_verified: account.as_ref().is_none_or(|it| it.email.is_none() || it.email_verified),
        };
        let email = account.and_then(|account| account.email);
        Ok(self.card(user, None).await?.to_own_json(email, flags))
    }
}
