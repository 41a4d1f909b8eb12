//! The typestate of a write: decoded, valid, stamped. Only the last can reach an engine.
//!
//! `DecodedBatch` (made by a decoder) → [`validate`] → [`ValidBatch`] → [`ValidBatch::stamp`]
//! → [`StampedBatch`]. The later states have private constructors, so a write that was not
//! validated does not compile. Records that change others by their key need not give every
//! property: they go through [`validate_parts`], and stay marked as parts.

mod check;
mod given;
mod size;
mod validate;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch};
use arrow_array::{TimestampMicrosecondArray, UInt64Array};
use arrow_buffer::Buffer;

pub(crate) use check::check_array;
pub use check::{check_value, value_at};
pub use given::Given;
pub use size::bytes_of;
pub use validate::{validate, validate_parts};

use crate::error::RecordError;
use crate::record::{RecordId, Timestamp, system};
use crate::schema::SchemaSnapshot;

/// Where the records of a batch stood in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The index of the batch's first record in the request.
    pub first: u64,
    /// The line on which each record starts, where the format has lines.
    pub lines: Option<Vec<u64>>,
}

/// Records as a decoder read them: typed columns in the schema's order, and what it found
/// wrong on the way. A value that could not be read is null and has an error.
#[derive(Debug, Clone)]
pub struct DecodedBatch {
    /// The schema by which the records were read.
    pub schema: Arc<SchemaSnapshot>,
    /// One array a property, of equal length, laid out as `property_layout` says.
    pub properties: Vec<ArrayRef>,
    /// How many records there are, the unreadable ones included.
    pub len: usize,
    /// For parts of records, which of them give each property, in the schema's order; absent
    /// for whole records, in which a property that was not given has its default.
    pub given: Option<Vec<Given>>,
    /// Where they stood.
    pub origin: Origin,
    /// What the decoder found wrong, in the order of the records.
    pub errors: Vec<RecordError>,
}

/// Records that satisfy every rule of one version of their schema, or parts of records that
/// break none. Made by [`validate`] and [`validate_parts`] alone.
#[derive(Debug)]
pub struct ValidBatch {
    schema: Arc<SchemaSnapshot>,
    properties: Vec<ArrayRef>,
    len: usize,
    given: Option<Vec<Given>>,
    indexes: Indexes,
}

/// The request index and line of each record of a batch, for errors that an engine finds.
#[derive(Debug, Clone)]
pub(crate) enum Indexes {
    /// Consecutive from this one.
    From(Origin),
    /// Some records were dropped: the index and line of each.
    Each(UInt64Array, Option<Vec<u64>>),
}

impl ValidBatch {
    /// How many records there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The schema version they were checked against.
    pub const fn schema(&self) -> &Arc<SchemaSnapshot> {
        &self.schema
    }

    /// The arrays of the properties, in the schema's order.
    pub fn properties(&self) -> &[ArrayRef] {
        &self.properties
    }

    /// Gives each record its identity and time: new records, version one.
    ///
    /// # Panics
    /// When `ids` has another length than the batch, which is a bug of the caller.
    pub fn stamp(self, ids: &[RecordId], at: Timestamp) -> StampedBatch {
        assert_eq!(ids.len(), self.len, "one id a record");
        let system = SystemColumns {
            ids: id_array(ids),
            created: repeat_time(at, self.len),
            updated: repeat_time(at, self.len),
            versions: Int64Array::from_value(1, self.len),
        };
        self.assemble(system)
    }

    /// Makes the one record of the batch the next version of an existing record.
    ///
    /// # Panics
    /// When the batch has not exactly one record, which is a bug of the caller.
    pub fn stamp_next(
        self,
        id: RecordId,
        created_at: Timestamp,
        updated_at: Timestamp,
        version: i64,
    ) -> StampedBatch {
        assert_eq!(self.len, 1, "one record at a time has a next version");
        let system = SystemColumns {
            ids: id_array(&[id]),
            created: repeat_time(created_at, 1),
            updated: repeat_time(updated_at, 1),
            versions: Int64Array::from_value(version, 1),
        };
        self.assemble(system)
    }

    /// Makes each record of the batch the next version of the whole record in the same place of
    /// `current`.
    ///
    /// # Panics
    /// When `current` has not as many records, or none of this schema, which is a bug of the
    /// caller.
    pub fn stamp_next_of(self, current: &RecordBatch, updated_at: Timestamp) -> StampedBatch {
        assert_eq!(current.num_rows(), self.len, "one next version a record");
        let rows = 0..self.len;
        let id = |row| record_id(current, row).expect("a whole record has an id");
        let created = |row| {
            let at = record_created_at(current, row);
            at.expect("a whole record has a time").as_micros()
        };
        let next = |row| record_version(current, row).expect("a whole record has a version") + 1;
        let system = SystemColumns {
            ids: id_array(&rows.clone().map(id).collect::<Vec<_>>()),
            created: TimestampMicrosecondArray::from_iter_values(rows.clone().map(created)),
            updated: repeat_time(updated_at, self.len),
            versions: Int64Array::from_iter_values(rows.map(next)),
        };
        self.assemble(system)
    }

