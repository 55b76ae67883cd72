//! `PATCH /guilds/{guild_id}/members/{user_id}` (`@me` included), `PATCH /guilds/{guild_id}/members/@me/nick`,
//! `PUT|DELETE /guilds/{guild_id}/members/{user_id}/roles/{role_id}`.

use axum::{Json, extract::State, http::StatusCode};
use nexus_event_store::UserNo;
use nexus_rooms::{MemberChanges, Rooms};
use nexus_views::{Guild, Views};
use serde_json::{Value, json};

use crate::{
    auth::Caller,
    body,
    endpoints::roles::role_number,
    error::{ApiError, Unknown},
    form::{self, Form},
    objects::Objects,
    params::Path,
    snowflake::parse_time,
};

const NICK_CHARS: usize = 32;

/// No member has more.
const ROLES_MAX: usize = 250;

/// The member that the path names.
async fn member_of(
    objects: &Objects,
    guild: &Guild,
    caller: &Caller,
    path: &Path,
) -> Result<UserNo, ApiError> {
    let Some(id) = path.id_or_me("user_id")? else { return Ok(caller.user()) };
    let unknown = ApiError::Unknown(Unknown::Member);
    let user = match objects.user_of(id).await {
        Err(ApiError::Unknown(Unknown::User)) => return Err(unknown),
        user => user?,
    };
    objects.views.guild_member(guild.room, user).await?.map(|member| member.user).ok_or(unknown)
}

fn nick(form: &Form<'_>) -> Option<Option<String>> {
    form.nullable("nick", |form| form.text("nick", 0..=NICK_CHARS))
}

/// What of a member's voice is asked for; nobody is in a voice channel here.
fn asks_for_voice(form: &Form<'_>) -> bool {
    let muted = form.flag("mute").is_some();
    let deafened = form.flag("deaf").is_some();
    form.snowflake("channel_id").is_some() || muted || deafened
}

fn changes(form: &Form<'_>, guild: &Guild) -> (MemberChanges, bool) {
    let until = form.nullable("communication_disabled_until", |form| {
        let until = form.raw("communication_disabled_until")?.as_str().and_then(parse_time);
        if until.is_none() {
            form.fault("communication_disabled_until", "DATE_TIME_TYPE_PARSE", "Could not parse time.");
        }
        until
    });
    let roles = form.nullable("roles", |form| form.snowflakes("roles", ROLES_MAX));
    let roles = roles.map(|roles| roles.unwrap_or_default().into_iter().map(|id| role_number(guild, id)));
    let changes = MemberChanges {
        nick: nick(form),
        roles: roles.map(Iterator::collect),
        timeout_until_ms: until,
        ..MemberChanges::default()
    };
    (changes, asks_for_voice(form))
}

pub(crate) async fn patch(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let member = member_of(&objects, &guild, &caller, &path).await?;
    let is_own = path.id_or_me("user_id")?.is_none();
    let (changes, asks_for_voice) = form::read(&body, |form| {
        // Of oneself only the name is changed so.
        if is_own {
            let changes = MemberChanges { nick: nick(form), ..MemberChanges::default() };
            return (changes, false);
        }
        changes(form, &guild)
    })?;
    if asks_for_voice {
        return Err(ApiError::NotInVoice);
    }
    let user = views.user_id(member).await?;
    rooms.update_member(&caller.actor(), guild.room, &user, changes).await?;
    objects.member_of(guild.room, member).await?.map(Json).ok_or(ApiError::Unknown(Unknown::Member))
}

pub(crate) async fn own_nick(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    if path.id_or_me("user_id")?.is_some() {
        return Err(ApiError::NoSuchPath);
    }
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let changes = form::read(&body, |form| MemberChanges { nick: nick(form), ..MemberChanges::default() })?;
    let user = views.user_id(caller.user()).await?;
    rooms.update_member(&caller.actor(), guild.room, &user, changes).await?;
    let member = views.guild_member(guild.room, caller.user()).await?;
    Ok(Json(json!({ "nick": member.and_then(|member| member.nick) })))
}

pub(crate) async fn add_role(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let more_roles = vec![role_number(&guild, path.id("role_id")?)];
    let changes = MemberChanges { more_roles, ..MemberChanges::default() };
    change_roles(&rooms, &objects, (&guild, &caller, &path), changes).await
}

pub(crate) async fn remove_role(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let fewer_roles = vec![role_number(&guild, path.id("role_id")?)];
    let changes = MemberChanges { fewer_roles, ..MemberChanges::default() };
    change_roles(&rooms, &objects, (&guild, &caller, &path), changes).await
}

async fn change_roles(
    rooms: &Rooms,
    objects: &Objects,
    (guild, caller, path): (&Guild, &Caller, &Path),
    changes: MemberChanges,
) -> Result<StatusCode, ApiError> {
    let member = member_of(objects, guild, caller, path).await?;
    let user = objects.views.user_id(member).await?;
    rooms.update_member(&caller.actor(), guild.room, &user, changes).await?;
    Ok(StatusCode::NO_CONTENT)
}
