//! `POST /oauth2/authorize?client_id=ID&scope=bot`: puts a bot into a guild, as Discord's own page does.

use std::sync::Arc;

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use nexus_event_store::Snowflake;
use nexus_rooms::{AddBot, Rooms};
use nexus_views::{Permissions, Views};
use serde_json::{Value, json};

use crate::{
    api::NexusConfig,
    auth::Caller,
    body,
    error::{ApiError, Unknown},
    form::{self, Form},
    objects::Objects,
    params::Query,
};

struct Authorize {
    guild: Snowflake,
    permissions: Permissions,
}

impl Authorize {
    fn parse(body: &Value) -> Result<Self, ApiError> {
        form::read(body, |form: &Form<'_>| {
            form.require("guild_id");
            form.require("authorize");
            if form.flag("authorize") == Some(false) {
                form.fault("authorize", "AUTHORIZE_DENIED", "Must be true.");
            }
            let bits = form.integer("permissions", 0..=i64::MAX).unwrap_or(0);
            Self {
                guild: form.snowflake("guild_id").unwrap_or_default(),
                permissions: Permissions(u64::try_from(bits).unwrap_or(0) & Permissions::ALL.0),
            }
        })
    }
}

#[expect(clippy::too_many_arguments, reason = "each is a part of the state or of the request")]
pub(crate) async fn authorize(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    State(config): State<Arc<NexusConfig>>,
    caller: Caller,
    query: Query,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    caller.no_bots()?;
    let required = |name: &str| ApiError::field(&[name], "BASE_TYPE_REQUIRED", "This field is required");
    let client = query.id("client_id")?.ok_or_else(|| required("client_id"))?;
    let scopes = query.text("scope").ok_or_else(|| required("scope"))?;
    if !scopes.split(' ').any(|scope| scope == "bot") {
        return Err(ApiError::field(&["scope"], "BASE_TYPE_CHOICES", "Value must be one of ('bot',)."));
    }
    let request = Authorize::parse(&body)?;
    let application = accounts.application(client).await?.ok_or(ApiError::Unknown(Unknown::Application))?;
    let bot = application.bot.ok_or(ApiError::Unknown(Unknown::Application))?;
    let guild = objects.guild_of(request.guild, caller.user()).await?;
    let add = AddBot {
        guild: guild.room,
        bot: views.user_id(bot).await?,
        name: application.name,
        permissions: request.permissions,
    };
    rooms.add_bot(&caller.actor(), add).await?;
    Ok(Json(json!({
        "location": format!("{}/?authorized={client}", config.public_url),
        "guild": { "id": guild.id.to_string(), "name": guild.name },
    })))
}
