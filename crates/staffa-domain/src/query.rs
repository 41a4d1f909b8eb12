//! What a read asks for: fields, filters, order, position and amount, already checked.

mod aggregate;
mod filter;
mod layout;

use std::cmp::Ordering;
use std::sync::Arc;

pub use aggregate::{Aggregate, Bucket, DateUnit, Group, Having, Metric, MetricKind, OutputSort};
pub use filter::{Comparison, Condition, Filter, Test};
pub use layout::aggregate_layout;

use crate::record::{RecordId, system};
use crate::schema::{PropertyType, SchemaSnapshot};
use crate::value::Value;

/// One thing a query may filter, sort or select by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The record's id.
    Id,
    /// When it was created.
    CreatedAt,
    /// When it last changed.
    UpdatedAt,
    /// Its version.
    Version,
    /// The property at a position of the schema.
    Property(usize),
}

impl Field {
    /// Finds a field by the name it has on the wire.
    pub fn find(schema: &SchemaSnapshot, name: &str) -> Option<Self> {
        match name {
            "id" => Some(Self::Id),
            "created_at" => Some(Self::CreatedAt),
            "updated_at" => Some(Self::UpdatedAt),
            "version" => Some(Self::Version),
            _ => schema.position(name).map(Self::Property),
        }
    }

    /// The name on the wire.
    pub fn name<'a>(&self, schema: &'a SchemaSnapshot) -> &'a str {
        match self {
            Self::Property(position) => schema.schema().properties[*position].name.as_str(),
            _ => system::NAMES[self.index()],
        }
    }

    /// The type of its values.
    pub fn property_type<'a>(&self, schema: &'a SchemaSnapshot) -> &'a PropertyType {
        match self {
            Self::Id => &PropertyType::Uuid,
            Self::CreatedAt | Self::UpdatedAt => &PropertyType::Datetime,
            Self::Version => &PropertyType::Integer,
            Self::Property(position) => &schema.schema().properties[*position].property_type,
        }
    }

    /// The index of its array in a batch of whole records.
    pub const fn index(&self) -> usize {
        match self {
            Self::Id => system::ID,
            Self::CreatedAt => system::CREATED_AT,
            Self::UpdatedAt => system::UPDATED_AT,
            Self::Version => system::VERSION,
            Self::Property(position) => system::COUNT + *position,
        }
    }

    /// Whether it can be null in a stored record.
    pub fn is_nullable(&self, schema: &SchemaSnapshot) -> bool {
        match self {
            Self::Property(position) => !schema.schema().properties[*position].required,
            _ => false,
        }
    }
}

/// One key of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sort {
    /// What to sort by; it has an ordered type.
    pub field: Field,
    /// From the largest down.
    pub descending: bool,
    /// Nulls before all values, whichever the direction; else after.
    pub nulls_first: bool,
}

impl Sort {
    /// Which of two values of the field comes first. Values that have no order are equal.
    pub fn compare(&self, left: &Value, right: &Value) -> Ordering {
        let null = match self.nulls_first {
            true => Ordering::Less,
            false => Ordering::Greater,
        };
        match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => null,
            (false, true) => null.reverse(),
            (false, false) => {
                let order = left.compare(right).unwrap_or(Ordering::Equal);
                match self.descending {
                    true => order.reverse(),
                    false => order,
                }
            }
        }
    }
}

/// Where in an order a page starts: just after the record with these values.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// The value of each sort key, null included, in the order of the sort.
    pub values: Vec<Value>,
    /// The record's id.
    pub id: RecordId,
}

/// A question for whole or partial records.
#[derive(Debug, Clone)]
pub struct RecordQuery {
    /// The schema whose records are asked for.
    pub schema: Arc<SchemaSnapshot>,
    /// Which records; all when absent.
    pub filter: Option<Filter>,
    /// In which order; the id is always the last key, whether named or not, ascending unless
    /// named. Empty with `ordered` false means any order.
    pub sort: Vec<Sort>,
    /// Whether the order matters at all: a stream nobody sorted may come as it lies.
    pub ordered: bool,
    /// Start just after this position of the order.
    pub after: Option<Position>,
    /// Leave out this many first.
    pub offset: u64,
    /// At most this many.
    pub limit: Option<u64>,
    /// Which properties, as ascending positions; all when absent. The system fields always
    /// come along.
    pub select: Option<Vec<usize>>,
    /// Give up with [`StorageError::AnswerTooLarge`](crate::StorageError::AnswerTooLarge) once
    /// what was read takes more bytes than about this. For answers that are held as a whole: an
    /// engine need not count those that it hands over piece by piece.
    pub bytes_max: Option<u64>,
}

impl RecordQuery {
    /// All records of a schema, in any order.
    pub const fn all(schema: Arc<SchemaSnapshot>) -> Self {
        Self {
            schema,
            filter: None,
            sort: Vec::new(),
            ordered: false,
            after: None,
            offset: 0,
            limit: None,
            select: None,
            bytes_max: None,
        }
    }

    /// Whether records must come in the order of [`RecordQuery::total_sort`].
    pub const fn is_ordered(&self) -> bool {
        self.ordered || !self.sort.is_empty() || self.after.is_some()
    }

    /// The sort keys up to and with the id, which makes the order total. Keys after the id
    /// cannot matter and are left out.
    pub fn total_sort(&self) -> Vec<Sort> {
        let mut keys: Vec<Sort> = Vec::with_capacity(self.sort.len() + 1);
        for key in &self.sort {
            if !keys.iter().any(|earlier| earlier.field == key.field) {
                keys.push(*key);
            }
            if key.field == Field::Id {
                return keys;
            }
        }
        keys.push(Sort {
            field: Field::Id,
            descending: false,
            nulls_first: false,
        });
        keys
    }

    /// The positions of the properties that the answer holds, in the schema's order.
    pub fn selected(&self) -> Vec<usize> {
        match &self.select {
            Some(positions) => positions.clone(),
            None => (0..self.schema.schema().properties.len()).collect(),
        }
    }
}

/// How many records there are, and whether that is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The number.
    pub records: u64,
    /// Whether it is exact in one snapshot; else an estimate.
    pub exact: bool,
}

impl Count {
    /// How the number relates to that of the records, as the wire says it.
    pub const fn relation(self) -> &'static str {
        if self.exact { "eq" } else { "approx" }
    }
}
