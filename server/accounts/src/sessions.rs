//! Sessions: giving a device its tokens, and taking them away again.
//!
//! A session lives on a device. A lasting one has a single access token that is good until it is revoked;
//! a refreshable one has an access token with a short life and a refresh token (see `refresh.rs`).
//! **Invariant**: a device has one session; starting one ends the one before it.

use std::time::Duration;

use nexus_event_store::{Rows, Snowflake, StoreError, Tx, UserNo, codec::Text};
use ruma::OwnedUserId;

use crate::{
    AccountError, Accounts, Login,
    decide::Revoked,
    tables::{
        AccessRow, AccessTokens, DeviceList, DeviceRow, Devices, FamilyRow, RefreshState, RefreshTokens,
        UserDevices,
    },
    tokens::{self, RefreshToken},
};

/// A user has at most this many devices; one more ends the oldest.
const DEVICES_MAX: usize = 1000;

const DEVICE_ID_BYTES_MAX: usize = 255;
const DEVICE_NAME_BYTES_MAX: usize = 255;

/// What a client asks of a new session.
#[derive(Clone, Debug, Default)]
pub struct SessionRequest {
    /// The device to use again, or the id for a new one; `None` makes one up.
    pub device_id: Option<String>,
    /// The name of a new device.
    pub device_name: Option<String>,
    /// A short access token and a refresh token, instead of one lasting access token.
    pub refreshable: bool,
}

/// A session as its client gets it: the only moment at which its tokens are known.
#[derive(Clone)]
pub struct Session {
    /// Whose it is, and on which device.
    pub login: Login,
    /// The access token.
    pub access_token: String,
    /// The refresh token of a refreshable session.
    pub refresh_token: Option<String>,
    /// How long the access token is good; `None` = until it is revoked.
    pub expires_in: Option<Duration>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("login", &self.login).finish_non_exhaustive()
    }
}

/// Who gets a session.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) user: UserNo,
    pub(crate) user_id: OwnedUserId,
    /// The bot's id, which its token names.
    pub(crate) bot: Option<Snowflake>,
}

impl SessionRequest {
    /// Refuses device ids that are no use as one.
    pub(crate) fn check(&self) -> Result<(), AccountError> {
        match &self.device_id {
            Some(id) if !is_device_id(id) => Err(AccountError::InvalidDevice),
            _ => check_device_name(self.device_name.as_deref()),
        }
    }
}

pub(crate) fn check_device_name(name: Option<&str>) -> Result<(), AccountError> {
    match name {
        Some(name) if name.len() > DEVICE_NAME_BYTES_MAX => {
            Err(AccountError::FieldTooLong { field: "display_name", bytes_max: DEVICE_NAME_BYTES_MAX })
        }
        _ => Ok(()),
    }
}

fn is_device_id(id: &str) -> bool {
    (1..=DEVICE_ID_BYTES_MAX).contains(&id.len()) && !id.chars().any(char::is_control)
}

impl Accounts {
    /// Gives `holder` a session within `tx`. The hashes are those of the tokens it replaces.
    pub(crate) async fn start_session(
        &self,
        tx: &Tx,
        holder: &Holder,
        request: &SessionRequest,
    ) -> Result<(Session, Revoked), StoreError> {
        let device = request.device_id.clone().unwrap_or_else(|| self.new_device_id());
        let (mut row, mut revoked) = match tx.row::<Devices>(&(holder.user, Text(device.clone()))).await? {
            Some(row) => (row, Vec::new()),
            None => {
                let display_name = request.device_name.clone();
                let row = DeviceRow { created_ms: self.now_ms(), display_name, ..DeviceRow::default() };
                (row, enlist_device(tx, holder.user, &device).await?)
            }
        };
        revoked.extend(end_session(tx, holder.user, &mut row));
        row.last_used_ms = self.now_ms();
        let refresh = request.refreshable.then(|| RefreshToken::first(self.store.world()));
        if let Some(refresh) = &refresh {
            let family = FamilyRow { user: holder.user, device: device.clone() };
            tx.put::<RefreshTokens>(&refresh.family_hash(), &family);
            row.refresh = Some(RefreshState {
                family: refresh.family_hash(),
                current: refresh.own_hash(),
                previous: None,
            });
        }
        let session = self.put_access_token(tx, holder, &device, &mut row, refresh.as_ref());
        tx.put::<Devices>(&(holder.user, Text(device)), &row);
        Ok((session, revoked))
    }

