//! Accounts as others see them.

use nexus_event_store::{
    Rows, Scan, Snowflake, StoreError, UserNo,
    catalogue::{UserNumbers, UserSnowflakes},
    codec::Text,
};
use ruma::{OwnedUserId, UserId};

use crate::{
    AccountError, Accounts, names,
    tables::{AccountRow, AccountRows},
};

/// An account of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's number.
    pub user: UserNo,
    /// The user id.
    pub user_id: OwnedUserId,
    /// The user's snowflake.
    pub snowflake: Snowflake,
    /// The e-mail address, for its owner's eyes only.
    pub email: Option<String>,
    /// Somebody has shown that mail to the address reaches them.
    pub email_verified: bool,
    /// May administer the server.
    pub admin: bool,
    /// The application whose bot this is.
    pub application: Option<Snowflake>,
    /// Nobody can log in any more.
    pub deactivated: bool,
    /// The user asked that nobody be shown any more what they wrote.
    pub erased: bool,
    /// When it was made.
    pub created_ms: u64,
}

impl Account {
    /// Whether it is a bot's.
    pub fn is_bot(&self) -> bool {
        self.application.is_some()
    }

    /// The name without sigil and server.
    pub fn username(&self) -> &str {
        self.user_id.localpart()
    }

    /// Puts an account together from its rows.
    pub(crate) async fn of_row(rows: &impl Rows, user: UserNo, row: &AccountRow) -> Result<Self, StoreError> {
        Ok(Self {
            user,
            user_id: parse_user_id(&row.user_id)?,
            snowflake: rows.existing::<UserSnowflakes>(&user).await?,
            email: row.email.clone(),
            email_verified: row.email_verified,
            erased: row.erased,
            admin: row.admin,
            application: row.application,
            deactivated: row.deactivated,
            created_ms: row.created_ms,
        })
    }
}

impl Accounts {
    /// The account of a user, if the user is one of this server's.
    ///
    /// # Errors
    /// The store's.
    pub async fn account(&self, user: UserNo) -> Result<Option<Account>, AccountError> {
        match self.store.row::<AccountRows>(&user).await? {
            Some(row) => Ok(Some(Account::of_row(&self.store, user, &row).await?)),
            None => Ok(None),
        }
    }

    /// The account somebody means by a username or a whole user id, in any case.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_by_name(&self, name: &str) -> Result<Option<Account>, AccountError> {
        match names::known_user_id(name, self.server_name()) {
            Some(user_id) => self.account_by_id(&user_id).await,
            None => Ok(None),
        }
    }

    /// The account with a user id.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_by_id(&self, user_id: &UserId) -> Result<Option<Account>, AccountError> {
        match self.store.row::<UserNumbers>(&Text::from(user_id.as_str())).await? {
            Some(user) => self.account(user).await,
            None => Ok(None),
        }
    }

    /// All accounts in the order they became known, at most `limit`, from after `after` on.
    ///
    /// # Errors
    /// The store's.
    pub async fn accounts(&self, after: Option<UserNo>, limit: usize) -> Result<Vec<Account>, AccountError> {
        let mut scan = Scan::prefix::<AccountRows>(&()).limit(limit);
        if let Some(after) = after {
            scan = scan.after::<AccountRows>(&after);
        }
        let mut accounts = Vec::new();
        for (user, row) in self.store.scan::<AccountRows>(scan).await? {
            accounts.push(Account::of_row(&self.store, user, &row).await?);
        }
        Ok(accounts)
    }
}

/// A user id out of a row.
pub(crate) fn parse_user_id(text: &str) -> Result<OwnedUserId, StoreError> {
    // Only user ids were ever written there: anything else is a damaged store.
    UserId::parse(text).map_err(|_| StoreError::Missing { table: "accounts" })
}