    /// Keeps the identity, times and versions that the records came with, as a copy between
    /// engines must. The four arrays are laid out as the record layout's first four.
    pub fn stamp_as(self, system: [ArrayRef; system::COUNT]) -> Result<StampedBatch, String> {
        let columns = system.into_iter().chain(self.properties).collect();
        let batch = RecordBatch::try_new(Arc::clone(self.schema.record_layout()), columns)
            .map_err(|e| e.to_string())?;
        Ok(StampedBatch {
            schema: self.schema,
            batch,
            given: self.given,
            indexes: self.indexes,
        })
    }

    fn assemble(self, system: SystemColumns) -> StampedBatch {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(system::COUNT + self.properties.len());
        columns.push(Arc::new(system.ids));
        columns.push(Arc::new(system.created));
        columns.push(Arc::new(system.updated));
        columns.push(Arc::new(system.versions));
        columns.extend(self.properties);
        let batch = RecordBatch::try_new(Arc::clone(self.schema.record_layout()), columns)
            .expect("a valid batch has the layout of its schema");
        StampedBatch {
            schema: self.schema,
            batch,
            given: self.given,
            indexes: self.indexes,
        }
    }
}

struct SystemColumns {
    ids: FixedSizeBinaryArray,
    created: TimestampMicrosecondArray,
    updated: TimestampMicrosecondArray,
    versions: Int64Array,
}

fn repeat_time(at: Timestamp, len: usize) -> TimestampMicrosecondArray {
    TimestampMicrosecondArray::from_value(at.as_micros(), len)
}

/// Lays ids out as the id column of a record batch.
pub fn id_array(ids: &[RecordId]) -> FixedSizeBinaryArray {
    let mut bytes = Vec::with_capacity(ids.len() * 16);
    for id in ids {
        bytes.extend_from_slice(id.as_bytes());
    }
    FixedSizeBinaryArray::new(16, Buffer::from_vec(bytes), None)
}

/// Valid records, ready for an engine: system fields, then properties. Whole ones, unless
/// [`StampedBatch::given`] says otherwise.
#[derive(Debug, Clone)]
pub struct StampedBatch {
    schema: Arc<SchemaSnapshot>,
    batch: RecordBatch,
    given: Option<Vec<Given>>,
    indexes: Indexes,
}

impl StampedBatch {
    /// The schema version they were checked against.
    pub const fn schema(&self) -> &Arc<SchemaSnapshot> {
        &self.schema
    }

    /// The records, laid out as `record_layout` says.
    pub const fn records(&self) -> &RecordBatch {
        &self.batch
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.batch.num_rows() == 0
    }

    /// The id of the record at `row`.
    ///
    /// # Panics
    /// When `row` is beyond the batch, which is a bug of the caller.
    pub fn id(&self, row: usize) -> RecordId {
        record_id(&self.batch, row).expect("a stamped batch has ids")
    }

    /// Its records as batches of one each.
    pub fn singles(&self) -> impl Iterator<Item = Self> + '_ {
        (0..self.len()).map(|row| {
            let (first, line) = self.origin(row);
            Self {
                schema: Arc::clone(&self.schema),
                batch: self.batch.slice(row, 1),
                given: self.given.as_ref().map(|given| {
                    let one = |given: &Given| {
                        if given.by(row) {
                            Given::All
                        } else {
                            Given::None
                        }
                    };
                    given.iter().map(one).collect()
                }),
                indexes: Indexes::From(Origin {
                    first,
                    lines: line.map(|line| vec![line]),
                }),
            }
        })
    }

    /// For parts of records, which of them give each property, in the schema's order; absent
    /// for whole records. Of a part only its properties and `updated_at` mean anything.
    pub fn given(&self) -> Option<&[Given]> {
        self.given.as_deref()
    }

    /// Where the record at `row` stood in the request: its index and line.
    pub fn origin(&self, row: usize) -> (u64, Option<u64>) {
        match &self.indexes {
            Indexes::From(origin) => {
                let line = origin
                    .lines
                    .as_ref()
                    .and_then(|lines| lines.get(row).copied());
                (origin.first + row as u64, line)
            }
            Indexes::Each(indexes, lines) => {
                let line = lines.as_ref().and_then(|lines| lines.get(row).copied());
                (indexes.value(row), line)
            }
        }
    }
}

/// The id of one record of a batch that has the record layout.
pub fn record_id(batch: &RecordBatch, row: usize) -> Option<RecordId> {
    let ids = batch
        .column(system::ID)
        .as_any()
        .downcast_ref::<FixedSizeBinaryArray>()?;
    Some(RecordId::from_bytes(ids.value(row).try_into().ok()?))
}

/// The version of one record of a batch that has the record layout.
pub fn record_version(batch: &RecordBatch, row: usize) -> Option<i64> {
    let versions = batch
        .column(system::VERSION)
        .as_any()
        .downcast_ref::<Int64Array>()?;
    Some(versions.value(row))
}

/// When one record of a batch that has the record layout was created.
pub fn record_created_at(batch: &RecordBatch, row: usize) -> Option<Timestamp> {
    let times = batch.column(system::CREATED_AT).as_any();
    let times = times.downcast_ref::<TimestampMicrosecondArray>()?;
    Some(Timestamp::from_micros(times.value(row)))
}
