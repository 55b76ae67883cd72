//! The objects that Discord's clients read, built from the views: the same for REST and the gateway.
//!
//! **Shapes**: every field that some client library insists on is there (`null` where Discord allows it),
//! and beside the snowflakes the federated identity: `mxid` of a user, `room_id` of a guild and a channel,
//! `event_id` of a message. Pictures are `null` until there is media storage.
//! **Source**: `discord-api-docs`, "Resources".

use nexus_accounts::{AccountError, Accounts};
use nexus_media::Media;
use nexus_views::Views;
use serde_json::Value;
use std::sync::Arc;

use crate::error::ApiError;

pub(crate) mod application;
pub(crate) mod audit;
pub(crate) mod channel;
pub(crate) mod guild;
pub(crate) mod invite;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod poll;
pub(crate) mod read_state;
pub(crate) mod role;
pub(crate) mod thread;
pub(crate) mod user;

/// What objects are built from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) views: Views,
    pub(crate) accounts: Accounts,
    pub(crate) media: Media,
    /// Where clients reach this server, without a slash at the end.
    pub(crate) public_url: Arc<str>,
}

/// An object, or why it could not be built.
pub(crate) type Built<T = Value> = Result<T, ApiError>;

/// The account error of a lookup, where "nobody" is an answer.
pub(crate) fn or_absent<T>(found: Result<T, AccountError>) -> Result<Option<T>, ApiError> {
    match found {
        Ok(value) => Ok(Some(value)),
        Err(AccountError::UnknownUser) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
