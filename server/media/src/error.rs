//! What can go wrong with media.

use nexus_event_store::StoreError;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// No such medium on this server.
    #[error("there is no such medium")]
    Unknown,
    /// Its address is reserved, its content has not come yet.
    #[error("the medium has not been uploaded yet")]
    NotYetUploaded,
    /// Its content was uploaded before.
    #[error("the medium was uploaded already")]
    AlreadyUploaded,
    /// The address was reserved by somebody else.
    #[error("the medium was reserved by another user")]
    NotYours,
    /// Too many addresses are reserved and not used.
    #[error("more than {limit} uploads are reserved and not begun")]
    TooManyReserved {
        /// How many one user may have.
        limit: usize,
    },
    /// Too many uploads of one user are under way.
    #[error("more than {limit} uploads are under way")]
    TooManyAtOnce {
        /// How many one user may have.
        limit: usize,
    },
    /// Larger than the operator allows.
    #[error("the file has more than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// The client's body ended before it was whole.
    #[error("the upload was interrupted")]
    Interrupted,
    /// The content is no picture that is understood here, or one that is too large to decode.
    #[error("there is no thumbnail of this: {0}")]
    NotAPicture(&'static str),
    /// The range asked for lies outside of the content.
    #[error("the range is outside of the {bytes} bytes there are")]
    OutOfRange {
        /// The size of the content.
        bytes: u64,
    },
    /// Where the content is kept does not answer, or has lost it.
    #[error("the media storage failed: {0}")]
    Storage(#[from] object_store::Error),
    /// The event store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MediaError {
    /// Whether the storage has no room left.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Store(StoreError::Kv(nexus_event_store::kv::KvError::DiskFull)) => true,
            Self::Storage(error) => {
                let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
                while let Some(error) = cause {
                    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
                    if matches!(
                        kind,
                        Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
                    ) {
                        return true;
                    }
                    cause = error.source();
                }
                false
            }
            _ => false,
        }
    }
}
