//! Confirming something that matters with one's password: the user-interactive flow of a logged-in user.
//!
//! **Errors**: the challenge while the stage is not passed; 403 `M_FORBIDDEN` for another user's password.

use nexus_accounts::{AccountError, Accounts, Login, ProofKey, Purpose};

use crate::{
    body::Fields,
    endpoints::login::named_user,
    error::ApiError,
    uia::{Attempt, Failure, Note, Operation, Passed, Request, Step, UiaSessions},
};

/// The stage that takes a password.
pub(crate) const PASSWORD: &str = "m.login.password";

/// The stage that takes the proof of an e-mail address.
pub(crate) const EMAIL: &str = "m.login.email.identity";

/// Runs the stage of an e-mail address: its proof must be there, for this purpose.
pub(crate) async fn pass_email(
    accounts: &Accounts,
    sessions: &UiaSessions,
    request: &Request,
    mut attempt: Attempt,
    purpose: Purpose,
) -> Result<Passed, ApiError> {
    let credentials = match attempt.fields.object("threepid_creds")? {
        Some(credentials) => Some(credentials),
        // As clients from before r0.6 spell it.
        None => attempt.fields.object("threepidCreds")?,
    };
    let mut credentials = credentials.ok_or_else(|| ApiError::missing_param("threepid_creds"))?;
    let proof = proof_key(&mut credentials)?;
    if !accounts.is_proven(&proof, purpose).await? {
        let failure = Failure { errcode: "M_UNAUTHORIZED", message: "the address is not confirmed yet" };
        return Err(sessions.refuse(request, attempt, failure));
    }
    sessions.pass(request, attempt, Some(Note::Address(proof)))
}

/// The id and secret of a proof.
pub(crate) fn proof_key(fields: &mut Fields) -> Result<ProofKey, ApiError> {
    Ok(ProofKey { sid: fields.required_string("sid")?, secret: fields.required_string("client_secret")? })
}

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
