//! From one version of a schema to the next: the steps between them, what each costs, and
//! what the records there are must satisfy first.

mod apply;
mod constraint;
mod convert;
mod finding;
mod plan;
mod renames;
mod transition;

#[cfg(test)]
mod tests;

use std::fmt;

pub use constraint::{Constraint, ConstraintKey};
pub use convert::convert;
pub use finding::{EXAMPLES_MAX, Example, Incompatible};
pub use plan::plan;
pub use transition::{Transition, UniqueQuestion, next_version};

use crate::schema::{Property, PropertyName, PropertyType, Schema, UnknownProperties};
use crate::value::Value;

/// What a step costs. Later ones cost more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepClass {
    /// The catalog alone changes, however many records there are.
    Instant,
    /// Every record is looked at, and stays as it is.
    Scan,
    /// Every record is written anew.
    Rewrite,
    /// Values go that no step brings back.
    Destructive,
}

impl StepClass {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Scan => "scan",
            Self::Rewrite => "rewrite",
            Self::Destructive => "destructive",
        }
    }
}

impl fmt::Display for StepClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What waits while a step is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blocks {
    /// Nothing that anybody notices.
    Nothing,
    /// Writes to the schema; on an engine with one writer, all writes.
    Writes,
    /// Writes, and on some engines reads of the schema too.
    ReadsAndWrites,
}

impl Blocks {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Writes => "writes",
            Self::ReadsAndWrites => "reads_and_writes",
        }
    }
}

/// One step from a schema to its next version.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A new schema.
    CreateSchema(Box<Schema>),
    /// The schema and its records go.
    DropSchema,
    /// A new property; the records there are get its default.
    AddProperty {
        /// The property.
        property: Box<Property>,
        /// The property that it stands behind; none for the first.
        after: Option<PropertyName>,
    },
    /// A property gets another name. Steps of this kind that follow each other are one.
    RenameProperty {
        /// Its name so far.
        from: PropertyName,
        /// Its name from now on.
        to: PropertyName,
    },
    /// A property gets another type, which holds each of its values exactly.
    ChangeType {
        /// The property.
        property: PropertyName,
        /// Its type so far.
        from: PropertyType,
        /// Its type from now on.
        to: PropertyType,
    },
    /// Null and absence are refused from now on, and no record may have them.
    SetRequired(PropertyName),
    /// Null and absence are allowed.
    DropRequired(PropertyName),
    /// Another default for new records, or none.
    SetDefault {
        /// The property.
        property: PropertyName,
        /// The default.
        to: Option<Value>,
    },
    /// The engine keeps an index on a property.
    AddIndex(PropertyName),
    /// The engine keeps none any more.
    DropIndex(PropertyName),
    /// A property's values become unique.
    AddUnique(PropertyName),
    /// A property's values need not be unique any more.
    DropUnique(PropertyName),
    /// A constraint is added, changed or dropped.
    SetConstraint {
        /// The property.
        property: PropertyName,
        /// Which one.
        key: ConstraintKey,
        /// What it said so far.
        from: Option<Constraint>,
        /// What it says from now on.
        to: Option<Constraint>,
    },
    /// Another natural key, or none.
    SetPrimaryKey {
        /// The key so far.
        from: Vec<PropertyName>,
        /// The key from now on.
        to: Vec<PropertyName>,
    },
    /// A property and its values go.
    DropProperty(PropertyName),
    /// Whether records are only ever added.
    SetAppendOnly(bool),
    /// What happens to properties that are not declared.
    SetUnknownProperties(UnknownProperties),
    /// Words for people.
    SetDescription {
        /// Of this property; of the schema where there is none.
        property: Option<PropertyName>,
        /// The words.
        to: Option<String>,
    },
    /// The properties stand in another order.
    ReorderProperties(Vec<PropertyName>),
}

