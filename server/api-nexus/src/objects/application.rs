//! Application objects.

use nexus_accounts::Application;
use serde_json::{Value, json};

use super::{Built, Objects};

/// Presence, members and message content, as for applications that have not been limited: every bot may ask
/// for every intent.
pub(crate) const APPLICATION_FLAGS: u64 = 1 << 12 | 1 << 14 | 1 << 18;

impl Objects {
    /// An application as its owner and its bot see it.
    pub(crate) async fn application(&self, application: &Application) -> Built {
        let bot = match application.bot {
            Some(bot) => Some(self.user(bot, None).await?),
            None => None,
        };
        let mut object = json!({
            "id": application.id.to_string(),
            "name": application.name,
            "icon": application.icon,
            "description": application.description,
            "summary": "",
            "type": null,
            "rpc_origins": [],
            "bot_public": true,
            "bot_require_code_grant": false,
            // Interactions over HTTP are not offered, so nothing is ever signed with it.
            "verify_key": "0".repeat(64),
            "owner": self.user(application.owner, None).await?,
            "team": null,
            "flags": APPLICATION_FLAGS,
            "tags": [],
            "redirect_uris": [],
            "interactions_endpoint_url": null,
            "approximate_guild_count": match application.bot {
                Some(bot) => self.views.guilds_of(bot).await?.len(),
                None => 0,
            },
        });
        if let Some(bot) = bot {
            object["bot"] = bot;
        }
        Ok(object)
    }
}

/// What READY says of the application.
pub(crate) fn ready_application(id: &str) -> Value {
    json!({ "id": id, "flags": APPLICATION_FLAGS })
}
