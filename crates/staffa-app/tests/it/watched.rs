//! A writer that tells what it is about to do, so that a test can step in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use staffa_domain::ports::{RecordWriter, WriteSession};
use staffa_domain::{Operation, Outcome, SchemaSnapshot, StorageError, WriteOptions};

/// Called with the schema that it concerns.
type Watch = Box<dyn Fn(&str, Doing) + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// A session is about to begin, which waits so long for its turn at most.
    Begin(Option<Duration>),
    /// An operation was carried out.
    Done,
}

pub(crate) struct Watched {
    inner: Arc<dyn RecordWriter>,
    watch: Watch,
}

impl Watched {
    pub(crate) fn new(
        inner: Arc<dyn RecordWriter>,
        watch: impl Fn(&str, Doing) + Send + Sync + 'static,
    ) -> Self {
        let watch = Box::new(watch);
        Self { inner, watch }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

#[async_trait]
impl RecordWriter for Watched {
    async fn begin(
        &self,
        schema: &Arc<SchemaSnapshot>,
        options: WriteOptions,
    ) -> Result<Box<dyn WriteSession>, StorageError> {
        (self.watch)(schema.name(), Doing::Begin(options.turn_within));
        self.inner.begin(schema, options).await
    }

    async fn execute(&self, operations: Vec<Operation>) -> Result<Outcome, StorageError> {
        let schemas: Vec<_> = operations
            .iter()
            .map(|it| Arc::clone(it.schema()))
            .collect();
        let outcome = self.inner.execute(operations).await?;
        for schema in schemas {
            (self.watch)(schema.name(), Doing::Done);
        }
        Ok(outcome)
    }
}
