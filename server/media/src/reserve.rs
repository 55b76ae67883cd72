//! Addresses that are given out before their content comes (Matrix v1.7, asynchronous uploads).

use nexus_event_store::{Rows as _, Scan, StoreError, UserNo, codec::Text};

use crate::{
    Media, MediaError,
    tables::{ReservationRow, Reservations},
};

/// How long an address waits for its content.
const LIFETIME_MS: u64 = 24 * 60 * 60 * 1000;
/// How many a user may have that were not used.
const PER_USER_MAX: usize = 100;
/// How many there may be in all: they are counted by reading them.
const IN_ALL_MAX: usize = 10_000;

/// A reserved address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The medium's future id.
    pub id: String,
    /// Until when its content must have come.
    pub expires_ms: u64,
}

impl Media {
    /// Reserves an address.
    ///
    /// # Errors
    /// [`MediaError::TooManyReserved`], the store's.
    pub async fn reserve(&self, uploader: UserNo) -> Result<Reservation, MediaError> {
        let now = self.world().now().0;
        let tx = self.store().begin();
        let scan = Scan::prefix::<Reservations>(&()).limit(IN_ALL_MAX);
        let rows = self.store().scan::<Reservations>(scan).await?;
        let (gone, live): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, row)| row.expires_ms <= now);
        for (id, _) in gone {
            tx.delete::<Reservations>(&id);
        }
        let own = live.iter().filter(|(_, row)| row.uploader == uploader).count();
        if own >= PER_USER_MAX || live.len() >= IN_ALL_MAX {
            return Err(MediaError::TooManyReserved { limit: PER_USER_MAX });
        }
        let row = ReservationRow { uploader, expires_ms: now + LIFETIME_MS };
        let id = self.random_id();
        tx.put::<Reservations>(&Text::from(id.as_str()), &row);
        tx.stage()?.durable().await?;
        Ok(Reservation { id, expires_ms: row.expires_ms })
    }

    pub(crate) async fn reservation(&self, id: &str) -> Result<Option<ReservationRow>, StoreError> {
        let now = self.world().now().0;
        let row = self.store().row::<Reservations>(&Text::from(id)).await?;
        Ok(row.filter(|row| row.expires_ms > now))
    }

    pub(crate) async fn why_missing(&self, id: &str) -> Result<MediaError, StoreError> {
        let reserved = self.reservation(id).await?.is_some();
        Ok(if reserved { MediaError::NotYetUploaded } else { MediaError::Unknown })
    }
}
