//! The compact key form of event ids.
//!
//! **Shapes**: `$` + 43 URL-safe base64 characters (room versions 4 and later) becomes a 0 byte and the 32
//! raw bytes; any other id a 1 byte and its text.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::codec::KeyPart;

/// An event id as a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventIdKey(pub String);

impl From<&str> for EventIdKey {
    fn from(id: &str) -> Self {
        EventIdKey(id.to_owned())
    }
}

fn reference_hash(id: &str) -> Option<[u8; 32]> {
    let encoded = id.strip_prefix('$').filter(|encoded| encoded.len() == 43)?;
    let hash = URL_SAFE_NO_PAD.decode(encoded).ok()?.try_into().ok()?;
    // Only ids that read back as themselves take the short form.
    (URL_SAFE_NO_PAD.encode(hash) == encoded).then_some(hash)
}

impl KeyPart for EventIdKey {
    fn write(&self, out: &mut Vec<u8>) {
        match reference_hash(&self.0) {
            Some(hash) => {
                out.push(0);
                out.extend_from_slice(&hash);
            }
            None => {
                out.push(1);
                out.extend_from_slice(self.0.as_bytes());
            }
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (tag, rest) = std::mem::take(bytes).split_first()?;
        match tag {
            0 => <[u8; 32]>::try_from(rest)
                .ok()
                .map(|hash| EventIdKey(format!("${}", URL_SAFE_NO_PAD.encode(hash)))),
            1 => String::from_utf8(rest.to_vec()).ok().map(EventIdKey),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode_key, encode_key};

    #[test]
    fn both_forms_read_back() {
        for (id, len) in [
            ("$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 33),
            ("$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", 45), // trailing bits set: not canonical base64
            ("$opaque:example.org", 20),
        ] {
            let key = encode_key(&EventIdKey::from(id));
            assert_eq!(key.len(), len, "{id}");
            assert_eq!(decode_key::<EventIdKey>(&key), Some(EventIdKey::from(id)));
        }
    }
}
