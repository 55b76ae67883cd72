//! Who is called something: users by the beginnings of the words of their names.
//!
//! A user has the words of the localpart, and of the display name in each room they are in; a row counts in
//! how many rooms a word stands. Which of a user's names others may see is not decided here: this finds
//! candidates.
//!
//! **Bounds**: [`WORDS_MAX`] words of [`LETTERS_MAX`] letters a name count.

use std::collections::BTreeSet;

use nexus_event_store::{
    Rows as _, Scan, StoreError, Tx, UserNo,
    catalogue::{Users, numbers},
    codec::Text,
    table,
};
use ruma::UserId;

use crate::{Membership, MembershipRow, ViewError, Views, project::is_steward};

/// How many words of a name count.
const WORDS_MAX: usize = 8;

/// How many letters of a word count.
const LETTERS_MAX: usize = 32;

table! {
    /// Users by the words of their names: word, a zero byte and the user's number in hex, to the number of
    /// rooms in which the user has it.
    UserWords = numbers::USER_WORDS, "user_words", Text => u64
}

/// The words of a text, in lower case.
#[must_use]
pub fn words(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(WORDS_MAX)
        .map(|word| word.chars().flat_map(char::to_lowercase).take(LETTERS_MAX).collect())
        .collect()
}

/// Counts what a changed membership means for the words of a user.
pub(crate) async fn project(
    tx: &Tx,
    user: UserNo,
    user_id: &str,
    before: Option<&MembershipRow>,
    after: &MembershipRow,
) -> Result<(), StoreError> {
    let Some(user_id) = UserId::parse(user_id).ok().filter(|id| !is_steward(id)) else { return Ok(()) };
    let of = |row: &MembershipRow| {
        if row.membership != Membership::Join {
            return BTreeSet::new();
        }
        let mut all = words(user_id.localpart());
        all.extend(row.display_name.as_deref().map(words).unwrap_or_default());
        all
    };
    let (old, new) = (before.map(of).unwrap_or_default(), of(after));
    for word in old.symmetric_difference(&new) {
        let key = Text(format!("{word}\0{:016x}", user.0));
        let count = tx.row::<UserWords>(&key).await?.unwrap_or(0);
        let count = if new.contains(word) { count.saturating_add(1) } else { count.saturating_sub(1) };
        if count == 0 {
            tx.delete::<UserWords>(&key);
        } else {
            tx.put::<UserWords>(&key, &count);
        }
    }
    Ok(())
}

/// Takes away what a membership that is purged meant for the words of a user.
///
/// # Errors
/// Store errors.
pub async fn forget(tx: &Tx, user: UserNo, row: &MembershipRow) -> Result<(), StoreError> {
    let user_id = tx.existing::<Users>(&user).await?;
    let gone = MembershipRow { membership: Membership::Leave, ..row.clone() };
    project(tx, user, &user_id, Some(row), &gone).await
}

impl Views {
    /// Users with a word that begins with `prefix` (in any case), at most `limit` rows' worth, each once.
    ///
    /// # Errors
    /// Store errors.
    pub async fn users_by_word(&self, prefix: &str, limit: usize) -> Result<Vec<UserNo>, ViewError> {
        let prefix: String = prefix.chars().flat_map(char::to_lowercase).take(LETTERS_MAX).collect();
        if prefix.is_empty() || prefix.contains('\0') {
            return Ok(Vec::new());
        }
        let scan = Scan::prefix::<UserWords>(&Text(prefix)).limit(limit);
        let mut seen = BTreeSet::new();
        let mut users = Vec::new();
        for (Text(key), _) in self.store().scan::<UserWords>(scan).await? {
            let number = key.rsplit_once('\0').and_then(|(_, hex)| u64::from_str_radix(hex, 16).ok());
            let user = UserNo(number.ok_or(StoreError::Missing { table: "user_words" })?);
            if seen.insert(user) {
                users.push(user);
            }
        }
        Ok(users)
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> = words(text).into_iter().collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_are_what_stands_between_other_signs() {
        check("Ana María", &["ana", "maría"]);
        check("x.y_z-7", &["7", "x", "y", "z"]);
        check(" \u{0} ", &[]);
        check("ÄÖ äö", &["äö"]);
        check(&"a ".repeat(100), &["a"]);
        check(&"b".repeat(100), &[&"b".repeat(32)]);
    }
}
