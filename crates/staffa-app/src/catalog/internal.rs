//! Schemas that the program keeps for itself: in the engine like any other, and in no listing.

use std::sync::{Arc, PoisonError};

use staffa_codec::document;
use staffa_domain::ports::SchemaChange;
use staffa_domain::{SchemaSnapshot, StorageError};

use super::Catalog;

impl Catalog {
    /// Makes sure that an internal schema is stored. Servers may do so at the same moment.
    pub(crate) async fn keep_internal(
        &self,
        schema: &Arc<SchemaSnapshot>,
    ) -> Result<(), StorageError> {
        if self.internal(schema.name()) == Some(true) {
            return Ok(());
        }
        let change = SchemaChange::Create {
            to: Arc::clone(schema),
            document: document::write_stored(schema),
        };
        match self.port.apply(change).await {
            Ok(()) => {}
            // It was there before this server, or another one came first.
            Err(StorageError::SchemaMoved { .. }) => self.port.ensure(schema).await?,
            Err(error) => return Err(error),
        }
        let known = self.internal.write();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        known.insert(schema.name().to_owned(), true);
        Ok(())
    }

    /// Whether anything can be stored by an internal schema.
    pub(crate) fn has_internal(&self, schema: &SchemaSnapshot) -> bool {
        self.internal(schema.name()).is_some()
    }

    pub(super) fn note_internal(&self, name: String) {
        let known = self.internal.write();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        known.entry(name).or_insert(false);
    }

    fn internal(&self, name: &str) -> Option<bool> {
        let known = self.internal.read();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.get(name).copied()
    }
}
