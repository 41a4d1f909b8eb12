//! Where the bodies of jobs wait, and where the errors of their records are kept.

use std::fmt::Debug;
use std::pin::Pin;

use async_trait::async_trait;
use futures_core::Stream;

use crate::error::StorageError;
use crate::record::RecordId;

/// What a spool keeps of a job, a file each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpoolPart {
    /// The body, as it was sent.
    Body,
    /// What is wrong with the records, before the records themselves are looked up.
    Causes,
    /// What is wrong with the records, and the records.
    Errors,
}

impl SpoolPart {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Body, Self::Causes, Self::Errors];
}

/// A file of a spool, to be read from its beginning.
pub struct Spooled {
    /// How long it is.
    pub bytes: u64,
    /// Its pieces, each of moderate size. After an error nothing follows.
    pub pieces: Pin<Box<dyn Stream<Item = Result<Vec<u8>, StorageError>> + Send>>,
}

impl Debug for Spooled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spooled")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Files of jobs, kept beside the engine by the server that runs the jobs. Nobody but one
/// server has a spool.
#[async_trait]
pub trait Spool: Debug + Send + Sync + 'static {
    /// What tells this spool from those of other servers, and stays the same when the server
    /// starts again.
    async fn name(&self) -> Result<String, StorageError>;

    /// Begins a file, in place of the one that the job has. Answers
    /// [`StorageError::StorageFull`] where there is no room, as does every write to it.
    async fn create(
        &self,
        job: RecordId,
        part: SpoolPart,
    ) -> Result<Box<dyn SpoolWriter>, StorageError>;

    /// Opens a finished file; none where there is none.
    async fn open(&self, job: RecordId, part: SpoolPart) -> Result<Option<Spooled>, StorageError>;

    /// Removes a file; does nothing where there is none.
    async fn remove(&self, job: RecordId, part: SpoolPart) -> Result<(), StorageError>;

    /// Every finished file and its length, in any order.
    async fn list(&self) -> Result<Vec<(RecordId, SpoolPart, u64)>, StorageError>;
}

/// A file of a spool in the making. It is not there until it is finished; dropped before, it
/// leaves nothing behind.
#[async_trait]
pub trait SpoolWriter: Debug + Send {
    /// Appends.
    async fn write(&mut self, piece: &[u8]) -> Result<(), StorageError>;

    /// Ends the file and answers once it and its name are durable.
    async fn finish(self: Box<Self>) -> Result<(), StorageError>;
}
