//! A schema at one version, with all that a request needs to know of it, shared by `Arc`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::SchemaRef;

use crate::schema::{Schema, layout};

/// A property's number within its schema, never used again: the stable physical name
/// that makes renaming free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PropertyId(pub u32);

/// One schema at one version. A request takes a snapshot once and keeps it to its end.
#[derive(Debug)]
pub struct SchemaSnapshot {
    schema: Schema,
    version: u32,
    property_ids: Vec<PropertyId>,
    next_property_id: u32,
    positions: HashMap<String, usize>,
    record_layout: SchemaRef,
    property_layout: SchemaRef,
}

impl SchemaSnapshot {
    /// The first version of a new schema: its properties are numbered from one.
    pub fn first(schema: Schema) -> Self {
        let count = u32::try_from(schema.properties.len()).unwrap_or(u32::MAX);
        let ids = (1..=count).map(PropertyId).collect();
        Self::restore(schema, 1, ids, count.saturating_add(1))
    }

    /// A stored version. `property_ids` names each property in order; `next_property_id` is
    /// the number that the next new property takes.
    pub fn restore(
        schema: Schema,
        version: u32,
        property_ids: Vec<PropertyId>,
        next_property_id: u32,
    ) -> Self {
        debug_assert_eq!(
            schema.properties.len(),
            property_ids.len(),
            "one id a property"
        );
        let positions = schema
            .properties
            .iter()
            .enumerate()
            .map(|(position, property)| (property.name.as_str().to_owned(), position))
            .collect();
        let record_layout = Arc::new(layout::record_layout(&schema));
        let property_layout = Arc::new(layout::property_layout(&schema));
        Self {
            schema,
            version,
            property_ids,
            next_property_id,
            positions,
            record_layout,
            property_layout,
        }
    }

    /// The declaration.
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The schema's name as text.
    pub fn name(&self) -> &str {
        self.schema.name.as_str()
    }

    /// The version, from one.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// The number of the property at each position.
    pub fn property_ids(&self) -> &[PropertyId] {
        &self.property_ids
    }

    /// The number that the next new property will take.
    pub const fn next_property_id(&self) -> u32 {
        self.next_property_id
    }

    /// The position of a property by its name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    /// The Arrow schema of whole records: the system fields, then every property.
    pub const fn record_layout(&self) -> &SchemaRef {
        &self.record_layout
    }

    /// The Arrow schema of the properties alone.
    pub const fn property_layout(&self) -> &SchemaRef {
        &self.property_layout
    }
}
