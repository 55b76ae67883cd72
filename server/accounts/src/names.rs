//! Usernames: the Matrix localpart grammar, lower case, and the names kept for the server.
//!
//! **Source**: Matrix spec, appendices, "User identifiers": `a-z 0-9 . _ = - / +`, at most 255 bytes with
//! sigil and server name.

use ruma::{OwnedUserId, ServerName, UserId};

use crate::AccountError;

/// A whole user id has at most this many bytes.
const USER_ID_BYTES_MAX: usize = 255;

/// What is wrong with a username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsernameProblem {
    /// It has no characters.
    #[error("is empty")]
    Empty,
    /// It has a character outside `a-z 0-9 . _ = - / +`.
    #[error("must not contain {0:?}")]
    Character(char),
    /// The user id would be too long.
    #[error("is longer than {bytes_max} bytes")]
    TooLong {
        /// The most it may have on this server.
        bytes_max: usize,
    },
}

/// The user id of a new user who asks for `name`.
pub(crate) fn new_user_id(name: &str, server_name: &ServerName) -> Result<OwnedUserId, AccountError> {
    let name = name.to_ascii_lowercase();
    let reserved = name == "nexus" || name.starts_with("_webhook_");
    let user_id = user_id(&name, server_name).map_err(|reason| AccountError::InvalidUsername { reason })?;
    if reserved { Err(AccountError::Reserved) } else { Ok(user_id) }
}

/// The user id somebody means who logs in as `login`: a username or a whole user id, in any case.
pub(crate) fn known_user_id(login: &str, server_name: &ServerName) -> Option<OwnedUserId> {
    let login = login.trim().to_ascii_lowercase();
    let name = match login.strip_prefix('@') {
        Some(rest) => {
            let (name, server) = rest.split_once(':')?;
            server.eq_ignore_ascii_case(server_name.as_str()).then_some(name)?
        }
        None => &login,
    };
    user_id(name, server_name).ok()
}

fn user_id(name: &str, server_name: &ServerName) -> Result<OwnedUserId, UsernameProblem> {
    if name.is_empty() {
        return Err(UsernameProblem::Empty);
    }
    if let Some(bad) =
        name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '=' | '-' | '/' | '+'))
    {
        return Err(UsernameProblem::Character(bad));
    }
    let bytes_max = USER_ID_BYTES_MAX.saturating_sub(server_name.as_str().len() + 2);
    if name.len() > bytes_max {
        return Err(UsernameProblem::TooLong { bytes_max });
    }
    // Cannot fail: the grammar was checked above and the server name is one.
    UserId::parse(format!("@{name}:{server_name}")).map_err(|_| UsernameProblem::TooLong { bytes_max })
}

/// The start of a bot's username: the letters and digits of its application's name.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars().map(|c| c.to_ascii_lowercase()) {
        match character {
            'a'..='z' | '0'..='9' => slug.push(character),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
        if slug.len() >= 32 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "bot".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    fn check(name: &str) -> Result<String, String> {
        new_user_id(name, server_name!("example.org"))
            .map(|id| id.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_follows_the_localpart_grammar() {
        assert_eq!(check("Alice"), Ok("@alice:example.org".into()));
        assert_eq!(check("a.b_c=d-e/f+0"), Ok("@a.b_c=d-e/f+0:example.org".into()));
        assert_eq!(check(""), Err("the username is empty".into()));
        assert_eq!(check("al ice"), Err("the username must not contain ' '".into()));
        assert_eq!(check("al:ice"), Err("the username must not contain ':'".into()));
        // KELVIN SIGN: lower-casing by Unicode would make it an ordinary k.
        assert_eq!(check("\u{212a}"), Err("the username must not contain '\u{212a}'".into()));
    }

    #[test]
    fn the_whole_user_id_has_at_most_255_bytes() {
        assert!(check(&"a".repeat(242)).is_ok());
        assert_eq!(check(&"a".repeat(243)), Err("the username is longer than 242 bytes".into()));
    }

    #[test]
    fn names_of_the_server_are_reserved() {
        assert_eq!(check("Nexus"), Err("the username is reserved".into()));
        assert_eq!(check("_webhook_1"), Err("the username is reserved".into()));
        assert_eq!(check("nexus2"), Ok("@nexus2:example.org".into()));
    }

    #[test]
    fn a_login_is_a_name_or_a_user_id() {
        let id = |login| known_user_id(login, server_name!("example.org")).map(|id| id.to_string());
        assert_eq!(id("ALICE"), Some("@alice:example.org".into()));
        assert_eq!(id("@Alice:Example.org"), Some("@alice:example.org".into()));
        assert_eq!(id("@alice:elsewhere.org"), None);
        assert_eq!(id("@alice"), None);
        assert_eq!(id("not a name"), None);
    }

    #[test]
    fn a_bots_name_starts_with_its_applications() {
        assert_eq!(slug("My  Great Bot!"), "my-great-bot");
        assert_eq!(slug("日本"), "bot");
        assert!(slug(&"x y".repeat(50)).len() <= 32);
    }
}