impl Step {
    /// The word on the wire.
    pub fn word(&self) -> &'static str {
        match self {
            Self::CreateSchema(_) => "create_schema",
            Self::DropSchema => "drop_schema",
            Self::AddProperty { .. } => "add_property",
            Self::RenameProperty { .. } => "rename_property",
            Self::ChangeType { from, to, .. } => match convert::type_change(from, to) {
                Some(convert::TypeChange::Narrow) => "narrow_type",
                _ => "widen_type",
            },
            Self::SetRequired(_) => "set_required",
            Self::DropRequired(_) => "drop_required",
            Self::SetDefault { .. } => "set_default",
            Self::AddIndex(_) => "add_index",
            Self::DropIndex(_) => "drop_index",
            Self::AddUnique(_) => "add_unique",
            Self::DropUnique(_) => "drop_unique",
            Self::SetConstraint { key, from, to, .. } => {
                match constraint::is_looser(*key, from.as_ref(), to.as_ref()) {
                    // A text that may be longer is a wider type to whoever thinks in columns.
                    true if *key == ConstraintKey::MaxLength && to.is_some() => "widen_type",
                    true => "drop_constraint",
                    false => "add_constraint",
                }
            }
            Self::SetPrimaryKey { .. } => "set_primary_key",
            Self::DropProperty(_) => "drop_property",
            Self::SetAppendOnly(_) => "set_append_only",
            Self::SetUnknownProperties(_) => "set_unknown_properties",
            Self::SetDescription { .. } => "set_description",
            Self::ReorderProperties(_) => "reorder_properties",
        }
    }

    /// The property that it is about, by the name that it has then; none for the schema.
    pub fn property(&self) -> Option<&PropertyName> {
        match self {
            Self::AddProperty { property, .. } => Some(&property.name),
            Self::RenameProperty { to, .. } => Some(to),
            Self::ChangeType { property, .. }
            | Self::SetDefault { property, .. }
            | Self::SetConstraint { property, .. }
            | Self::SetRequired(property)
            | Self::DropRequired(property)
            | Self::AddIndex(property)
            | Self::DropIndex(property)
            | Self::AddUnique(property)
            | Self::DropUnique(property)
            | Self::DropProperty(property) => Some(property),
            Self::SetDescription { property, .. } => property.as_ref(),
            _ => None,
        }
    }

    /// What it costs.
    pub fn class(&self) -> StepClass {
        match self {
            Self::DropSchema | Self::DropProperty(_) | Self::SetAppendOnly(true) => {
                StepClass::Destructive
            }
            Self::ChangeType { .. } | Self::SetAppendOnly(false) => StepClass::Rewrite,
            Self::SetRequired(_) | Self::AddIndex(_) | Self::AddUnique(_) => StepClass::Scan,
            Self::AddProperty { property, .. } => {
                let needs_none = property.required && property.default.is_none();
                match needs_none || property.indexed || property.unique {
                    true => StepClass::Scan,
                    false => StepClass::Instant,
                }
            }
            Self::SetConstraint { key, from, to, .. } => {
                match constraint::is_looser(*key, from.as_ref(), to.as_ref()) {
                    true => StepClass::Instant,
                    false => StepClass::Scan,
                }
            }
            Self::SetPrimaryKey { to, .. } if !to.is_empty() => StepClass::Scan,
            _ => StepClass::Instant,
        }
    }

    /// What waits for it.
    pub fn blocks(&self) -> Blocks {
        match self.class() {
            StepClass::Instant => Blocks::Nothing,
            StepClass::Scan => Blocks::Writes,
            StepClass::Rewrite | StepClass::Destructive => Blocks::ReadsAndWrites,
        }
    }

    /// How many records it looks at, of so many.
    pub fn records(&self, records: u64) -> u64 {
        match self.class() {
            StepClass::Instant => 0,
            _ if *self == Self::DropSchema => 0,
            _ => records,
        }
    }

    /// About how long it takes for so many records, in milliseconds: a rough figure from what
    /// two cores did, to tell a blink from a coffee.
    pub fn estimate_ms(&self, records: u64) -> u64 {
        const CATALOG_MS: u64 = 20;
        let nanos_each: u64 = match self {
            Self::AddIndex(_) | Self::AddUnique(_) | Self::SetPrimaryKey { .. } => 2_500,
            _ => match self.class() {
                StepClass::Instant => 0,
                StepClass::Scan => 400,
                StepClass::Rewrite | StepClass::Destructive => 2_000,
            },
        };
        let looked = u128::from(self.records(records));
        let millis = looked * u128::from(nanos_each) / 1_000_000;
        CATALOG_MS + u64::try_from(millis).unwrap_or(u64::MAX / 2)
    }
}

