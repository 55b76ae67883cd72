//! `GET /directory?server=&q=`: the guilds that are open to all.
//!
//! Names are matched in any case. The directories of other servers come with federation.

use axum::{Json, extract::State};
use nexus_views::Views;
use serde_json::Value;

use crate::{
    auth::Caller,
    error::ApiError,
    objects::{Objects, guild::add_counts},
    params::Query,
};

const GUILDS_MAX: usize = 100;

pub(crate) async fn list(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    if query.text("server").is_some_and(|server| !server.is_empty() && server != views.server_name()) {
        let message = "The directories of other servers cannot be read yet.";
        return Err(ApiError::field(&["server"], "BASE_TYPE_CHOICES", message));
    }
    let limit = query.limit(GUILDS_MAX, GUILDS_MAX)?;
    let mut listed = Vec::new();
    for guild in views.discoverable(query.text("q").unwrap_or_default(), limit).await? {
        let mut object = objects.listed_guild(&guild, caller.user(), false).await?;
        add_counts(&mut object, &guild);
        listed.push(object);
    }
    Ok(Json(Value::Array(listed)))
}
