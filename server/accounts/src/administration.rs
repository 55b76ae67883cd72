//! What an administrator does to accounts: making them, reviving them, naming administrators.
//!
//! Nothing here asks who calls: whoever lets a call through has checked that it is an administrator's.

use nexus_event_store::{Rows, UserNo};

use crate::{
    AccountError, Accounts, NewAccount, Registered,
    decide::Decision,
    emails, names,
    tables::{AccountRow, AccountRows, FirstAccount},
};

impl Accounts {
    /// Makes an account whatever the registration mode says. The first account ever made is an
    /// administrator's in any case.
    ///
    /// # Errors
    /// What is wrong with the name, the password or the address; the store's.
    pub async fn create_account(&self, new: NewAccount, admin: bool) -> Result<Registered, AccountError> {
        let name = new.username.as_deref().ok_or(AccountError::FieldEmpty { field: "username" })?;
        let user_id = &names::new_user_id(name, self.server_name())?;
        let email = &new.email.as_deref().map(emails::key).transpose()?;
        self.inner.passwords.check(&new.password)?;
        self.check_free(&self.store, user_id).await?;
        let password = &self.inner.passwords.hash(self.store.world(), &new.password).await?;
        let new = &new;
        self.decide(|tx| async move {
            let first = tx.row::<FirstAccount>(&()).await?.is_none();
            self.check_free(&tx, user_id).await?;
            let row = self.new_row(user_id, new, password, admin || first);
            self.put_newcomer(tx, row, email.as_ref(), new.session.as_ref(), first).await
        })
        .await
    }

    /// Lets a deactivated account log in again, with a new password.
    ///
    /// # Errors
    /// [`AccountError::UnknownUser`] (also for bots), [`AccountError::WeakPassword`]; the store's.
    pub async fn reactivate(&self, user: UserNo, password: &str) -> Result<(), AccountError> {
        let hash = &self.inner.passwords.hash(self.store.world(), password).await?;
        self.decide(|tx| async move {
            let row = tx.row::<AccountRows>(&user).await?.filter(|row| row.application.is_none());
            let row = row.ok_or(AccountError::UnknownUser)?;
            tx.put::<AccountRows>(
                &user,
                &AccountRow { deactivated: false, password: Some(hash.clone()), ..row },
            );
            Ok(Decision::commit(tx, ()))
        })
        .await
    }

    /// Makes somebody an administrator, or no longer one.
    ///
    /// # Errors
    /// [`AccountError::UnknownUser`] (also for bots); the store's.
    pub async fn set_admin(&self, user: UserNo, admin: bool) -> Result<(), AccountError> {
        self.decide(|tx| async move {
            let row = tx.row::<AccountRows>(&user).await?.filter(|row| row.application.is_none());
            let row = row.ok_or(AccountError::UnknownUser)?;
            tx.put::<AccountRows>(&user, &AccountRow { admin, ..row });
            Ok(Decision::commit(tx, ()))
        })
        .await
    }
}
