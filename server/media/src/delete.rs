//! Removing media, and what interrupted work left behind.

use nexus_event_store::{Rows as _, Scan, StoreError, UserNo, codec::Text};

use crate::{
    Media, MediaError,
    tables::{BlobRow, Blobs as BlobRows, Media as MediaRows, PendingObjects, UserMedia},
};

const ATTEMPTS: usize = 32;
/// Rows looked at together.
const STEP: usize = 256;

impl Media {
    /// Removes a medium, and its content if no other medium has it.
    ///
    /// # Errors
    /// [`MediaError::Unknown`], the store's. What the storage fails to remove is removed at a later start.
    pub async fn delete(&self, id: &str) -> Result<(), MediaError> {
        let key = Text::from(id);
        for _ in 0..ATTEMPTS {
            let tx = self.store().begin();
            let row = tx.row::<MediaRows>(&key).await?.ok_or(MediaError::Unknown)?;
            let blob = tx.row::<BlobRows>(&row.blob).await?.ok_or(StoreError::Missing { table: "blobs" })?;
            tx.delete::<MediaRows>(&key);
            tx.delete::<UserMedia>(&(row.uploader, key.clone()));
            let orphan = (blob.uses <= 1).then(|| blob.object.clone());
            match &orphan {
                Some(object) => {
                    tx.delete::<BlobRows>(&row.blob);
                    tx.put::<PendingObjects>(&Text::from(object.as_str()), &self.world().now().0);
                }
                None => tx.put::<BlobRows>(&row.blob, &BlobRow { uses: blob.uses - 1, ..blob }),
            }
            let outcome = match tx.stage() {
                Ok(staged) => staged.durable().await.map(drop),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => {
                    if let Some(object) = orphan {
                        self.discard(&object).await;
                    }
                    return Ok(());
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// Removes everything that `user` uploaded; gives how many files.
    ///
    /// # Errors
    /// Those of [`Media::delete`].
    pub async fn delete_all_of(&self, user: UserNo) -> Result<usize, MediaError> {
        let mut removed = 0;
        loop {
            let scan = Scan::prefix::<UserMedia>(&user).limit(STEP);
            let rows = self.store().scan::<UserMedia>(scan).await?;
            if rows.is_empty() {
                return Ok(removed);
            }
            for ((_, id), ()) in rows {
                match self.delete(&id.0).await {
                    Ok(()) => removed += 1,
                    Err(MediaError::Unknown) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Removes the objects that uploads and removals left when the server stopped in their middle. Must run
    /// before the first upload.
    ///
    /// # Errors
    /// The storage's, the store's.
    pub async fn clean_up(&self) -> Result<usize, MediaError> {
        let mut removed = 0;
        loop {
            let scan = Scan::prefix::<PendingObjects>(&()).limit(STEP);
            let rows = self.store().scan::<PendingObjects>(scan).await?;
            if rows.is_empty() {
                return Ok(removed);
            }
            for (object, _) in rows {
                self.remove_object(&object.0).await?;
                removed += 1;
            }
        }
    }

    /// Removes an object that no blob names. If that fails, the next start does it.
    pub(crate) async fn discard(&self, object: &str) {
        if let Err(error) = self.remove_object(object).await {
            tracing::warn!(%error, "an object that nothing needs stays until the next start");
        }
    }

    async fn remove_object(&self, object: &str) -> Result<(), MediaError> {
        self.inner.blobs.remove(object).await?;
        let tx = self.store().begin();
        tx.delete::<PendingObjects>(&Text::from(object));
        tx.stage()?.durable().await?;
        Ok(())
    }
}
