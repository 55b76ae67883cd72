//! What one part asks of another that it must not know: profiles for the rooms, invite codes for the
//! accounts.

use nexus_accounts::{AccountError, Accounts, InviteCheck};
use nexus_event_store::{Store, world::BoxFuture};
use nexus_rooms::{Profile, Profiles, usable_invite};
use ruma::UserId;

/// The accounts' profiles, as member events carry them.
pub(crate) struct AccountProfiles(pub(crate) Accounts);

impl Profiles for AccountProfiles {
    fn profile<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, Profile> {
        Box::pin(async move {
            match self.0.profile(user).await {
                Ok(profile) => Profile { display_name: profile.display_name, avatar_url: profile.avatar_url },
                // A user of another server, or one who is no account: nothing is known.
                Err(AccountError::UnknownUser) => Profile::default(),
                Err(error) => {
                    tracing::warn!(%error, "a profile cannot be read; the member event goes without it");
                    Profile::default()
                }
            }
        })
    }
}

/// The invite codes of guilds, which also let their holder register.
pub(crate) struct InviteCodes(pub(crate) Store);

impl InviteCheck for InviteCodes {
    fn is_valid<'a>(&'a self, code: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            match usable_invite(&self.0, code).await {
                Ok(invite) => invite.is_some(),
                Err(error) => {
                    tracing::warn!(%error, "an invite cannot be read; it does not count");
                    false
                }
            }
        })
    }
}