/// All steps from one schema to another, in the order in which they are carried out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangePlan {
    steps: Vec<Step>,
}

impl ChangePlan {
    /// The plan that makes a schema.
    pub fn create(schema: Schema) -> Self {
        Self {
            steps: vec![Step::CreateSchema(Box::new(schema))],
        }
    }

    /// The plan that removes one.
    pub fn drop() -> Self {
        Self {
            steps: vec![Step::DropSchema],
        }
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What the costliest step costs.
    pub fn class(&self) -> StepClass {
        let classes = self.steps.iter().map(Step::class);
        classes.max().unwrap_or(StepClass::Instant)
    }

    /// What waits for it.
    pub fn blocks(&self) -> Blocks {
        let blocks = self.steps.iter().map(Step::blocks);
        blocks.max().unwrap_or(Blocks::Nothing)
    }

    /// About how long all steps take for so many records, in milliseconds.
    pub fn estimate_ms(&self, records: u64) -> u64 {
        self.steps
            .iter()
            .map(|step| step.estimate_ms(records))
            .fold(0, u64::saturating_add)
    }

    /// Carries the steps out on a declaration.
    #[must_use]
    pub fn apply_to(&self, from: &Schema) -> Schema {
        apply::apply_all(&self.steps, from)
    }
}

/// Says the step to a person.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateSchema(schema) => write!(f, "create the schema {}", schema.name),
            Self::DropSchema => f.write_str("drop the schema with its records"),
            Self::AddProperty { property, .. } => {
                write!(f, "add {} ({})", property.name, property.property_type)
            }
            Self::RenameProperty { from, to } => write!(f, "rename {from} to {to}"),
            Self::ChangeType { property, from, to } => {
                write!(f, "change {property} from {from} to {to}")
            }
            Self::SetRequired(property) => write!(f, "require {property}"),
            Self::DropRequired(property) => write!(f, "let {property} be absent"),
            Self::SetDefault { property, to } => match to {
                Some(value) => write!(f, "set the default of {property} to {value}"),
                None => write!(f, "drop the default of {property}"),
            },
            Self::AddIndex(property) => write!(f, "index {property}"),
            Self::DropIndex(property) => write!(f, "drop the index on {property}"),
            Self::AddUnique(property) => write!(f, "make {property} unique"),
            Self::DropUnique(property) => write!(f, "let values of {property} repeat"),
            Self::SetConstraint {
                property,
                key,
                from,
                to,
            } => match (from, to) {
                (_, None) => write!(f, "drop {key} of {property}"),
                (None, Some(to)) => write!(f, "set {key} of {property} to {to}"),
                (Some(from), Some(to)) => {
                    write!(f, "change {key} of {property} from {from} to {to}")
                }
            },
            Self::SetPrimaryKey { to, .. } if to.is_empty() => f.write_str("drop the primary key"),
            Self::SetPrimaryKey { to, .. } => write!(f, "make {} the primary key", list(to)),
            Self::DropProperty(property) => write!(f, "drop {property} with its values"),
            Self::SetAppendOnly(true) => {
                f.write_str("only add records, and forget versions and times of changes")
            }
            Self::SetAppendOnly(false) => f.write_str("let records be changed"),
            Self::SetUnknownProperties(UnknownProperties::Reject) => {
                f.write_str("refuse properties that are not declared")
            }
            Self::SetUnknownProperties(UnknownProperties::Ignore) => {
                f.write_str("leave properties out that are not declared")
            }
            Self::SetDescription { property, .. } => match property {
                Some(property) => write!(f, "describe {property}"),
                None => f.write_str("describe the schema"),
            },
            Self::ReorderProperties(order) => {
                write!(f, "put the properties in order: {}", list(order))
            }
        }
    }
}

fn list(names: &[PropertyName]) -> String {
    let names: Vec<&str> = names.iter().map(PropertyName::as_str).collect();
    names.join(", ")
}
