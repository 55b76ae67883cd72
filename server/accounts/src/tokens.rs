//! Tokens: how they are made, what they look like, what is kept of them.
//!
//! **Shapes**: access `nxa_` + 43 characters, refresh `nxr_` + 86 (32 bytes that all tokens of a session
//! share, then 32 of its own), bot `base64url(bot id).base64url(6 bytes).base64url(32 bytes)`, whose first
//! part Discord's client libraries read. **Invariant**: only SHA-256 hashes are kept; 256 random bits need
//! no slow hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use nexus_event_store::{Snowflake, world::World};
use sha2::{Digest, Sha256};

use crate::tables::TokenHash;

/// No token is longer; what is, need not be hashed to be unknown.
const TOKEN_BYTES_MAX: usize = 512;

const ACCESS_PREFIX: &str = "nxa_";
const REFRESH_PREFIX: &str = "nxr_";

/// A new token and what is kept of it.
pub(crate) struct Minted {
    pub(crate) token: String,
    pub(crate) hash: TokenHash,
}

/// The two halves of a refresh token.
pub(crate) struct RefreshToken {
    family: [u8; 32],
    own: [u8; 32],
}

/// A new access token.
pub(crate) fn access(world: &World) -> Minted {
    let token = format!("{ACCESS_PREFIX}{}", BASE64.encode(world.random_bytes::<32>()));
    Minted { hash: digest(token.as_bytes()), token }
}

/// A new token for the bot with this id.
pub(crate) fn bot(world: &World, id: Snowflake) -> Minted {
    let id = BASE64.encode(id.to_string());
    let middle = BASE64.encode(world.random_bytes::<6>());
    let token = format!("{id}.{middle}.{}", BASE64.encode(world.random_bytes::<32>()));
    Minted { hash: digest(token.as_bytes()), token }
}

/// The hash of an access token that a client shows.
pub(crate) fn access_hash(token: &str) -> Option<TokenHash> {
    (token.len() <= TOKEN_BYTES_MAX).then(|| digest(token.as_bytes()))
}

impl RefreshToken {
    /// The first token of a new session.
    pub(crate) fn first(world: &World) -> Self {
        Self { family: world.random_bytes(), own: world.random_bytes() }
    }

    /// The token that replaces this one.
    pub(crate) fn successor(&self, world: &World) -> Self {
        Self { family: self.family, own: world.random_bytes() }
    }

    /// Reads what a client shows.
    pub(crate) fn parse(token: &str) -> Option<Self> {
        let encoded = token.strip_prefix(REFRESH_PREFIX).filter(|rest| rest.len() <= TOKEN_BYTES_MAX)?;
        let bytes: [u8; 64] = BASE64.decode(encoded).ok()?.try_into().ok()?;
        let mut parsed = Self { family: [0; 32], own: [0; 32] };
        parsed.family.copy_from_slice(&bytes[..32]);
        parsed.own.copy_from_slice(&bytes[32..]);
        Some(parsed)
    }

    /// What the client gets.
    pub(crate) fn text(&self) -> String {
        format!("{REFRESH_PREFIX}{}", BASE64.encode([self.family, self.own].concat()))
    }

    /// What all tokens of the session have in common, hashed.
    pub(crate) fn family_hash(&self) -> TokenHash {
        digest(&self.family)
    }

    /// What this token has of its own, hashed.
    pub(crate) fn own_hash(&self) -> TokenHash {
        digest(&self.own)
    }
}

fn digest(bytes: &[u8]) -> TokenHash {
    TokenHash(Sha256::digest(bytes).into())
}
