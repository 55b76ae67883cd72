//! Deactivated users leave their rooms, one by one, in the background; the files of erased ones are removed.
//!
//! Who still has to leave is on disk, so a restart goes on where the last run ended. **Units**: looked at once a
//! minute and whenever somebody is deactivated (at most [`PAUSE`] later). **Errors**: a room that cannot be left
//! is logged and tried again at the next look.

use std::time::Duration;

use nexus_accounts::Accounts;
use nexus_event_store::UserNo;
use nexus_media::Media;
use nexus_rooms::{Actor, Rooms, RoomsError};
use nexus_views::{Membership, Views};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest between two looks while some room cannot be left.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// What a departure takes.
struct Parts {
    accounts: Accounts,
    rooms: Rooms,
    views: Views,
    media: Media,
}

/// Starts to work off the departures of the store.
pub(crate) fn start(accounts: &Accounts, rooms: &Rooms, views: &Views, media: &Media) {
    let world = views.store().world().clone();
    let parts = Parts {
        accounts: accounts.clone(),
        rooms: rooms.clone(),
        views: views.clone(),
        media: media.clone(),
    };
    let clock = world.clock.clone();
    world.spawn("departures", async move {
        let mut pause = PAUSE;
        loop {
            pause = if run(&parts).await { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
            clock.sleep(pause).await;
        }
    });
}

/// Works off all departures there are; false if some room could not be left.
async fn run(parts: &Parts) -> bool {
    let departing = match parts.accounts.departures().await {
        Ok(departing) => departing,
        Err(error) => {
            tracing::error!(%error, "the departures cannot be read");
            return false;
        }
    };
    let mut all_left = true;
    for user in departing {
        if let Err(error) = depart(parts, user).await {
            tracing::warn!(user.no = user.0, %error, "a deactivated user could not leave every room yet");
            all_left = false;
        }
    }
    all_left
}

async fn depart(parts: &Parts, user: UserNo) -> anyhow::Result<()> {
    let Parts { accounts, rooms, views, media } = parts;
    if accounts.account(user).await?.is_some_and(|account| account.erased) {
        media.delete_all_of(user).await?;
    }
    let actor = Actor { user: views.user_id(user).await?, device: String::new(), reason: None };
    let mut failed = None;
    for (room, row) in views.rooms_of(user).await? {
        if !matches!(row.membership, Membership::Join | Membership::Invite | Membership::Knock) {
            continue;
        }
        let room_id = views.room_id(room).await?;
        match rooms.leave(&actor, &room_id, None).await {
            // Somebody removed the user meanwhile, or the room's rules are such that nobody can leave.
            Ok(_) | Err(RoomsError::Rejected(_)) => {}
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(accounts.departed(user).await?),
    }
}
