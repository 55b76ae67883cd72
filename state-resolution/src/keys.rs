//! The signing keys of other servers, and when a signature of theirs counts.
//!
//! A server publishes its keys with a time until which they hold, and later the ones it gave up with the time
//! it did. From room version 5 on a signature counts only if its key held when the event says it was made. A
//! [`KeyRing`] remembers what was published and never the other way round: a key that was given up does not
//! come back with an older answer, whoever repeats it.
//!
//! **Units**: milliseconds since the Unix epoch. **Errors**: [`KeyError`]; the ring is then unchanged.
//! **Source**: Matrix v1.19, server-server API, "Retrieving server keys"; room version 5, "Signing key
//! validity period".

use std::collections::BTreeMap;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, MilliSecondsSinceUnixEpoch, OwnedServerName, ServerName, UInt,
    serde::Base64,
    signatures::{PublicKeyMap, PublicKeySet, VerificationError, verify_json},
};
use thiserror::Error;

use crate::{JsonError, JsonLimits, RoomVersion, parse_object};

/// How far ahead a key's word counts at most: whoever steals a key cannot make it hold for ever.
const VALID_AHEAD_MS: u64 = 7 * 24 * 3600 * 1000;

/// The most keys that are kept of a server.
pub const SERVER_KEYS_MAX: usize = 64;

/// The most bytes of a server's published keys.
const KEYS_BYTES_MAX: usize = 65_536;

/// Until when a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// In use, at least until then.
    Until(MilliSecondsSinceUnixEpoch),
    /// Given up then: it holds for what was signed before.
    Expired(MilliSecondsSinceUnixEpoch),
    /// Known to be in wrong hands: it never holds, in no room version.
    Revoked,
}

/// A server's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ServerKey {
    public_key: Base64,
    validity: Validity,
}

/// Why a published list of keys is not taken.
#[derive(Debug, Error)]
pub enum KeyError {
    /// It is not acceptable JSON.
    #[error("parse server keys")]
    Json(#[from] JsonError),
    /// A field is missing or of a wrong type.
    #[error("field {field} is missing or malformed")]
    Malformed {
        /// The field.
        field: &'static str,
    },
    /// It is another server's.
    #[error("keys of {found}")]
    OtherServer {
        /// The server that it names.
        found: String,
    },
    /// The server has not signed it with the keys in it: somebody else made it.
    #[error("verify server keys")]
    Signature(#[source] VerificationError),
    /// There are too many keys.
    #[error("more than {SERVER_KEYS_MAX} keys")]
    TooMany,
    /// A key that is known under this id is another.
    #[error("key {key_id} is another than before")]
    Changed {
        /// The key's id.
        key_id: String,
    },
}

/// What is known of the keys of servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRing {
    servers: BTreeMap<OwnedServerName, BTreeMap<String, ServerKey>>,
}

impl KeyRing {
    /// Take what a server publishes of itself, from itself or through a notary.
    ///
    /// A notary can withhold keys but not make any up: the server's own signature, with a key that is in the
    /// list as one in use, must be under it.
    pub fn learn(&mut self, server: &ServerName, published: &[u8]) -> Result<(), KeyError> {
        let limits = JsonLimits { max_bytes: KEYS_BYTES_MAX, max_depth: 10 };
        let object = parse_object(published, limits)?;
        let named = text(&object, "server_name")?;
        if named != server.as_str() {
            return Err(KeyError::OtherServer { found: named.to_owned() });
        }
        let until = Validity::Until(moment(&object, "valid_until_ts")?);
        let in_use = keys(&object, "verify_keys", |_| Ok(until))?;
        let given_up = match object.contains_key("old_verify_keys") {
            true => {
                keys(&object, "old_verify_keys", |key| Ok(Validity::Expired(moment(key, "expired_ts")?)))?
            }
            false => BTreeMap::new(),
        };
        check_own_signature(server, &object, &in_use)?;

        let mut known = self.servers.get(server).cloned().unwrap_or_default();
        for (key_id, key) in in_use.into_iter().chain(given_up) {
            take(&mut known, key_id, key)?;
        }
        if known.len() > SERVER_KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        self.servers.insert(server.to_owned(), known);
        Ok(())
    }

    /// Put a key into the ring on an operator's word, or this server's own.
    pub fn insert(&mut self, server: &ServerName, key_id: &str, public_key: Base64, validity: Validity) {
        let keys = self.servers.entry(server.to_owned()).or_default();
        keys.insert(key_id.to_owned(), ServerKey { public_key, validity });
    }

