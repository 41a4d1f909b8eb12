//! The catalog, measured.

use std::sync::Arc;

use async_trait::async_trait;

use staffa_domain::ports::{SchemaCatalog, SchemaChange, SchemaVersion, StoredSchema};
use staffa_domain::{SchemaSnapshot, StorageError};

use crate::metrics::Registry;

use super::operation::Operation;

#[derive(Debug)]
pub(super) struct MeteredCatalog {
    inner: Arc<dyn SchemaCatalog>,
    load: Arc<Operation>,
    apply: Arc<Operation>,
    versions: Arc<Operation>,
    ensure: Arc<Operation>,
}

impl MeteredCatalog {
    pub(super) fn new(inner: Arc<dyn SchemaCatalog>, registry: &Registry) -> Self {
        let operation = |name| Operation::new(registry, "catalog", name);
        Self {
            inner,
            load: operation("load"),
            apply: operation("apply"),
            versions: operation("versions"),
            ensure: operation("ensure"),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SchemaCatalog for MeteredCatalog {
    async fn load(&self) -> Result<Vec<StoredSchema>, StorageError> {
        self.load.time(self.inner.load()).await
    }

    async fn apply(&self, change: SchemaChange) -> Result<(), StorageError> {
        self.apply.time(self.inner.apply(change)).await
    }

    async fn versions(&self, name: &str) -> Result<Vec<SchemaVersion>, StorageError> {
        self.versions.time(self.inner.versions(name)).await
    }

    async fn ensure(&self, schema: &Arc<SchemaSnapshot>) -> Result<(), StorageError> {
        self.ensure.time(self.inner.ensure(schema)).await
    }

    // Not timed: how long nothing changes says nothing about the engine.
    async fn changed(&self) {
        self.inner.changed().await;
    }
}
