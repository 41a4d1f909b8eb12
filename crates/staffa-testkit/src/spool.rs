//! A spool in memory, whose reading a test can hold up, and the promises of the port as a test.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::watch;

use staffa_domain::ports::{Spool, SpoolPart, SpoolWriter, Spooled};
use staffa_domain::{RecordId, StorageError};

/// How long the pieces are that it gives.
const PIECE_BYTES: usize = 1 << 10;

type Files = Arc<Mutex<BTreeMap<(RecordId, SpoolPart), Vec<u8>>>>;

/// Keeps files in memory. Clones are the same spool, so that one outlives its server.
#[derive(Debug, Clone)]
pub struct MemorySpool {
    name: &'static str,
    files: Files,
    /// How many pieces of bodies may be read in all; more are waited for.
    readable: watch::Sender<u64>,
}

impl Default for MemorySpool {
    fn default() -> Self {
        Self::named("memory")
    }
}

impl MemorySpool {
    /// An empty spool of this name.
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            files: Files::default(),
            readable: watch::Sender::new(u64::MAX),
        }
    }

    /// Lets so many pieces of every body be read, and no more until this is called again.
    pub fn let_read(&self, pieces: u64) {
        self.readable.send_replace(pieces);
    }

    /// Loses a file, as a disk does.
    pub fn lose(&self, job: RecordId, part: SpoolPart) {
        self.files.lock().remove(&(job, part));
    }
}

#[async_trait]
impl Spool for MemorySpool {
    async fn name(&self) -> Result<String, StorageError> {
        Ok(self.name.to_owned())
    }

    async fn create(
        &self,
        job: RecordId,
        part: SpoolPart,
    ) -> Result<Box<dyn SpoolWriter>, StorageError> {
        Ok(Box::new(MemoryFile {
            files: Arc::clone(&self.files),
            key: (job, part),
            bytes: Vec::new(),
        }))
    }

    async fn open(&self, job: RecordId, part: SpoolPart) -> Result<Option<Spooled>, StorageError> {
        let Some(content) = self.files.lock().get(&(job, part)).cloned() else {
            return Ok(None);
        };
        let bytes = content.len() as u64;
        let pieces: Vec<Vec<u8>> = content.chunks(PIECE_BYTES).map(<[u8]>::to_vec).collect();
        let readable = self.readable.subscribe();
        let pieces = stream::iter((1_u64..).zip(pieces)).then(move |(number, piece)| {
            let mut readable = readable.clone();
            async move {
                if part == SpoolPart::Body {
                    // A spool that is gone has nothing more to hold up.
                    let _ = readable.wait_for(|most| number <= *most).await;
                }
                Ok(piece)
            }
        });
        Ok(Some(Spooled {
            bytes,
            pieces: pieces.boxed(),
        }))
    }

    async fn remove(&self, job: RecordId, part: SpoolPart) -> Result<(), StorageError> {
        self.lose(job, part);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<(RecordId, SpoolPart, u64)>, StorageError> {
        let files = self.files.lock();
        let files = files.iter();
        Ok(files
            .map(|((job, part), content)| (*job, *part, content.len() as u64))
            .collect())
    }
}

#[derive(Debug)]
struct MemoryFile {
    files: Files,
    key: (RecordId, SpoolPart),
    bytes: Vec<u8>,
}

#[async_trait]
impl SpoolWriter for MemoryFile {
    async fn write(&mut self, piece: &[u8]) -> Result<(), StorageError> {
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), StorageError> {
        self.files.lock().insert(self.key, self.bytes);
        Ok(())
    }
}

/// Checks what the port promises, on an empty spool.
///
/// # Panics
/// At the first promise that is not kept.
pub async fn check_spool(spool: &dyn Spool) {
    let [one, two] = [1, 2].map(crate::nth_id);
    assert_eq!(
        spool.name().await.expect("it answers"),
        spool.name().await.expect("it answers")
    );
    assert!(spool.list().await.expect("it answers").is_empty());
    assert_eq!(read(spool, one, SpoolPart::Body).await, None);
    let mut file = spool
        .create(one, SpoolPart::Body)
        .await
        .expect("it answers");
    file.write(b"one ").await.expect("it answers");
    file.write(b"two").await.expect("it answers");
    // It is there once it is finished.
    assert_eq!(read(spool, one, SpoolPart::Body).await, None);
    assert!(spool.list().await.expect("it answers").is_empty());
    file.finish().await.expect("it answers");
    let found = Some(b"one two".to_vec());
    assert_eq!(read(spool, one, SpoolPart::Body).await, found);
    // Parts and jobs have nothing in common.
    assert_eq!(read(spool, one, SpoolPart::Errors).await, None);
    assert_eq!(read(spool, two, SpoolPart::Body).await, None);
    // One that is given up leaves what was there.
    let mut given_up = spool
        .create(one, SpoolPart::Body)
        .await
        .expect("it answers");
    given_up.write(b"three").await.expect("it answers");
    drop(given_up);
    assert_eq!(read(spool, one, SpoolPart::Body).await, found);
    let long = b"0123456789".repeat(100_000);
    for (job, part) in [(one, SpoolPart::Body), (two, SpoolPart::Causes)] {
        let mut file = spool.create(job, part).await.expect("it answers");
        file.write(&long).await.expect("it answers");
        file.finish().await.expect("it answers");
        assert_eq!(read(spool, job, part).await.as_ref(), Some(&long));
    }
    let mut files = spool.list().await.expect("it answers");
    files.sort_unstable();
    let bytes = long.len() as u64;
    let expected = [
        (one, SpoolPart::Body, bytes),
        (two, SpoolPart::Causes, bytes),
    ];
    assert_eq!(files, expected);
    for _ in 0..2 {
        spool
            .remove(one, SpoolPart::Body)
            .await
            .expect("it answers");
        spool
            .remove(two, SpoolPart::Causes)
            .await
            .expect("it answers");
    }
    assert!(spool.list().await.expect("it answers").is_empty());
}

async fn read(spool: &dyn Spool, job: RecordId, part: SpoolPart) -> Option<Vec<u8>> {
    let file = spool.open(job, part).await.expect("it answers")?;
    let pieces: Vec<Vec<u8>> = file.pieces.try_collect().await.expect("it answers");
    let whole = pieces.concat();
    assert_eq!(whole.len() as u64, file.bytes);
    Some(whole)
}
