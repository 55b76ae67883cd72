//! `PUT|DELETE /channels/{channel_id}/permissions/{overwrite_id}`, `PATCH /guilds/{guild_id}/channels`, and the
//! overwrites in the body of a channel.

use axum::{extract::State, http::StatusCode};
use nexus_event_store::Snowflake;
use nexus_rooms::{ChannelMove, NewOverwrite, Rooms};
use nexus_views::{Channel, Guild, OverwriteTarget, Permissions, Views};

use crate::{
    auth::Caller,
    body,
    endpoints::roles::permission_bits,
    error::{ApiError, Unknown},
    form::{self, Form},
    objects::Objects,
    params::Path,
};

/// A channel has no more.
const OVERWRITES_MAX: usize = 100;

/// A guild has no more.
const CHANNELS_MAX: usize = 500;

/// The kind of an overwrite's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Role,
    Member,
}

/// An overwrite as clients write it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverwriteForm {
    id: Snowflake,
    /// `None` = not given.
    kind: Option<Kind>,
    allow: Permissions,
    deny: Permissions,
}

impl OverwriteForm {
    fn read(form: &Form<'_>, id: Snowflake) -> Self {
        let kind = match form.raw("type").and_then(serde_json::Value::as_str) {
            Some("role") => Some(Kind::Role),
            Some("member") => Some(Kind::Member),
            _ => form.integer("type", 0..=1).map(|kind| if kind == 0 { Kind::Role } else { Kind::Member }),
        };
        let bits = |field: &str| permission_bits(form, field).unwrap_or(Permissions::NONE);
        Self { id, kind, allow: bits("allow"), deny: bits("deny") }
    }

    /// The list in a channel's body.
    pub(crate) fn read_all(form: &Form<'_>) -> Option<Vec<Self>> {
        form.objects("permission_overwrites", OVERWRITES_MAX, |form| {
            form.require("id");
            let id = form.snowflake("id").unwrap_or_default();
            Self::read(form, id)
        })
    }
}

impl Objects {
    /// What overwrites of `guild`, or of its `channel`, mean.
    pub(crate) async fn new_overwrites(
        &self,
        (guild, channel): (&Guild, Option<&Channel>),
        forms: &[OverwriteForm],
    ) -> Result<Vec<NewOverwrite>, ApiError> {
        let mut overwrites = Vec::with_capacity(forms.len());
        for form in forms {
            let target = self.overwrite_target(guild, channel, (form.id, form.kind)).await?;
            overwrites.push(NewOverwrite { target, allow: form.allow, deny: form.deny });
        }
        Ok(overwrites)
    }

    /// Whom the id of an overwrite stands for: a role of the guild, one that the channel still names, or a
    /// user.
    async fn overwrite_target(
        &self,
        guild: &Guild,
        channel: Option<&Channel>,
        (id, kind): (Snowflake, Option<Kind>),
    ) -> Result<OverwriteTarget, ApiError> {
        let there = channel.and_then(|channel| channel.overwrites.iter().find(|known| known.id == id));
        if let Some(there) = there {
            let is_role = matches!(there.target, OverwriteTarget::Role(_));
            if kind.is_none_or(|kind| (kind == Kind::Role) == is_role) {
                return Ok(there.target);
            }
        }
        let roles = self.views.roles(guild.room).await?;
        match (roles.iter().find(|role| role.id == id), kind) {
            (Some(role), None | Some(Kind::Role)) => return Ok(OverwriteTarget::Role(role.row.id)),
            (None, Some(Kind::Role)) => return Err(ApiError::Unknown(Unknown::Role)),
            (_, Some(Kind::Member)) | (None, None) => {}
        }
        self.user_of(id).await.map(OverwriteTarget::Member)
    }
}

pub(crate) async fn put(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    let wanted = Permissions::MANAGE_ROLES;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let guild = objects.guild_of(channel.guild_id, caller.user()).await?;
    let id = path.id("overwrite_id")?;
    let form = form::read(&body, |form| OverwriteForm::read(form, id))?;
    for overwrite in objects.new_overwrites((&guild, Some(&channel)), &[form]).await? {
        rooms.set_overwrite(&caller.actor(), channel.room, overwrite).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn delete(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let wanted = Permissions::MANAGE_ROLES;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let id = path.id("overwrite_id")?;
    let known = channel.overwrites.iter().find(|overwrite| overwrite.id == id);
    let target = known.ok_or(ApiError::Unknown(Unknown::Overwrite))?.target;
    rooms.remove_overwrite(&caller.actor(), channel.room, target).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A channel's move as clients write it.
struct MoveForm {
    id: Snowflake,
    position: Option<i64>,
    parent: Option<Option<Snowflake>>,
    lock_permissions: bool,
}

pub(crate) async fn move_channels(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let forms = form::read_list(&body, CHANNELS_MAX, |form| {
        form.require("id");
        MoveForm {
            id: form.snowflake("id").unwrap_or_default(),
            position: form.integer("position", 0..=i64::from(i32::MAX)),
            parent: form.nullable("parent_id", |form| form.snowflake("parent_id")),
            lock_permissions: form.flag("lock_permissions").unwrap_or(false),
        }
    })?;
    let unknown = ApiError::Unknown(Unknown::Channel);
    let mut moves = Vec::with_capacity(forms.len());
    for form in forms {
        let room = objects.room_of(form.id).await?.ok_or(unknown.clone())?;
        if views.info(room).await?.guild != Some(guild.room) {
            return Err(unknown);
        }
        let parent = match form.parent {
            Some(Some(parent)) => Some(Some(objects.category_of(guild.room, parent).await?)),
            Some(None) => Some(None),
            None => None,
        };
        let (position, lock_permissions) = (form.position, form.lock_permissions);
        moves.push(ChannelMove { channel: room, position, parent, lock_permissions });
    }
    rooms.move_channels(&caller.actor(), guild.room, moves).await?;
    Ok(StatusCode::NO_CONTENT)
}
