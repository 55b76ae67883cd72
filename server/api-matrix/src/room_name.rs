//! A room as a client names it: by its id, or by an alias.
//!
//! **Errors**: 400 `M_INVALID_PARAM` for neither; 404 `M_NOT_FOUND` for an alias that no room has. Aliases of
//! other servers are not found: there is nobody to ask yet.

use nexus_views::Views;
use ruma::{OwnedRoomAliasId, OwnedRoomId};

use crate::{error::ApiError, path};

/// Reads a room alias.
pub(crate) fn alias(text: &str) -> Result<OwnedRoomAliasId, ApiError> {
    OwnedRoomAliasId::try_from(text).map_err(|_| ApiError::invalid_param("not a room alias"))
}

/// The room of an id or alias.
pub(crate) async fn room_of_name(views: &Views, name: &str) -> Result<OwnedRoomId, ApiError> {
    if !name.starts_with('#') {
        return path::room_id(name);
    }
    match views.alias(&alias(name)?).await? {
        Some(row) => Ok(views.room_id(row.room).await?),
        None => Err(ApiError::not_found("there is no room of that alias")),
    }
}
