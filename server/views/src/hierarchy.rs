//! The rooms of a space: what `m.space.child` says, in the order it says.
//!
//! **Source**: Matrix v1.19, client-server API, "Spaces": children by `order`, then age, then id; one without
//! servers to reach it by (`via`) is none.

use std::sync::Arc;

use nexus_event_store::RoomNo;
use ruma::RoomId;
use serde_json::Value;

use crate::{Event, ViewError, Views};

/// The longest `order` that counts.
const ORDER_MAX: usize = 50;

/// A child of a space.
#[derive(Clone, Debug)]
pub struct SpaceChild {
    /// What makes it one.
    pub event: Arc<Event>,
    /// The room, if this server knows it.
    pub room: Option<RoomNo>,
    /// Whether the space commends it.
    pub suggested: bool,
    order: Option<String>,
}

impl Views {
    /// The children of a space, in their order.
    ///
    /// # Errors
    /// Store errors.
    pub async fn space_children(&self, space: RoomNo) -> Result<Vec<SpaceChild>, ViewError> {
        let state = self.head(space).await?.state;
        let mut children = Vec::new();
        for event in self.state(space, state).await? {
            if event.pdu.event_type() == "m.space.child" {
                children.extend(self.child(event).await?);
            }
        }
        let age = |child: &SpaceChild| child.event.pdu.origin_server_ts();
        children.sort_by(|a, b| {
            let ordered = (a.order.is_none(), &a.order).cmp(&(b.order.is_none(), &b.order));
            ordered
                .then_with(|| age(a).cmp(&age(b)))
                .then_with(|| a.event.pdu.state_key().cmp(&b.event.pdu.state_key()))
        });
        Ok(children)
    }

    async fn child(&self, event: Arc<Event>) -> Result<Option<SpaceChild>, ViewError> {
        let content: Value = event.pdu.content_as().unwrap_or_default();
        let via = content["via"].as_array().is_some_and(|servers| servers.iter().any(Value::is_string));
        let Some(id) = event.pdu.state_key().and_then(|key| RoomId::parse(key).ok()).filter(|_| via) else {
            return Ok(None);
        };
        let order = content["order"].as_str().filter(|order| {
            order.len() <= ORDER_MAX && order.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
        });
        Ok(Some(SpaceChild {
            room: self.room_no(&id).await?,
            suggested: content["suggested"] == true,
            order: order.map(str::to_owned),
            event,
        }))
    }
}
