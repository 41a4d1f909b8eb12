//! Schemas that the program keeps for itself: in the engine like any other, and in no listing.

use std::sync::{Arc, PoisonError};

use arrow_array::ArrayRef;
use staffa_codec::document;
use staffa_domain::batch::Origin;
use staffa_domain::ports::SchemaChange;
use staffa_domain::{
    DecodedBatch, Property, PropertyName, PropertyType, Schema, SchemaName, SchemaSnapshot,
    StorageError, ValidBatch, validate,
};

use super::Catalog;

/// An internal schema: each property by its name and type, and whether it is required.
pub(crate) fn internal_schema(
    name: &str,
    properties: &[(&str, PropertyType, bool)],
) -> Arc<SchemaSnapshot> {
    let property = |(name, property_type, required): &(&str, PropertyType, bool)| Property {
        required: *required,
        ..Property::new(
            PropertyName::new(name).expect("a property's name"),
            property_type.clone(),
        )
    };
    Arc::new(SchemaSnapshot::first(Schema::new(
        SchemaName::internal(name).expect("an internal name"),
        properties.iter().map(property).collect(),
    )))
}

/// One record of an internal schema, not yet stamped.
pub(crate) fn internal_record(
    schema: &Arc<SchemaSnapshot>,
    properties: Vec<ArrayRef>,
) -> Result<ValidBatch, StorageError> {
    let decoded = DecodedBatch {
        schema: Arc::clone(schema),
        properties,
        len: 1,
        given: None,
        origin: Origin {
            first: 0,
            lines: None,
        },
        errors: Vec::new(),
    };
    let (valid, errors) = validate(decoded);
    match errors.first() {
        None => Ok(valid),
        Some(error) => Err(StorageError::internal(error.message.clone())),
    }
}

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
