//! Applications and their bots.
//!
//! An application's id is the snowflake of its bot's user, as bot authors expect; so the user is made
//! together with the application, and can do nothing until the bot is asked for and gets its token.

use nexus_event_store::{Rows, Scan, Snowflake, UserNo};

use crate::{
    Account, AccountError, Accounts, SessionRequest,
    decide::Decision,
    names,
    register::put_account,
    sessions::Holder,
    tables::{
        AccountRow, AccountRows, ApplicationRow, Applications, OwnedApplications, ProfileRow, Profiles,
    },
};

const NAME_BYTES_MAX: usize = 100;

/// The one device of a bot.
const BOT_DEVICE: &str = "BOT";

/// An application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id: the snowflake of its bot's user.
    pub id: Snowflake,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its picture.
    pub icon: Option<String>,
    /// Who made it.
    pub owner: UserNo,
    /// Its bot, once it has one.
    pub bot: Option<UserNo>,
    /// When it was made.
    pub created_ms: u64,
}

/// A bot with a new token: the only moment at which it is known.
#[derive(Clone)]
pub struct Bot {
    /// Its account.
    pub account: Account,
    /// Its token, without `Bot `.
    pub token: String,
}

impl std::fmt::Debug for Bot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bot").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Application {
    fn of_row(id: Snowflake, row: ApplicationRow) -> Self {
        let bot = row.has_bot.then_some(row.bot_user);
        let ApplicationRow { name, description, icon, owner, created_ms, .. } = row;
        Self { id, name, description, icon, owner, bot, created_ms }
    }
}

impl Accounts {
    /// Makes an application, without a bot.
    ///
    /// # Errors
    /// [`AccountError::FieldEmpty`] and [`AccountError::FieldTooLong`] for its name,
    /// [`AccountError::UnknownUser`] for its owner; the store's.
    pub async fn create_application(&self, owner: UserNo, name: &str) -> Result<Application, AccountError> {
        let name = name.trim();
        if name.is_empty() {
            return Err(AccountError::FieldEmpty { field: "name" });
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(AccountError::FieldTooLong { field: "name", bytes_max: NAME_BYTES_MAX });
        }
        self.decide(|tx| async move {
            tx.row::<AccountRows>(&owner).await?.ok_or(AccountError::UnknownUser)?;
            let bot_name = format!("{}-{:08x}", names::slug(name), self.store.world().random_u64() >> 32);
            let user_id = names::new_user_id(&bot_name, self.server_name())?;
            self.check_free(&tx, &user_id).await?;
            let created_ms = self.now_ms();
            let mut row = AccountRow { user_id: user_id.to_string(), created_ms, ..AccountRow::default() };
            let account = put_account(&tx, &row).await?;
            row.application = Some(account.snowflake);
            tx.put::<AccountRows>(&account.user, &row);
            let profile = ProfileRow { display_name: Some(name.to_owned()), avatar_url: None };
            tx.put::<Profiles>(&account.user, &profile);
            let application = ApplicationRow {
                name: name.to_owned(),
                description: String::new(),
                icon: None,
                owner,
                bot_user: account.user,
                has_bot: false,
                created_ms,
            };
            tx.put::<Applications>(&account.snowflake, &application);
            tx.put::<OwnedApplications>(&(owner, account.snowflake), &());
            Ok(Decision::commit(tx, Application::of_row(account.snowflake, application)))
        })
        .await
    }

    /// Gives an application's bot a new token; the one before, if any, is revoked.
    ///
    /// # Errors
    /// [`AccountError::UnknownApplication`], [`AccountError::NotYours`]; the store's.
    pub async fn create_bot(&self, owner: UserNo, id: Snowflake) -> Result<Bot, AccountError> {
        let request = SessionRequest { device_id: Some(BOT_DEVICE.to_owned()), ..SessionRequest::default() };
        let request = &request;
        self.decide(|tx| async move {
            let row = tx.row::<Applications>(&id).await?.ok_or(AccountError::UnknownApplication(id))?;
            if row.owner != owner {
                return Err(AccountError::NotYours(id));
            }
            let user = row.bot_user;
            let account = Account::of_row(&tx, user, &tx.existing::<AccountRows>(&user).await?).await?;
            if account.deactivated {
                return Err(AccountError::Deactivated);
            }
            tx.put::<Applications>(&id, &ApplicationRow { has_bot: true, ..row });
            let holder = Holder { user, user_id: account.user_id.clone(), bot: Some(id) };
            let (session, revoked) = self.start_session(&tx, &holder, request).await?;
            Ok(Decision::Commit { tx, value: Bot { account, token: session.access_token }, revoked })
        })
        .await
    }

    /// An application.
    ///
    /// # Errors
    /// The store's.
    pub async fn application(&self, id: Snowflake) -> Result<Option<Application>, AccountError> {
        Ok(self.store.row::<Applications>(&id).await?.map(|row| Application::of_row(id, row)))
    }

    /// The application whose bot a user is.
    ///
    /// # Errors
    /// The store's.
    pub async fn application_of_bot(&self, user: UserNo) -> Result<Option<Application>, AccountError> {
        match self.store.row::<AccountRows>(&user).await?.and_then(|row| row.application) {
            Some(id) => self.application(id).await,
            None => Ok(None),
        }
    }

    /// The applications a user has made, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn applications_of(&self, owner: UserNo) -> Result<Vec<Application>, AccountError> {
        let mut applications = Vec::new();
        let owned = Scan::prefix::<OwnedApplications>(&owner);
        for ((_, id), ()) in self.store.scan::<OwnedApplications>(owned).await? {
            applications.extend(self.application(id).await?);
        }
        Ok(applications)
    }
}
