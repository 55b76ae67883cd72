//! `nexus admin …`: asks the running server through its socket and shows the answer.
//!
//! **Shapes**: with `--json` one JSON value as the server gave it, else a table or a sentence. **Errors**: the
//! server's refusals are [`Refused`] (exit code 1); no server, no configuration: exit code 2.

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use nexus_admin::{Client, ClientError};
use nexus_maintenance::backup::Manifest;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::{
    cli::{
        AdminArguments, AdminCommand, BackupArguments, MediaCommand, RoomsCommand, TokensCommand,
        UsersCommand,
    },
    config,
    maintenance::{bar, describe},
};

pub(crate) mod jobs;
mod show;

/// The server was asked and said no, or failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

/// The client of the server that a configuration is of.
pub(crate) fn client(config_file: &Path) -> Result<Client> {
    let config = config::load(config_file, std::env::vars_os())?.config;
    Ok(Client::new(&config.data_dir))
}

/// Tells a refusal from a call that could not be made.
pub(crate) fn outcome<T>(result: Result<T, ClientError>) -> Result<T> {
    result.map_err(|error| match error {
        ClientError::Refused(_) | ClientError::Failed(_) | ClientError::Broken(_) => {
            Refused(error.to_string()).into()
        }
        ClientError::NotRunning(_) | ClientError::Connect { .. } => error.into(),
    })
}

/// `nexus admin`.
pub(crate) fn run(config_file: &Path, arguments: &AdminArguments) -> Result<()> {
    let client = client(config_file)?;
    let runtime = Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let (answer, text) = runtime.block_on(async {
        match &arguments.command {
            AdminCommand::Users(command) => users(&client, command).await,
            AdminCommand::Media(command) => media(&client, command).await,
            AdminCommand::Tokens(command) => tokens(&client, command).await,
            AdminCommand::Rooms(command) => rooms(&client, command).await,
        }
    })?;
    let text = if arguments.json { answer.to_string() } else { text };
    writeln!(std::io::stdout(), "{text}").context("write to standard output")
}

/// `nexus backup create DIR`.
pub(crate) fn create_backup(config_file: &Path, arguments: &BackupArguments) -> Result<()> {
    let client = client(config_file)?;
    // The server has another working folder.
    let folder = std::path::absolute(&arguments.folder).context("find the folder for the backup")?;
    let made = long_call(&client, "/backup", &json!({ "folder": folder }), bar("backing up", 0, "bytes"))?;
    let manifest: Manifest =
        serde_json::from_value(made["manifest"].clone()).context("read the server's answer")?;
    let text = if arguments.json { made.to_string() } else { describe(&manifest, &folder) };
    writeln!(std::io::stdout(), "{text}").context("write to standard output")
}

/// Makes a call that tells how far it is; its last line.
fn long_call(client: &Client, path: &str, body: &Value, bar: ProgressBar) -> Result<Value> {
    let runtime = Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let mut last = Value::Null;
    let called = runtime.block_on(client.lines(path, body, |line| {
        if let Some(done) = line["done"].as_u64() {
            bar.set_length(line["total"].as_u64().unwrap_or(done));
            bar.set_position(done);
        }
        last = line;
    }));
    bar.finish_and_clear();
    outcome(called)?;
    Ok(last)
}

/// The server's answer, and the same for people.
type Answer = Result<(Value, String)>;

async fn users(client: &Client, command: &UsersCommand) -> Answer {
    let call = async |path: String, body: Value| outcome(client.post(&path, &body).await);
    Ok(match command {
        UsersCommand::List => {
            let users = all(client, "users").await?;
            let text = show::users(&users);
            (Value::Array(users), text)
        }
        UsersCommand::Show(user) => {
            let answer = outcome(client.get(&user_path(&user.name, "")).await)?;
            let text = show::user(&answer);
            (answer, text)
        }
        UsersCommand::Create { user, admin, email } => {
            let password = new_password()?;
            let body = json!({ "name": user.name, "password": password, "admin": admin, "email": email });
            let answer = call("/users".to_owned(), body).await?;
            let text = format!("{} is made.", show::text(&answer["user_id"]));
            (answer, text)
        }
        UsersCommand::ResetPassword { user, keep_sessions } => {
            let body = json!({ "password": new_password()?, "keep_sessions": keep_sessions });
            let answer = call(user_path(&user.name, "/password"), body).await?;
            let text = format!("{} has a new password.", show::text(&answer["user_id"]));
            (answer, text)
        }
        UsersCommand::Deactivate { user, erase } => {
            let answer = call(user_path(&user.name, "/deactivate"), json!({ "erase": erase })).await?;
            let text = format!("{} is deactivated.", show::text(&answer["user_id"]));
            (answer, text)
        }
        UsersCommand::Reactivate(user) => {
            let body = json!({ "password": new_password()? });
            let answer = call(user_path(&user.name, "/reactivate"), body).await?;
            let text = format!("{} can log in again.", show::text(&answer["user_id"]));
            (answer, text)
        }
        UsersCommand::MakeAdmin { user, revoke } => {
            let answer = call(user_path(&user.name, "/admin"), json!({ "admin": !revoke })).await?;
            let now = if *revoke { "is no longer an admin" } else { "is an admin" };
            let text = format!("{} {now}.", show::text(&answer["user_id"]));
            (answer, text)
        }
        UsersCommand::RemoveSecondFactor(user) => {
            let answer = call(user_path(&user.name, "/second-factor/remove"), Value::Null).await?;
            let had = if answer["removed"] == true { "has no second factor any more" } else { "had none" };
            let text = format!("{} {had}.", show::text(&answer["user_id"]));
            (answer, text)
        }
        UsersCommand::RevokeSessions(user) => {
            let answer = call(user_path(&user.name, "/sessions/revoke"), Value::Null).await?;
            let text = format!("{} sessions are revoked.", answer["revoked"]);
            (answer, text)
        }
    })
}

