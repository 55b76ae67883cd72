//! How typed keys and values become bytes.
//!
//! **Keys** are order-preserving: integers big-endian, byte strings length-free only as the last part.
//! **Values** are one version byte followed by postcard; a type that changes gets a new version and keeps
//! reading the old ones. **Errors**: [`CodecError`] names the table, never the content.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::ids::{EventNo, KeyNo, NodeHash, Position, RoomNo, Snowflake, UserNo};

/// A row that does not decode: the store is damaged or written by a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The key has another shape than its table's.
    #[error("key of table {table} does not decode")]
    Key {
        /// The table's name.
        table: &'static str,
    },
    /// The value has an unknown version or does not decode.
    #[error("value of table {table} with version {version:?} does not decode")]
    Value {
        /// The table's name.
        table: &'static str,
        /// The version byte, if there was one.
        version: Option<u8>,
    },
}

/// One part of a key.
pub trait KeyPart: Sized + std::fmt::Debug {
    /// Whether it begins with a room's number: such rows belong to that room and go with it.
    const ROOM_FIRST: bool = false;

    /// Appends the part.
    fn write(&self, out: &mut Vec<u8>);
    /// Takes the part off the front.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

macro_rules! number_part {
    ($($name:ident),*) => {$(
        impl KeyPart for $name {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0.to_be_bytes());
            }
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                u64::read(bytes).map($name)
            }
        }
    )*};
}
number_part!(EventNo, UserNo, KeyNo, Position, Snowflake);

impl KeyPart for RoomNo {
    const ROOM_FIRST: bool = true;

    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        u64::read(bytes).map(RoomNo)
    }
}

impl KeyPart for u64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (head, tail) = bytes.split_first_chunk::<8>()?;
        *bytes = tail;
        Some(u64::from_be_bytes(*head))
    }
}

impl KeyPart for u8 {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (head, tail) = bytes.split_first()?;
        *bytes = tail;
        Some(*head)
    }
}

impl<const N: usize> KeyPart for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (head, tail) = bytes.split_first_chunk::<N>()?;
        *bytes = tail;
        Some(*head)
    }
}

impl KeyPart for NodeHash {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        <[u8; 16]>::read(bytes).map(NodeHash)
    }
}

/// A string inside a key: length-prefixed (two bytes), so equal strings are equal prefixes. Not ordered
/// alphabetically; tables that need that end in a [`Text`].
impl KeyPart for String {
    fn write(&self, out: &mut Vec<u8>) {
        // Longer strings cannot get here: every identifier is bounded at the door.
        let len = u16::try_from(self.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&self.as_bytes()[..usize::from(len)]);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (head, tail) = bytes.split_first_chunk::<2>()?;
        let (text, rest) = tail.split_at_checked(usize::from(u16::from_be_bytes(*head)))?;
        *bytes = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

/// A string as the last part of a key, in alphabetical order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(pub String);

impl KeyPart for Text {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        String::from_utf8(std::mem::take(bytes).to_vec()).ok().map(Text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(text.to_owned())
    }
}

impl KeyPart for () {
    fn write(&self, _: &mut Vec<u8>) {}
    fn read(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

macro_rules! tuple_part {
    ($first:ident $($rest:ident)+) => {
        tuple_part!(@ $first; $first $($rest)+);
    };
    (@ $first:ident; $($name:ident)+) => {
        impl<$($name: KeyPart),+> KeyPart for ($($name,)+) {
            const ROOM_FIRST: bool = $first::ROOM_FIRST;

            #[allow(non_snake_case, reason = "the macro names values after their types")]
            fn write(&self, out: &mut Vec<u8>) {
                let ($($name,)+) = self;
                $($name.write(out);)+
            }
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($name::read(bytes)?,)+))
            }
        }
    };
}
tuple_part!(A B);
tuple_part!(A B C);
tuple_part!(A B C D);

/// Encodes a whole key or a prefix of one.
pub fn encode_key(part: &impl KeyPart) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    part.write(&mut out);
    out
}

/// Decodes a whole key; `None` if it does not fit or bytes are left over.
pub fn decode_key<K: KeyPart>(mut bytes: &[u8]) -> Option<K> {
    let key = K::read(&mut bytes)?;
    bytes.is_empty().then_some(key)
}

/// What a table holds.
pub trait Value: Sized + std::fmt::Debug {
    /// Serialises with its version.
    fn encode(&self) -> Vec<u8>;
    /// Reads any version that was ever written; `None` if it cannot.
    fn decode(bytes: &Bytes) -> Option<Self>;
}

/// Writes `version` and the postcard form of `value`; the building block of [`Value`] implementations.
pub fn encode_versioned(version: u8, value: &impl Serialize) -> Vec<u8> {
    let out = vec![version];
    // Postcard fails only on types that cannot say their length, which none of our rows contain.
    postcard::to_extend(value, out).expect("rows have known lengths")
}

/// Reads the postcard form after a version byte.
pub fn decode_postcard<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    postcard::from_bytes(body).ok()
}

/// Implements [`Value`] for a serde type whose only version so far is the given one.
#[macro_export]
macro_rules! versioned_value {
    ($type:ty, $version:literal) => {
        impl $crate::codec::Value for $type {
            fn encode(&self) -> Vec<u8> {
                $crate::codec::encode_versioned($version, self)
            }
            fn decode(bytes: &$crate::Bytes) -> Option<Self> {
                match bytes.split_first()? {
                    (&$version, body) => $crate::codec::decode_postcard(body),
                    _ => None,
                }
            }
        }
    };
}

impl Value for () {
    fn encode(&self) -> Vec<u8> {
        vec![1]
    }
    fn decode(bytes: &Bytes) -> Option<Self> {
        (bytes[..] == [1]).then_some(())
    }
}

versioned_value!(u64, 1);
versioned_value!(String, 1);
versioned_value!(RoomNo, 1);
versioned_value!(EventNo, 1);
versioned_value!(UserNo, 1);
versioned_value!(KeyNo, 1);
versioned_value!(Position, 1);
versioned_value!(Snowflake, 1);
