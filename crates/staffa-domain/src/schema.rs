//! What a user declares: a schema, its properties, and the versions it goes through.

mod constraint;
mod layout;
mod name;
mod property;
mod rules;
mod snapshot;

#[cfg(test)]
mod tests;

pub use constraint::{Constraints, Pattern};
pub use layout::data_type;
pub use name::{NameError, PropertyName, SchemaName};
pub use property::{DecimalSize, Property, PropertyType};
pub use rules::{SchemaProblem, check};
pub use snapshot::{PropertyId, SchemaSnapshot};

/// What to do with a property that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownProperties {
    /// Refuse the record.
    #[default]
    Reject,
    /// Leave the property out.
    Ignore,
}

/// A declared kind of data. Made from a document; [`check`] says whether it holds together.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Its name, unique in a server.
    pub name: SchemaName,
    /// Free text for people.
    pub description: Option<String>,
    /// Properties that are unique together; empty when there is no natural key.
    pub primary_key: Vec<PropertyName>,
    /// No update, no delete, no index on the id: the fastest ingest.
    pub append_only: bool,
    /// What happens to properties that are not declared.
    pub unknown_properties: UnknownProperties,
    /// The property by which a distributed engine spreads records; the id when absent.
    pub distributed_by: Option<PropertyName>,
    /// The properties in the order of the document.
    pub properties: Vec<Property>,
}

impl Schema {
    /// A schema with these properties and no key, which refuses what it does not know.
    pub const fn new(name: SchemaName, properties: Vec<Property>) -> Self {
        Self {
            name,
            description: None,
            primary_key: Vec::new(),
            append_only: false,
            unknown_properties: UnknownProperties::Reject,
            distributed_by: None,
            properties,
        }
    }

    /// The position of a property by its name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.properties
            .iter()
            .position(|property| property.name.as_str() == name)
    }

    /// Every group of properties that must be unique together: the primary key first,
    /// then each `unique` property alone, as positions.
    pub fn unique_groups(&self) -> Vec<Vec<usize>> {
        let key: Vec<usize> = self
            .primary_key
            .iter()
            .filter_map(|name| self.position(name.as_str()))
            .collect();
        let mut groups = Vec::new();
        if !key.is_empty() {
            groups.push(key);
        }
        for (position, property) in self.properties.iter().enumerate() {
            if property.unique && !groups.contains(&vec![position]) {
                groups.push(vec![position]);
            }
        }
        groups
    }

    /// Whether these positions, in any order, are a group that must be unique together.
    pub fn is_unique_group(&self, positions: &[usize]) -> bool {
        self.unique_groups().iter().any(|group| {
            group.len() == positions.len() && group.iter().all(|at| positions.contains(at))
        })
    }
}