async fn media(client: &Client, command: &MediaCommand) -> Answer {
    let deleted = |answer: Value| {
        let text = format!("{} files are removed.", answer["deleted"]);
        (answer, text)
    };
    let path = |id: &str, what: &str| format!("/media/{}{what}", encoded(id));
    Ok(match command {
        MediaCommand::List { user } => {
            let user = user.as_ref().map(|user| format!("user={}", encoded(user)));
            let media = all_of(client, "media", user.as_deref()).await?;
            let text = show::media(&media);
            (Value::Array(media), text)
        }
        MediaCommand::Show(file) => {
            let answer = outcome(client.get(&path(&file.id, "")).await)?;
            let text = show::fields(&answer);
            (answer, text)
        }
        MediaCommand::Delete(file) => {
            deleted(outcome(client.post(&path(&file.id, "/delete"), &Value::Null).await)?)
        }
        MediaCommand::DeleteOf(user) => {
            deleted(outcome(client.post(&user_path(&user.name, "/media/delete"), &Value::Null).await)?)
        }
    })
}

async fn tokens(client: &Client, command: &TokensCommand) -> Answer {
    Ok(match command {
        TokensCommand::List => {
            let tokens = all(client, "tokens").await?;
            let text = show::tokens(&tokens);
            (Value::Array(tokens), text)
        }
        TokensCommand::Create { token, uses, expires_in } => {
            let body = json!({ "token": token, "uses_max": uses, "expires_in_hours": expires_in });
            let answer = outcome(client.post("/tokens", &body).await)?;
            let text = show::text(&answer["token"]);
            (answer, text)
        }
        TokensCommand::Revoke { token } => {
            let path = format!("/tokens/{}/revoke", encoded(token));
            let answer = outcome(client.post(&path, &Value::Null).await)?;
            (answer, format!("{token} is revoked."))
        }
    })
}

async fn rooms(client: &Client, command: &RoomsCommand) -> Answer {
    Ok(match command {
        RoomsCommand::List => {
            let rooms = all(client, "rooms").await?;
            let text = show::rooms(&rooms);
            (Value::Array(rooms), text)
        }
        RoomsCommand::Purge { room } => {
            let mut last = Value::Null;
            outcome(client.lines("/rooms/purge", &json!({ "room": room }), |line| last = line).await)?;
            let text = format!("{room} is purged: {} events, {} rows.", last["events"], last["rows"]);
            (last, text)
        }
        RoomsCommand::Show { room } => {
            let answer = outcome(client.get(&format!("/rooms/{}", encoded(room))).await)?;
            let text = show::fields(&answer);
            (answer, text)
        }
    })
}

/// Every page of a list.
async fn all(client: &Client, what: &str) -> Result<Vec<Value>> {
    all_of(client, what, None).await
}

/// Every page of a list that a query narrows.
async fn all_of(client: &Client, what: &str, query: Option<&str>) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    let query = query.map(|query| format!("&{query}")).unwrap_or_default();
    let mut path = format!("/{what}?{}", query.trim_start_matches('&'));
    loop {
        let mut page = outcome(client.get(&path).await)?;
        let Value::Array(items) = page[what].take() else { bail!("the server's answer has no {what}") };
        found.extend(items);
        match &page["next"] {
            Value::Null => return Ok(found),
            next => path = format!("/{what}?after={}{query}", show::text(next)),
        }
    }
}

fn user_path(name: &str, what: &str) -> String {
    format!("/users/{}{what}", encoded(name))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A new password: typed twice at a terminal, else one line of standard input.
fn new_password() -> Result<String> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let mut line = String::new();
        stdin.lock().read_line(&mut line).context("read the password from standard input")?;
        let password = line.trim_end_matches(['\r', '\n']).to_owned();
        if password.is_empty() {
            bail!("standard input has no password on its first line");
        }
        return Ok(password);
    }
    let password = rpassword::prompt_password("New password: ").context("read the password")?;
    if rpassword::prompt_password("Again: ").context("read the password")? != password {
        bail!("the two passwords differ");
    }
    Ok(password)
}
