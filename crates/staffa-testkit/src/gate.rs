//! A gate before the changes of schemas, so that a test can look at what is while one is under way.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use staffa_domain::ports::{SchemaCatalog, SchemaChange, SchemaVersion, StoredSchema};
use staffa_domain::{SchemaName, SchemaSnapshot, StorageError};

/// Holds changes of schemas up, but for those of internal schemas. Clones are the same gate,
/// which is open at first.
#[derive(Debug, Clone)]
pub struct ChangeGate {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl ChangeGate {
    /// A gate, and the catalog behind it.
    pub fn before(inner: Arc<dyn SchemaCatalog>) -> (Self, Arc<dyn SchemaCatalog>) {
        let gate = Self {
            open: watch::Sender::new(true),
            waiting: watch::Sender::new(0),
        };
        let catalog = Gated {
            inner,
            gate: gate.clone(),
        };
        (gate, Arc::new(catalog))
    }

    /// Lets no change through any more.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// Lets through what waits, and what comes.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// How many changes wait.
    pub fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    /// Returns once a change waits.
    pub async fn until_one_waits(&self) {
        let mut waiting = self.waiting.subscribe();
        // The sender is a part of this, so that it cannot go first.
        let _ = waiting.wait_for(|count| *count > 0).await;
    }

    async fn pass(&self) {
        self.waiting.send_modify(|count| *count += 1);
        let mut open = self.open.subscribe();
        let _ = open.wait_for(|is_open| *is_open).await;
        self.waiting.send_modify(|count| *count -= 1);
    }
}

#[derive(Debug)]
struct Gated {
    inner: Arc<dyn SchemaCatalog>,
    gate: ChangeGate,
}

#[async_trait]
impl SchemaCatalog for Gated {
    async fn load(&self) -> Result<Vec<StoredSchema>, StorageError> {
        self.inner.load().await
    }

    async fn apply(&self, change: SchemaChange) -> Result<(), StorageError> {
        if !SchemaName::is_internal(change.schema().name()) {
            self.gate.pass().await;
        }
        self.inner.apply(change).await
    }

    async fn versions(&self, name: &str) -> Result<Vec<SchemaVersion>, StorageError> {
        self.inner.versions(name).await
    }

    async fn ensure(&self, schema: &Arc<SchemaSnapshot>) -> Result<(), StorageError> {
        self.inner.ensure(schema).await
    }

    async fn changed(&self) {
        self.inner.changed().await;
    }
}
