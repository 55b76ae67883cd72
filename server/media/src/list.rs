//! Lists of media, for those who look after the server.

use nexus_event_store::{Scan, UserNo, codec::Text};

use crate::{
    Media, MediaError, Medium,
    tables::{Media as MediaRows, UserMedia},
};

impl Media {
    /// Media by id, after one of them.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<Medium>, MediaError> {
        let mut scan = Scan::prefix::<MediaRows>(&()).limit(limit);
        if let Some(after) = after {
            scan = scan.after::<MediaRows>(&Text::from(after));
        }
        let rows = self.store().scan::<MediaRows>(scan).await?;
        self.present(rows.into_iter().map(|(id, _)| id)).await
    }

    /// The same of one uploader.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_of(
        &self,
        user: UserNo,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Medium>, MediaError> {
        let mut scan = Scan::prefix::<UserMedia>(&user).limit(limit);
        if let Some(after) = after {
            scan = scan.after::<UserMedia>(&(user, Text::from(after)));
        }
        let rows = self.store().scan::<UserMedia>(scan).await?;
        self.present(rows.into_iter().map(|((_, id), ())| id)).await
    }

    /// Those that were not removed meanwhile.
    async fn present(&self, ids: impl Iterator<Item = Text>) -> Result<Vec<Medium>, MediaError> {
        let mut media = Vec::new();
        for id in ids {
            match self.medium(&id.0).await {
                Ok(medium) => media.push(medium),
                Err(MediaError::Unknown | MediaError::NotYetUploaded) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(media)
    }
}
