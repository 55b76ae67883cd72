//! READY's `read_state`: for each channel that a person may view and has ever read or is named in, how far.

use nexus_event_store::UserNo;
use serde_json::{Value, json};

use super::{Built, Objects};
use crate::snowflake::iso_time;

impl Objects {
    /// The read states of a person.
    pub(crate) async fn read_states(
        &self,
        user: UserNo,
        guilds: &std::collections::BTreeSet<nexus_event_store::RoomNo>,
    ) -> Built<Vec<Value>> {
        let mut states = Vec::new();
        for guild in guilds {
            for channel in self.visible_channels(*guild, user).await? {
                let markers = self.views.markers(channel.room, user).await?;
                let unread = self.views.unread(channel.room, user, None, &markers).await?;
                let read = match markers.of(None) {
                    Some(event) => self.views.snowflake_read(channel.room, event).await?,
                    None if unread.mentions == 0 => continue,
                    None => None,
                };
                states.push(json!({
                    "id": channel.id.to_string(),
                    "last_message_id": read.map_or("0".to_owned(), |id| id.to_string()),
                    "last_pin_timestamp": channel.last_pin_ms.map(iso_time),
                    "mention_count": unread.mentions,
                }));
            }
        }
        Ok(states)
    }
}
