//! A user's devices.

use nexus_event_store::{Rows, Scan, UserNo, codec::Text};

use crate::{
    AccountError, Accounts,
    decide::Decision,
    sessions::{check_device_name, remove_devices},
    tables::{DeviceRow, Devices},
};

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its id, unique for the user.
    pub id: String,
    /// Its name.
    pub display_name: Option<String>,
    /// When it first logged in.
    pub created_ms: u64,
    /// When its session last got tokens.
    pub last_used_ms: u64,
    /// Whether it is logged in.
    pub has_session: bool,
}

impl Device {
    fn of_row(id: String, row: DeviceRow) -> Self {
        let has_session = row.access.is_some() || row.refresh.is_some();
        let DeviceRow { created_ms, display_name, last_used_ms, .. } = row;
        Self { id, display_name, created_ms, last_used_ms, has_session }
    }
}

impl Accounts {
    /// All devices of a user.
    ///
    /// # Errors
    /// The store's.
    pub async fn devices(&self, user: UserNo) -> Result<Vec<Device>, AccountError> {
        let rows = self.store.scan::<Devices>(Scan::prefix::<Devices>(&user)).await?;
        Ok(rows.into_iter().map(|((_, id), row)| Device::of_row(id.0, row)).collect())
    }

    /// One device of a user.
    ///
    /// # Errors
    /// The store's.
    pub async fn device(&self, user: UserNo, id: &str) -> Result<Option<Device>, AccountError> {
        let row = self.store.row::<Devices>(&(user, Text::from(id))).await?;
        Ok(row.map(|row| Device::of_row(id.to_owned(), row)))
    }

    /// Gives a device another name.
    ///
    /// # Errors
    /// [`AccountError::UnknownDevice`], [`AccountError::FieldTooLong`]; the store's.
    pub async fn rename_device(
        &self,
        user: UserNo,
        id: &str,
        name: Option<String>,
    ) -> Result<(), AccountError> {
        check_device_name(name.as_deref())?;
        let name = &name;
        self.decide(|tx| async move {
            let key = (user, Text::from(id));
            let mut row = tx.row::<Devices>(&key).await?.ok_or(AccountError::UnknownDevice)?;
            row.display_name.clone_from(name);
            tx.put::<Devices>(&key, &row);
            Ok(Decision::commit(tx, ()))
        })
        .await
    }

    /// Deletes a device with its tokens.
    ///
    /// # Errors
    /// [`AccountError::UnknownDevice`]; the store's.
    pub async fn delete_device(&self, user: UserNo, id: &str) -> Result<(), AccountError> {
        self.decide(|tx| async move {
            if tx.row::<Devices>(&(user, Text::from(id))).await?.is_none() {
                return Err(AccountError::UnknownDevice);
            }
            let revoked = remove_devices(&tx, user, |device| device == id).await?;
            Ok(Decision::Commit { tx, value: (), revoked })
        })
        .await
    }

    /// Deletes several devices with their tokens; unknown ones are passed over.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete_devices(&self, user: UserNo, ids: &[String]) -> Result<(), AccountError> {
        self.decide(|tx| async move {
            let revoked = remove_devices(&tx, user, |device| ids.iter().any(|id| id == device)).await?;
            Ok(Decision::Commit { tx, value: (), revoked })
        })
        .await
    }
}
