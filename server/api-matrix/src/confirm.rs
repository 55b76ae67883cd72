//! Confirming something that matters with one's password: the user-interactive flow of a logged-in user.
//!
//! **Errors**: the challenge while the stage is not passed; 403 `M_FORBIDDEN` for another user's password.

use nexus_accounts::{AccountError, Accounts, Login};

use crate::{
    body::Fields,
    endpoints::login::named_user,
    error::ApiError,
    uia::{Attempt, Failure, Operation, Passed, Request, Step, UiaSessions},
};

/// The stage that takes a password.
pub(crate) const PASSWORD: &str = "m.login.password";

/// Lets a request through once its sender has given the password for it. `body` is without its `auth`.
pub(crate) async fn confirm(
    accounts: &Accounts,
    sessions: &UiaSessions,
    login: &Login,
    operation: Operation,
    body: &Fields,
    auth: Option<Fields>,
) -> Result<Passed, ApiError> {
    let request = Request::new(operation, vec![vec![PASSWORD]], body);
    match sessions.attempt(&request, auth)? {
        Step::Passed(passed) => Ok(passed),
        Step::Try(attempt) => check_password(accounts, sessions, login, &request, attempt).await,
    }
}

/// Runs the password stage: it must be the password of the one who asks.
pub(crate) async fn check_password(
    accounts: &Accounts,
    sessions: &UiaSessions,
    login: &Login,
    request: &Request,
    mut attempt: Attempt,
) -> Result<Passed, ApiError> {
    let named = named_user(&mut attempt.fields)?;
    let password = attempt.fields.required_string("password")?;
    let account = accounts.account_by_name(&named).await?;
    if account.is_some_and(|account| account.user != login.user) {
        return Err(ApiError::forbidden("this takes your own password, not another user's"));
    }
    match accounts.check_password(login.user, &password).await {
        Ok(()) => sessions.pass(request, attempt, None),
        Err(AccountError::WrongPassword) => {
            let failure = Failure { errcode: "M_FORBIDDEN", message: "wrong username or password" };
            Err(sessions.refuse(request, attempt, failure))
        }
        Err(error) => Err(error.into()),
    }
}
