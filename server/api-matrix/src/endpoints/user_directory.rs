//! `POST /_matrix/client/v3/user_directory/search`
//!
//! Finds users who share a room with the one who asks, or are in a room that anybody may come into or read, by
//! the beginnings of the words of their profile's name or of their localpart. Names that they go by in single
//! rooms are not found, and users who are deactivated are not.
//!
//! **Bounds**: [`CANDIDATES_MAX`] users are looked at.
//! **Source**: Matrix v1.19, client-server API, "User Directory".

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use nexus_accounts::{Accounts, Login, Profile};
use nexus_event_store::{RoomNo, UserNo};
use nexus_views::{Views, user_words::words};
use serde_json::{Value, json};

use super::mutual_rooms::joined_rooms;
use crate::{auth::Auth, body::Fields, error::ApiError};

/// The most users of an answer, and how many when the client does not say.
const LIMIT_MAX: u64 = 50;
const LIMIT_DEFAULT: u64 = 10;

/// How many rows of the index are looked at.
const CANDIDATES_MAX: usize = 1000;

/// How many rooms of a candidate are looked at for one that is public.
const ROOMS_MAX: usize = 100;

/// Users by name.
pub(crate) async fn search(
    State(views): State<Views>,
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let term = body.required_string("search_term")?;
    let limit = body.natural("limit")?.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let wanted = words(term.trim_start_matches('@').split(':').next().unwrap_or_default());
    // The longest word is the rarest, most likely.
    let Some(rarest) = wanted.iter().max_by_key(|word| word.len()) else {
        return Ok(Json(json!({ "results": [], "limited": false })));
    };
    let candidates = views.users_by_word(rarest, CANDIDATES_MAX).await?;
    let own = joined_rooms(&views, login.user).await?;
    let mut results: Vec<Value> = Vec::new();
    for user in candidates {
        let Some((id, profile)) = person(&accounts, user, &login).await? else { continue };
        let localpart = id.trim_start_matches('@').split(':').next().unwrap_or_default();
        let mut names = words(localpart);
        names.extend(profile.display_name.as_deref().map(words).unwrap_or_default());
        let is_meant = wanted.iter().all(|word| names.iter().any(|name| name.starts_with(word.as_str())));
        if !is_meant || !is_visible(&views, &own, user).await? {
            continue;
        }
        if results.len() as u64 == limit {
            return Ok(Json(json!({ "results": results, "limited": true })));
        }
        let mut result = json!({ "user_id": id });
        for (field, value) in [("display_name", profile.display_name), ("avatar_url", profile.avatar_url)] {
            if let Some(value) = value {
                result[field] = value.into();
            }
        }
        results.push(result);
    }
    Ok(Json(json!({ "results": results, "limited": false })))
}

/// Another user of this server who can still log in, with their profile.
async fn person(
    accounts: &Accounts,
    user: UserNo,
    login: &Login,
) -> Result<Option<(String, Profile)>, ApiError> {
    if user == login.user {
        return Ok(None);
    }
    match accounts.account(user).await? {
        Some(account) if !account.deactivated => {
            Ok(Some((account.user_id.to_string(), accounts.profile_of(user).await?)))
        }
        Some(_) | None => Ok(None),
    }
}

/// Whether a user is in one of these rooms, or in one that is open to all.
async fn is_visible(views: &Views, own: &BTreeSet<RoomNo>, user: UserNo) -> Result<bool, ApiError> {
    let theirs = joined_rooms(views, user).await?;
    if theirs.iter().any(|room| own.contains(room)) {
        return Ok(true);
    }
    for room in theirs.into_iter().take(ROOMS_MAX) {
        let summary = views.summary(room).await?;
        if summary.join_rule == "public" || summary.world_readable {
            return Ok(true);
        }
    }
    Ok(false)
}