    /// Makes a new access token the device's newest; the caller writes the device's row.
    pub(crate) fn put_access_token(
        &self,
        tx: &Tx,
        holder: &Holder,
        device: &str,
        row: &mut DeviceRow,
        refresh: Option<&RefreshToken>,
    ) -> Session {
        let world = self.store.world();
        let minted = holder.bot.map_or_else(|| tokens::access(world), |id| tokens::bot(world, id));
        let expires_in = refresh.map(|_| self.inner.config.access_token_life);
        let life_ms = expires_in.map(|life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
        let expires_ms = life_ms.map(|life| self.now_ms().saturating_add(life));
        let has_predecessor = row.refresh.as_ref().is_some_and(|refresh| refresh.previous.is_some());
        let access = AccessRow {
            user: holder.user,
            user_id: holder.user_id.to_string(),
            device: device.to_owned(),
            is_bot: holder.bot.is_some(),
            expires_ms,
            unused_successor: has_predecessor,
        };
        tx.put::<AccessTokens>(&minted.hash, &access);
        row.access = Some(minted.hash);
        let login = Login {
            user: holder.user,
            user_id: holder.user_id.clone(),
            device: device.to_owned(),
            is_bot: access.is_bot,
            expires_ms,
        };
        let refresh_token = refresh.map(RefreshToken::text);
        Session { login, access_token: minted.token, refresh_token, expires_in }
    }

    /// Ten capital letters.
    fn new_device_id(&self) -> String {
        let bytes: [u8; 16] = self.store.world().random_bytes();
        bytes.iter().take(10).map(|byte| char::from(b'A' + byte % 26)).collect()
    }
}

/// Adds a device to the user's list; the oldest makes room if there are too many.
async fn enlist_device(tx: &Tx, user: UserNo, device: &str) -> Result<Revoked, StoreError> {
    let mut list = tx.row::<UserDevices>(&user).await?.unwrap_or_default();
    let mut revoked = Vec::new();
    while list.0.len() >= DEVICES_MAX {
        let oldest = list.0.remove(0);
        revoked.extend(delete_device_row(tx, user, &oldest).await?);
    }
    list.0.push(device.to_owned());
    tx.put::<UserDevices>(&user, &list);
    Ok(revoked)
}

/// Deletes those of a user's devices that `doomed` picks; gives the tokens that die with them.
pub(crate) async fn remove_devices(
    tx: &Tx,
    user: UserNo,
    doomed: impl Fn(&str) -> bool + Send,
) -> Result<Revoked, StoreError> {
    let list = tx.row::<UserDevices>(&user).await?.unwrap_or_default();
    let (gone, kept): (Vec<String>, Vec<String>) = list.0.into_iter().partition(|device| doomed(device));
    let mut revoked = Vec::new();
    for device in &gone {
        revoked.extend(delete_device_row(tx, user, device).await?);
    }
    if !gone.is_empty() {
        tx.put::<UserDevices>(&user, &DeviceList(kept));
    }
    Ok(revoked)
}

async fn delete_device_row(tx: &Tx, user: UserNo, device: &str) -> Result<Revoked, StoreError> {
    let key = (user, Text::from(device));
    let Some(mut row) = tx.row::<Devices>(&key).await? else { return Ok(Vec::new()) };
    let revoked = end_session(tx, user, &mut row);
    tx.delete::<Devices>(&key);
    Ok(revoked)
}

/// Takes a device's tokens away; the caller writes or deletes the device's row.
pub(crate) fn end_session(tx: &Tx, user: UserNo, row: &mut DeviceRow) -> Revoked {
    if let Some(refresh) = row.refresh.take() {
        tx.delete::<RefreshTokens>(&refresh.family);
    }
    let revoked: Vec<_> = row.access.take().into_iter().chain(row.previous_access.take()).collect();
    for hash in &revoked {
        tx.delete::<AccessTokens>(hash);
    }
    revoked.into_iter().map(|hash| (user, hash)).collect()
}
