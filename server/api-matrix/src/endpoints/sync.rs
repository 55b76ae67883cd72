//! `GET /_matrix/client/v3/sync`
//!
//! Answers at once when there is something to tell, or for a first sync; otherwise waits until something
//! that concerns the user is announced, or the time that the client gave is up.
//!
//! **Bounds**: one request waits [`TIMEOUT_MAX`] at most.
//! **Source**: Matrix v1.19, client-server API, "Syncing".

use std::time::Duration;

use axum::extract::State;
use nexus_accounts::{Accounts, Login, SessionMark};
use nexus_event_store::{
    feed::{Subscriber, Topic},
    world::World,
};
use nexus_views::Views;
use serde::Deserialize;

use crate::{
    auth::{Auth, Token},
    error::ApiError,
    event_json::Viewer,
    filter::Filter,
    json_out::JsonText,
    query::Params,
    sync::{Answer, Client, Moment, answer},
    token::SyncToken,
};

/// The longest that a request waits.
const TIMEOUT_MAX: Duration = Duration::from_secs(90);

/// What to tell.
#[derive(Deserialize)]
pub(crate) struct Query {
    filter: Option<String>,
    since: Option<String>,
    #[serde(default)]
    full_state: bool,
    #[serde(default)]
    timeout: u64,
}

/// What is new.
pub(crate) async fn get(
    State(views): State<Views>,
    State(accounts): State<Accounts>,
    State(world): State<World>,
    Auth(login): Auth,
    token: Token,
    Params(query): Params<Query>,
) -> Result<JsonText, ApiError> {
    let bad_token = |_| ApiError::invalid_param("since is not a token of this server");
    let since: Option<SyncToken> = query.since.as_deref().map(str::parse).transpose().map_err(bad_token)?;
    let filter = filter(&accounts, &login, query.filter.as_deref()).await?;
    let client = Client {
        views: &views,
        accounts: &accounts,
        viewer: Viewer::new(&login, world.now()),
        user_id: &login.user_id,
        filter: &filter,
        since,
        full_state: query.full_state,
    };
    let moment = Moment::now(&views, login.user).await?;
    // Who knows the present already need not be searched for news.
    let is_up_to_date = since == Some(moment.token) && !query.full_state;
    let first = if is_up_to_date { Answer::default() } else { answer(&client, &moment).await? };
    if since.is_none() || query.full_state || query.timeout == 0 || !first.is_empty() {
        return Ok(JsonText(first.write(moment.token)));
    }
    let timeout = Duration::from_millis(query.timeout).min(TIMEOUT_MAX);
    let session = token.session(&accounts).await?;
    let (answer, moment) = wait(client, session, &world, moment, timeout).await?;
    // Who was logged out while waiting hears nothing more.
    token.check_again(&accounts).await?;
    Ok(JsonText(answer.write(moment.token)))
}

async fn filter(accounts: &Accounts, login: &Login, text: Option<&str>) -> Result<Filter, ApiError> {
    match text {
        None => Ok(Filter::default()),
        Some(json) if json.trim_start().starts_with('{') => Filter::parse(json),
        Some(id) => match accounts.filter(login.user, id).await? {
            Some(json) => Filter::parse(&json),
            None => Err(ApiError::not_found("there is no such filter")),
        },
    }
}

/// Waits until there is something to tell after `seen`, or `timeout` is over.
async fn wait(
    mut client: Client<'_>,
    mut session: SessionMark,
    world: &World,
    seen: Moment,
    timeout: Duration,
) -> Result<(Answer, Moment), ApiError> {
    let mut subscriber = client.views.store().feed().subscribe();
    let mut late = world.clock.sleep(timeout);
    follow(&mut subscriber, &client, &seen);
    let mut seen = seen.token;
    let mut is_late = false;
    loop {
        // Read after following: what came in between would wake nobody.
        let views = client.views;
        let present = SyncToken { position: views.store().visible(), typing: views.typing_version() };
        if present != seen || is_late {
            client.viewer.now = world.now();
            let moment = Moment::now(views, client.viewer.user).await?;
            let answer = answer(&client, &moment).await?;
            if is_late || !answer.is_empty() {
                return Ok((answer, moment));
            }
            follow(&mut subscriber, &client, &moment);
            seen = moment.token;
        }
        tokio::select! {
            biased;
            () = subscriber.changed() => {}
            () = &mut late => is_late = true,
        }
        if !client.accounts.is_live(&mut session).await? {
            return Err(ApiError::unknown_token());
        }
    }
}

fn follow(subscriber: &mut Subscriber, client: &Client<'_>, moment: &Moment) {
    subscriber.follow(Topic::User(client.viewer.user));
    moment.joined().into_iter().for_each(|room| subscriber.follow(Topic::Room(room)));
}
