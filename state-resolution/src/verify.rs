//! The receive path: foreign JSON becomes a [`Pdu`] only after format, signatures and hash were checked.
//!
//! `unsigned` is dropped first: it is no part of the event. A wrong content hash does not refuse an event,
//! it redacts it; a bad or missing signature does refuse it.
//!
//! **Errors**: [`VerifyError`]; the caller drops the event, it is not "rejected" in the sense of the rules.
//! **Source**: Matrix v1.19, server-server API, "Checks performed on receipt of a PDU", steps 1 to 3.

use std::{borrow::Cow, collections::BTreeSet};

use ruma::{
    CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedServerName, UInt,
    canonical_json::{CanonicalJsonFieldError, redact_in_place},
    signatures::{
        PublicKeyMap, VerificationError, Verified as RumaVerified, reference_hash,
        required_server_signatures_to_verify_event, verify_event,
    },
};
use thiserror::Error;

use crate::{
    FormatError, JsonError, JsonLimits, KeyRing, Pdu, PduError, RoomVersion, format::check_format,
    json::parse_object,
};

/// Why foreign JSON is not an event of this room version.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// It is not JSON that an event can be.
    #[error("parse event")]
    Json(#[from] JsonError),
    /// It breaks the event format.
    #[error("event format")]
    Format(#[from] FormatError),
    /// A signature is missing or wrong, or its key is not known.
    #[error("verify signatures")]
    Signature(#[source] VerificationError),
    /// It has no reference hash, hence no id.
    #[error("hash event")]
    Hash(#[source] ruma::signatures::JsonError),
    /// It cannot be redacted.
    #[error("redact event")]
    Redact(#[source] CanonicalJsonFieldError),
    /// A field is not what an event has there.
    #[error("read event")]
    Pdu(#[from] PduError),
    /// It could not be written as canonical JSON.
    #[error("write event as JSON")]
    Write(#[source] serde_json::Error),
}

/// An event whose signatures hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The content hash holds as well.
    Intact(Pdu),
    /// The content is not what was hashed: this is the redacted event.
    Redacted(Pdu),
}

impl Verified {
    /// The event, intact or redacted.
    pub fn into_pdu(self) -> Pdu {
        match self {
            Verified::Intact(pdu) | Verified::Redacted(pdu) => pdu,
        }
    }
}

/// Check format, signatures and hash; a wrong hash yields the redacted event.
pub fn verify(version: RoomVersion, json: &str, keys: &PublicKeyMap) -> Result<Pdu, VerifyError> {
    verify_reporting(version, json, keys).map(Verified::into_pdu)
}

/// As [`verify`], telling whether the content had to go.
pub fn verify_reporting(
    version: RoomVersion,
    json: &str,
    keys: &PublicKeyMap,
) -> Result<Verified, VerifyError> {
    verify_object(version, parse_object(json.as_bytes(), JsonLimits::EVENT)?, |_| Ok(Cow::Borrowed(keys)))
}

/// As [`verify_reporting`], with only those keys that held when the event was made: the door for federation.
pub fn verify_with_keys(
    version: RoomVersion,
    json: &str,
    keys: &KeyRing,
    now: MilliSecondsSinceUnixEpoch,
) -> Result<Verified, VerifyError> {
    verify_object(version, parse_object(json.as_bytes(), JsonLimits::EVENT)?, |event| {
        let made = event.get("origin_server_ts").and_then(|value| value.as_integer());
        let made = made.and_then(|made| UInt::try_from(i64::from(made)).ok());
        let made = made.ok_or(FormatError::OutOfRange { field: "origin_server_ts" })?;
        Ok(Cow::Owned(keys.valid_for(version, MilliSecondsSinceUnixEpoch(made), now)))
    })
}

fn verify_object<'k>(
    version: RoomVersion,
    mut event: CanonicalJsonObject,
    keys: impl FnOnce(&CanonicalJsonObject) -> Result<Cow<'k, PublicKeyMap>, VerifyError>,
) -> Result<Verified, VerifyError> {
    let rules = version.rules();
    event.remove("unsigned");
    let canonical = serde_json::to_string(&event).map_err(VerifyError::Write)?;
    check_format(version, &event, canonical.len())?;

    let keys = keys(&event)?;
    let outcome = verify_event(&keys, &event, rules).map_err(VerifyError::Signature)?;
    let event_id = event_id(version, &event)?;
    match outcome {
        RumaVerified::All => {
            Ok(Verified::Intact(Pdu::from_stored(version, event_id, canonical.into_boxed_str())?))
        }
        RumaVerified::Signatures => {
            redact_in_place(&mut event, &rules.redaction, None).map_err(VerifyError::Redact)?;
            let redacted = serde_json::to_string(&event).map_err(VerifyError::Write)?;
            Ok(Verified::Redacted(Pdu::from_stored(version, event_id, redacted.into_boxed_str())?))
        }
    }
}

/// The id: what the event says where its server chose it, else its hash.
fn event_id(version: RoomVersion, event: &CanonicalJsonObject) -> Result<OwnedEventId, VerifyError> {
    let id = if version.names_its_events() {
        event.get("event_id").and_then(|id| id.as_str()).unwrap_or_default().to_owned()
    } else {
        format!("${}", reference_hash(event, version.rules()).map_err(VerifyError::Hash)?)
    };
    Ok(OwnedEventId::try_from(id).map_err(|_| FormatError::InvalidId { field: "event_id" })?)
}

/// The servers whose keys [`verify`] needs for this event.
pub fn required_signers(version: RoomVersion, json: &str) -> Result<BTreeSet<OwnedServerName>, VerifyError> {
    let event = parse_object(json.as_bytes(), JsonLimits::EVENT)?;
    required_server_signatures_to_verify_event(&event, &version.rules().signatures)
        .map_err(VerifyError::Signature)
}

#[cfg(test)]
mod tests;
