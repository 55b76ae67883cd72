//! Links under which an attachment is readable without a token, for a while: what Discord's clients expect
//! of an attachment's `url`.
//!
//! **Shapes**: `/attachments/{channel}/{attachment}/{file name}?m={media id}&ex={hex s}&is={hex s}&hm={hex}`;
//! `hm` is an HMAC-SHA-256, under a key of this server, over all the rest.
//! **Units**: `ex` and `is` are seconds since the Unix epoch.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use nexus_event_store::{Rows as _, StoreError};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sha2::Sha256;

use crate::{
    Media,
    tables::{LinkKey, LinkKeyRow},
};

/// How long a link is good.
const LIFETIME_S: u64 = 24 * 60 * 60;
/// Links made within this time are the same, so that clients may cache what they fetch.
const ROUNDING_S: u64 = 60 * 60;
const ATTEMPTS: usize = 32;

const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// The channel's snowflake.
    pub channel: u64,
    /// The attachment's snowflake.
    pub attachment: u64,
    /// The name that the file is shown under.
    pub file_name: &'a str,
    /// The medium.
    pub media_id: &'a str,
}

impl Link<'_> {
    fn seal(&self, key: &[u8; 32], issued_s: u64, expires_s: u64) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("any length is good"));
        for part in [self.channel, self.attachment, issued_s, expires_s] {
            mac.update(&part.to_be_bytes());
        }
        for part in [self.media_id, self.file_name] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

impl Media {
    /// Path and query of a link that is good from now on.
    ///
    /// # Errors
    /// The store's.
    pub async fn link(&self, link: Link<'_>) -> Result<String, StoreError> {
        let key = self.link_key().await?;
        let issued = self.world().now().0 / 1000 / ROUNDING_S * ROUNDING_S;
        let expires = issued + ROUNDING_S + LIFETIME_S;
        let seal: String =
            link.seal(&key, issued, expires).iter().map(|byte| format!("{byte:02x}")).collect();
        let Link { channel, attachment, file_name, media_id } = link;
        let name = utf8_percent_encode(file_name, SEGMENT);
        Ok(format!(
            "/attachments/{channel}/{attachment}/{name}?ex={expires:x}&is={issued:x}&m={media_id}&hm={seal}"
        ))
    }

    /// Whether a link with these times and seal was made here and is still good.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_good_link(
        &self,
        link: Link<'_>,
        issued: &str,
        expires: &str,
        seal: &str,
    ) -> Result<bool, StoreError> {
        let is_fresh = u64::from_str_radix(expires, 16).is_ok_and(|at| at >= self.world().now().0 / 1000);
        Ok(is_fresh && self.was_link(link, issued, expires, seal).await?)
    }

    /// Whether a link with these times and seal was made here, however long ago.
    ///
    /// # Errors
    /// The store's.
    pub async fn was_link(
        &self,
        link: Link<'_>,
        issued: &str,
        expires: &str,
        seal: &str,
    ) -> Result<bool, StoreError> {
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let (Some(issued), Some(expires)) = (number(issued), number(expires)) else { return Ok(false) };
        let key = self.link_key().await?;
        let good: String =
            link.seal(&key, issued, expires).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(bool::from(subtle::ConstantTimeEq::ct_eq(good.as_bytes(), seal.as_bytes())))
    }

    async fn link_key(&self) -> Result<[u8; 32], StoreError> {
        if let Some(key) = self.inner.link_key.get() {
            return Ok(*key);
        }
        for _ in 0..ATTEMPTS {
            if let Some(row) = self.store().row::<LinkKey>(&()).await? {
                return Ok(*self.inner.link_key.get_or_init(|| row.0));
            }
            let tx = self.store().begin();
            if tx.row::<LinkKey>(&()).await?.is_none() {
                tx.put::<LinkKey>(&(), &LinkKeyRow(self.world().random_bytes()));
                match tx.stage() {
                    Ok(staged) => drop(staged.durable().await?),
                    Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Err(StoreError::Conflict)
    }
}

/// The `mxc` address of a medium.
#[must_use]
pub fn mxc(server_name: &str, media_id: &str) -> String {
    format!("mxc://{server_name}/{media_id}")
}

/// Server and media id of an `mxc` address, if it is one.
#[must_use]
pub fn parse_mxc(text: &str) -> Option<(&str, &str)> {
    let (server, id) = text.strip_prefix("mxc://")?.split_once('/')?;
    let good = |id: &str| {
        (1..=255).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    (!server.is_empty() && server.len() <= 255 && good(id)).then_some((server, id))
}

/// Unpadded URL-safe base64 of a digest, as entity tags are written.
pub(crate) fn tag(sha256: &[u8; 32]) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_39_an_mxc_address_is_a_server_and_a_plain_id() {
        assert_eq!(parse_mxc("mxc://a.b:80/Ab_-9"), Some(("a.b:80", "Ab_-9")));
        for bad in
            ["mxc://a/../b", "mxc://a/b/c", "mxc:///b", "http://a/b", "mxc://a/", "mxc://a/..", "mxc://a/%2e"]
        {
            assert_eq!(parse_mxc(bad), None, "{bad}");
        }
    }
}
