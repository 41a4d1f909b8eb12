//! Another writer, who is first when this process is about to change something.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use staffa_domain::ports::{RecordWriter, WriteSession};
use staffa_domain::{Operation, Outcome, SchemaSnapshot, StorageError, WriteOptions};

/// What the rival does before these operations, if they concern him, with how often he is still
/// first.
type Move = fn(&[Operation], usize) -> Option<Operation>;

pub(crate) struct Rival {
    inner: Arc<dyn RecordWriter>,
    left: AtomicUsize,
    theirs: Move,
}

impl fmt::Debug for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rival")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Rival {
    /// A rival who is first so many times.
    pub(crate) fn new(inner: Arc<dyn RecordWriter>, times: usize, theirs: Move) -> Self {
        Self {
            inner,
            left: AtomicUsize::new(times),
            theirs,
        }
    }
}

#[async_trait]
impl RecordWriter for Rival {
    async fn begin(
        &self,
        schema: &Arc<SchemaSnapshot>,
        options: WriteOptions,
    ) -> Result<Box<dyn WriteSession>, StorageError> {
        self.inner.begin(schema, options).await
    }

    async fn execute(&self, operations: Vec<Operation>) -> Result<Outcome, StorageError> {
        let left = self.left.load(Ordering::SeqCst);
        if left > 0
            && let Some(theirs) = (self.theirs)(&operations, left)
        {
            self.left.store(left - 1, Ordering::SeqCst);
            self.inner.execute(vec![theirs]).await?;
        }
        self.inner.execute(operations).await
    }
}