    /// Give a key up for all times.
    pub fn revoke(&mut self, server: &ServerName, key_id: &str) {
        if let Some(key) = self.servers.get_mut(server).and_then(|keys| keys.get_mut(key_id)) {
            key.validity = Validity::Revoked;
        }
    }

    /// The keys whose signature counts under an event of `made`, as seen at `now`.
    pub fn valid_for(
        &self,
        version: RoomVersion,
        made: MilliSecondsSinceUnixEpoch,
        now: MilliSecondsSinceUnixEpoch,
    ) -> PublicKeyMap {
        let ahead = UInt::new_saturating(u64::from(now.get()).saturating_add(VALID_AHEAD_MS));
        let holds = |validity: Validity| match validity {
            Validity::Revoked => false,
            _ if !version.rules().enforce_key_validity => true,
            Validity::Until(until) => made.get() <= until.get().min(ahead),
            Validity::Expired(expired) => made.get() <= expired.get(),
        };
        let mut map = PublicKeyMap::new();
        for (server, keys) in &self.servers {
            let valid: PublicKeySet = keys
                .iter()
                .filter(|(_, key)| holds(key.validity))
                .map(|(key_id, key)| (key_id.clone(), key.public_key.clone()))
                .collect();
            map.insert(server.to_string(), valid);
        }
        map
    }
}

/// What was known goes on to hold, and only gets less.
fn take(known: &mut BTreeMap<String, ServerKey>, key_id: String, key: ServerKey) -> Result<(), KeyError> {
    let Some(held) = known.get_mut(&key_id) else {
        known.insert(key_id, key);
        return Ok(());
    };
    if held.public_key.as_bytes() != key.public_key.as_bytes() {
        return Err(KeyError::Changed { key_id });
    }
    held.validity = match (held.validity, key.validity) {
        (Validity::Until(one), Validity::Until(other)) => Validity::Until(one.max(other)),
        (Validity::Expired(one), Validity::Expired(other)) => Validity::Expired(one.min(other)),
        (Validity::Revoked, _) | (_, Validity::Revoked) => Validity::Revoked,
        (Validity::Expired(expired), _) | (_, Validity::Expired(expired)) => Validity::Expired(expired),
    };
    Ok(())
}

fn check_own_signature(
    server: &ServerName,
    object: &CanonicalJsonObject,
    in_use: &BTreeMap<String, ServerKey>,
) -> Result<(), KeyError> {
    // The signatures of others, such as a notary's, say nothing here.
    let signatures = object.get("signatures").and_then(|value| value.as_object());
    let own = signatures.and_then(|signatures| signatures.get(server.as_str()));
    let own = own.ok_or(KeyError::Malformed { field: "signatures" })?.clone();
    let mut object = object.clone();
    let own = CanonicalJsonObject::from([(server.to_string(), own)]);
    object.insert("signatures".to_owned(), own.into());
    let keys: PublicKeySet =
        in_use.iter().map(|(key_id, key)| (key_id.clone(), key.public_key.clone())).collect();
    verify_json(&PublicKeyMap::from([(server.to_string(), keys)]), &object).map_err(KeyError::Signature)
}

fn keys(
    object: &CanonicalJsonObject,
    field: &'static str,
    validity: impl Fn(&CanonicalJsonObject) -> Result<Validity, KeyError>,
) -> Result<BTreeMap<String, ServerKey>, KeyError> {
    let malformed = KeyError::Malformed { field };
    let Some(CanonicalJsonValue::Object(listed)) = object.get(field) else { return Err(malformed) };
    let mut keys = BTreeMap::new();
    for (key_id, key) in listed {
        let Some(key) = key.as_object() else { return Err(KeyError::Malformed { field }) };
        let public_key =
            Base64::parse(text(key, "key")?).map_err(|_| KeyError::Malformed { field: "key" })?;
        keys.insert(key_id.clone(), ServerKey { public_key, validity: validity(key)? });
    }
    Ok(keys)
}

fn text<'a>(object: &'a CanonicalJsonObject, field: &'static str) -> Result<&'a str, KeyError> {
    object.get(field).and_then(|value| value.as_str()).ok_or(KeyError::Malformed { field })
}

fn moment(object: &CanonicalJsonObject, field: &'static str) -> Result<MilliSecondsSinceUnixEpoch, KeyError> {
    let number = object.get(field).and_then(|value| value.as_integer());
    let number = number.and_then(|number| UInt::try_from(i64::from(number)).ok());
    number.map(MilliSecondsSinceUnixEpoch).ok_or(KeyError::Malformed { field })
}
