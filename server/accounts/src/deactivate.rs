//! The end of an account: nobody logs in any more, and little is left.
//!
//! Tokens, devices, the address, the second factor, account data and filters go with the account's own decision.
//! The user's rooms are left afterwards by whoever knows rooms; until then the user stands in [`Departures`],
//! so that a restart in between loses nothing. **Invariant**: the account's row stays for ever, so nobody else
//! gets the name.

use nexus_event_store::{Rows, Scan, Tx, UserNo, catalogue::Users, feed::Topic};
use ruma::OwnedUserId;

use crate::{
    AccountError, Accounts,
    account::parse_user_id,
    decide::Decision,
    emails,
    profile_fields::ProfileFields,
    second_factor::SecondFactors,
    sessions::remove_devices,
    tables::{AccountData, AccountRow, AccountRows, Departures, Erased, Filters, Profiles},
};

impl Accounts {
    /// Ends all sessions of a user for good. With `erase` the profile and the password's hash go, too, and
    /// others are no longer shown what the user wrote before they came.
    ///
    /// # Errors
    /// [`AccountError::UnknownUser`]; the store's.
    pub async fn deactivate(&self, user: UserNo, erase: bool) -> Result<(), AccountError> {
        self.decide(|tx| async move {
            let row = tx.row::<AccountRows>(&user).await?.ok_or(AccountError::UnknownUser)?;
            if let Some(email) = &row.email {
                emails::release(&tx, email);
            }
            let erased = row.erased || erase;
            let password = row.password.clone().filter(|_| !erased);
            let row =
                AccountRow { deactivated: true, email: None, email_verified: false, erased, password, ..row };
            tx.put::<AccountRows>(&user, &row);
            if erase {
                tx.put::<Erased>(&user, &());
                tx.delete::<Profiles>(&user);
                let fields = Scan::prefix::<ProfileFields>(&user);
                for (key, _) in self.store.scan::<ProfileFields>(fields).await? {
                    tx.delete::<ProfileFields>(&key);
                }
            }
            tx.delete::<SecondFactors>(&user);
            self.delete_data(&tx, user).await?;
            tx.put::<Departures>(&user, &());
            tx.announce(Topic::User(user));
            let revoked = remove_devices(&tx, user, |_| true).await?;
            Ok(Decision::Commit { tx, value: (), revoked })
        })
        .await
    }

    /// What clients keep here for their user. Nobody writes more of it: the sessions end with this decision.
    async fn delete_data(&self, tx: &Tx, user: UserNo) -> Result<(), AccountError> {
        for (key, _) in self.store.scan::<AccountData>(Scan::prefix::<AccountData>(&user)).await? {
            tx.delete::<AccountData>(&key);
        }
        for (key, _) in self.store.scan::<Filters>(Scan::prefix::<Filters>(&user)).await? {
            tx.delete::<Filters>(&key);
        }
        Ok(())
    }

    /// Users whose words are kept from whoever was not there.
    ///
    /// # Errors
    /// The store's.
    pub async fn erased(&self) -> Result<Vec<OwnedUserId>, AccountError> {
        let mut erased = Vec::new();
        for (user, ()) in self.store.scan::<Erased>(Scan::prefix::<Erased>(&())).await? {
            erased.push(parse_user_id(&self.store.existing::<Users>(&user).await?)?);
        }
        Ok(erased)
    }

    /// Deactivated users who have not left all their rooms yet.
    ///
    /// # Errors
    /// The store's.
    pub async fn departures(&self) -> Result<Vec<UserNo>, AccountError> {
        let rows = self.store.scan::<Departures>(Scan::prefix::<Departures>(&())).await?;
        Ok(rows.into_iter().map(|(user, ())| user).collect())
    }

    /// A deactivated user has left all rooms.
    ///
    /// # Errors
    /// The store's.
    pub async fn departed(&self, user: UserNo) -> Result<(), AccountError> {
        self.decide(|tx| async move {
            tx.delete::<Departures>(&user);
            Ok(Decision::commit(tx, ()))
        })
        .await
    }
}
