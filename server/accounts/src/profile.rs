//! What a user shows of itself everywhere: a name and a picture.

use nexus_event_store::{Rows, UserNo, catalogue::UserNumbers, codec::Text, feed::Topic};
use ruma::UserId;

use crate::{
    AccountError, Accounts,
    decide::Decision,
    tables::{AccountRows, ProfileRow, Profiles},
};

const DISPLAY_NAME_BYTES_MAX: usize = 255;
const AVATAR_URL_BYTES_MAX: usize = 1000;

/// A profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The name to show instead of the username.
    pub display_name: Option<String>,
    /// An `mxc://` address.
    pub avatar_url: Option<String>,
}

impl Accounts {
    /// The profile of a user of this server.
    ///
    /// # Errors
    /// [`AccountError::UnknownUser`]; the store's.
    pub async fn profile(&self, user_id: &UserId) -> Result<Profile, AccountError> {
        let user = self.store.row::<UserNumbers>(&Text::from(user_id.as_str())).await?;
        self.profile_of(user.ok_or(AccountError::UnknownUser)?).await
    }

    /// The profile of a user of this server, by number.
    ///
    /// # Errors
    /// [`AccountError::UnknownUser`]; the store's.
    pub async fn profile_of(&self, user: UserNo) -> Result<Profile, AccountError> {
        self.store.row::<AccountRows>(&user).await?.ok_or(AccountError::UnknownUser)?;
        let row = self.store.row::<Profiles>(&user).await?.unwrap_or_default();
        Ok(Profile { display_name: row.display_name, avatar_url: row.avatar_url })
    }

    /// Sets or removes a display name. Member events follow by the rooms' own command.
    ///
    /// # Errors
    /// [`AccountError::FieldTooLong`], [`AccountError::UnknownUser`]; the store's.
    pub async fn set_display_name(&self, user: UserNo, name: Option<String>) -> Result<(), AccountError> {
        check_length("displayname", name.as_deref(), DISPLAY_NAME_BYTES_MAX)?;
        self.change_profile(user, |row| row.display_name.clone_from(&name)).await
    }

    /// Sets or removes an avatar.
    ///
    /// # Errors
    /// [`AccountError::FieldTooLong`], [`AccountError::UnknownUser`]; the store's.
    pub async fn set_avatar_url(&self, user: UserNo, url: Option<String>) -> Result<(), AccountError> {
        check_length("avatar_url", url.as_deref(), AVATAR_URL_BYTES_MAX)?;
        self.change_profile(user, |row| row.avatar_url.clone_from(&url)).await
    }

    async fn change_profile(
        &self,
        user: UserNo,
        change: impl Fn(&mut ProfileRow) + Send + Sync,
    ) -> Result<(), AccountError> {
        let change = &change;
        self.decide(|tx| async move {
            tx.row::<AccountRows>(&user).await?.ok_or(AccountError::UnknownUser)?;
            let mut row = tx.row::<Profiles>(&user).await?.unwrap_or_default();
            change(&mut row);
            tx.put::<Profiles>(&user, &row);
            tx.announce(Topic::User(user));
            Ok(Decision::commit(tx, ()))
        })
        .await
    }
}

fn check_length(field: &'static str, text: Option<&str>, bytes_max: usize) -> Result<(), AccountError> {
    match text {
        Some(text) if text.len() > bytes_max => Err(AccountError::FieldTooLong { field, bytes_max }),
        _ => Ok(()),
    }
}
