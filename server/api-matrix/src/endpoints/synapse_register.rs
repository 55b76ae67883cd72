//! `GET` and `POST /_synapse/admin/v1/register`: registration by whoever knows the shared secret.
//!
//! As Synapse has it, for the tools that use it: a nonce, then the wanted account under an HMAC-SHA1 of nonce,
//! name, password and role, joined by NUL. **Bounds**: [`NONCES_MAX`] nonces for [`NONCE_TIME`], each good once.
//! **Errors**: 403 for a wrong MAC, 400 for an unknown nonce; without a secret there is no such endpoint.
//! **Source**: Synapse's documentation, "Shared-Secret Registration".

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Json, extract::State};
use hmac::{Hmac, Mac as _};
use nexus_accounts::{Accounts, NewAccount};
use nexus_event_store::world::World;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha1::Sha1;

use super::login::{session_fields, session_request};
use crate::{api::MatrixConfig, body::Fields, error::ApiError};

const NONCES_MAX: usize = 1000;
const NONCE_TIME: Duration = Duration::from_secs(60);

/// The nonces that were given out, with when.
#[derive(Default)]
pub(crate) struct Nonces(Mutex<BTreeMap<String, Duration>>);

impl Nonces {
    fn give(&self, world: &World) -> String {
        let now = world.clock.monotonic();
        let bytes: [u8; 32] = world.random_bytes();
        let nonce: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut nonces = self.0.lock();
        nonces.retain(|_, given| now.saturating_sub(*given) <= NONCE_TIME);
        while nonces.len() >= NONCES_MAX
            && let Some(oldest) =
                nonces.iter().min_by_key(|(_, given)| **given).map(|(nonce, _)| nonce.clone())
        {
            nonces.remove(&oldest);
        }
        nonces.insert(nonce.clone(), now);
        nonce
    }

    /// Whether a nonce was given out lately; it is used up.
    fn take(&self, nonce: &str, world: &World) -> bool {
        let given = self.0.lock().remove(nonce);
        given.is_some_and(|given| world.clock.monotonic().saturating_sub(given) <= NONCE_TIME)
    }
}

/// A nonce.
pub(crate) async fn nonce(
    State(config): State<Arc<MatrixConfig>>,
    State(nonces): State<Arc<Nonces>>,
    State(world): State<World>,
) -> Result<Json<Value>, ApiError> {
    config.shared_secret.as_ref().ok_or_else(ApiError::unrecognized)?;
    Ok(Json(json!({ "nonce": nonces.give(&world) })))
}

/// Makes an account, whatever the registration mode says.
pub(crate) async fn register(
    State(config): State<Arc<MatrixConfig>>,
    State(nonces): State<Arc<Nonces>>,
    State(world): State<World>,
    State(accounts): State<Accounts>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let secret = config.shared_secret.as_ref().ok_or_else(ApiError::unrecognized)?;
    let nonce = body.required_string("nonce")?;
    let username = body.required_string("username")?;
    let password = body.required_string("password")?;
    let admin = body.boolean("admin")?;
    let user_type = body.string("user_type")?;
    let display_name = body.string("displayname")?;
    let mac = body.required_string("mac")?;
    let inhibit_login = body.boolean("inhibit_login")?;
    let session = session_request(&mut body)?;
    if !nonces.take(&nonce, &world) {
        return Err(ApiError::unknown_choice("the nonce is not known"));
    }
    if [&username, &password].into_iter().any(|text| text.contains('\0')) {
        return Err(ApiError::invalid_param("username and password must not contain NUL"));
    }
    let role = if admin { "admin" } else { "notadmin" };
    let mut signed = vec![nonce.as_str(), &username, &password, role];
    signed.extend(user_type.as_deref());
    if !is_signed(secret, &signed.join("\0"), &mac) {
        return Err(ApiError::forbidden("the MAC is not right"));
    }
    let session = (!inhibit_login).then_some(session);
    let new = NewAccount {
        username: Some(username),
        password,
        email: None,
        email_proof: None,
        invite: None,
        session,
    };
    let made = accounts.create_account(new, admin).await?;
    if display_name.is_some() {
        accounts.set_display_name(made.account.user, display_name).await?;
    }
    let home_server = accounts.server_name().as_str();
    let mut reply = made.session.as_ref().map(session_fields).unwrap_or_default();
    reply.insert("user_id".to_owned(), made.account.user_id.as_str().into());
    reply.insert("home_server".to_owned(), home_server.into());
    Ok(Json(reply.into()))
}

/// Compares in constant time.
fn is_signed(secret: &str, text: &str, mac: &str) -> bool {
    let Ok(mut hmac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return false };
    hmac.update(text.as_bytes());
    from_hex(mac).is_some_and(|mac| hmac.verify_slice(&mac).is_ok())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 40)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_those_of_the_standard() {
        // RFC 2202, case 2.
        let mac = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
        assert!(is_signed("Jefe", "what do ya want for nothing?", mac));
        assert!(is_signed("Jefe", "what do ya want for nothing?", &mac.to_uppercase()));
        for wrong in ["", "ef", &mac[..38], &format!("{mac}00"), &mac.replace('e', "f"), &"é".repeat(20)] {
            assert!(!is_signed("Jefe", "what do ya want for nothing?", wrong), "{wrong}");
        }
    }
}
