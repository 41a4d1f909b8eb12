//! What becomes of each record of a batch, found out in memory and record by record from what
//! is stored. The engine is asked elsewhere: a judgement says what it does not know yet.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::DataType;
use arrow_select::interleave::interleave;
use staffa_domain::batch::{id_array, record_created_at, record_id, record_version};
use staffa_domain::record::system;
use staffa_domain::{
    Field, RecordId, RefusalReason, SchemaSnapshot, StampedBatch, Timestamp, WriteMode,
};

use crate::error::Fault;

/// The values of a unique group as bytes that are equal when the values are.
type Key = Vec<u8>;

/// Where a value stands: in which of a judge's sources, and in which row of it.
type Cell = (usize, usize);

/// Keys that are asked for, with a cell for each of their parts.
pub(super) type Keys = HashMap<Key, Vec<Cell>>;

/// One record as it is at some moment: a cell for each property.
type Cells = Vec<Cell>;

/// A record that the batch adds, changes or meets.
#[derive(Debug, Clone)]
struct Record {
    id: RecordId,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: i64,
    /// Absent once it is removed.
    cells: Option<Cells>,
    /// Whether it was stored before the batch.
    is_stored: bool,
    is_changed: bool,
}

/// What became of one record of the batch, and the id of the one that it concerned.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    Inserted(RecordId),
    Updated(RecordId),
    Ignored(RecordId),
    Deleted(RecordId),
    Refused(RefusalReason),
}

/// Judges the records of one batch.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    mode: &'a WriteMode,
    batch: &'a StampedBatch,
    groups: Vec<Vec<usize>>,
    /// Which of the groups the mode finds records by.
    by: Option<usize>,
    /// The batch, then stored records as they were found.
    sources: Vec<RecordBatch>,
    found: Vec<Record>,
    places: HashMap<RecordId, usize>,
    /// For each group, which of the found records holds a key; `None` where no record does.
    holders: Vec<HashMap<Key, Option<usize>>>,
}

/// How the batch ends.
#[derive(Debug)]
pub(super) struct Judgement {
    /// What became of each record of the batch.
    pub(super) verdicts: Vec<Verdict>,
    records: Vec<Record>,
    /// For each group the keys that nobody knows the holder of.
    asked: Vec<Keys>,
}

impl<'a> Judge<'a> {
    /// Knows nothing yet.
    pub(super) fn new(mode: &'a WriteMode, batch: &'a StampedBatch) -> Self {
        let groups = batch.schema().schema().unique_groups();
        let is_key = |group: &Vec<usize>| {
            mode.key().is_some_and(|key| {
                group.len() == key.len() && group.iter().all(|p| key.contains(p))
            })
        };
        Self {
            mode,
            batch,
            by: groups.iter().position(is_key),
            holders: groups.iter().map(|_| HashMap::new()).collect(),
            groups,
            sources: vec![batch.records().clone()],
            found: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// The schema of the batch.
    pub(super) const fn schema(&self) -> &'a Arc<SchemaSnapshot> {
        self.batch.schema()
    }

    /// The properties of a unique group.
    pub(super) fn group(&self, group: usize) -> &[usize] {
        &self.groups[group]
    }

    /// The properties of found records that a judgement looks at: all where what is not given
    /// stays, else those that must be unique.
    pub(super) fn needed(&self) -> Vec<usize> {
        let properties = 0..self.schema().schema().properties.len();
        let needs = |position: &usize| {
            matches!(self.mode, WriteMode::Update { .. })
                || self.groups.iter().any(|group| group.contains(position))
        };
        properties.filter(needs).collect()
    }

    /// Learns what is stored under keys that a judgement asked for, laid out as whole records.
    pub(super) fn learn(
        &mut self,
        group: usize,
        asked: &Keys,
        stored: Vec<RecordBatch>,
    ) -> Result<(), Fault> {
        for key in asked.keys() {
            self.holders[group].insert(key.clone(), None);
        }
        for batch in stored {
            let source = self.sources.len();
            let rows = batch.num_rows();
            self.sources.push(batch);
            for row in 0..rows {
                let holder = self.find(source, row)?;
                // One that was found before, by another key, has its cells there.
                let cells = self.found[holder].cells.as_ref();
                if let Some(key) = cells.and_then(|cells| self.key(group, cells)) {
                    self.holders[group].insert(key, Some(holder));
                }
            }
        }
        Ok(())
    }

    fn find(&mut self, source: usize, row: usize) -> Result<usize, Fault> {
        let batch = &self.sources[source];
        let system = record_id(batch, row).zip(record_version(batch, row));
        let ((id, version), created_at) = system
            .zip(record_created_at(batch, row))
            .ok_or_else(|| Fault::bug("a stored record has no id"))?;
        let place = *self.places.entry(id).or_insert(self.found.len());
        if place == self.found.len() {
            self.found.push(Record {
                id,
                created_at,
                updated_at: created_at,
                version,
                cells: Some(self.cells(source, row)),
                is_stored: true,
                is_changed: false,
            });
        }
        Ok(place)
    }

    /// All properties of one row of a source.
    fn cells(&self, source: usize, row: usize) -> Cells {
        vec![(source, row); self.schema().schema().properties.len()]
    }

    /// Goes through the batch record by record. Keys of which nothing is known count as free,
    /// and are asked for: then the judgement is a guess.
    pub(super) fn judge(&self) -> Judgement {
        let mut trial = Trial {
            judge: self,
            records: self.found.clone(),
            holders: self.holders.clone(),
            asked: self.groups.iter().map(|_| HashMap::new()).collect(),
        };
        let verdicts = (0..self.batch.len()).map(|row| trial.judge_one(row));
        Judgement {
            verdicts: verdicts.collect(),
            records: trial.records,
            asked: trial.asked,
        }
    }

    /// The records that the batch leaves, new or changed, as whole records.
    pub(super) fn left(&self, judgement: &Judgement) -> Result<RecordBatch, Fault> {
        let left: Vec<(&Record, &Cells)> = judgement
            .records
            .iter()
            .filter(|record| record.is_changed)
            .filter_map(|record| record.cells.as_ref().map(|cells| (record, cells)))
            .collect();
        let ids: Vec<RecordId> = left.iter().map(|(record, _)| record.id).collect();
        let times = |of: fn(&Record) -> Timestamp| -> ArrayRef {
            let micros = left.iter().map(|(record, _)| of(record).as_micros());
            Arc::new(TimestampMicrosecondArray::from_iter_values(micros))
        };
        let versions = left.iter().map(|(record, _)| record.version);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(id_array(&ids)),
            times(|record| record.created_at),
            times(|record| record.updated_at),
            Arc::new(Int64Array::from_iter_values(versions)),
        ];
        for position in 0..self.schema().schema().properties.len() {
            let cells: Vec<Cell> = left.iter().map(|(_, cells)| cells[position]).collect();
            columns.push(self.values(position, &cells)?);
        }
        let layout = Arc::clone(self.schema().record_layout());
        Ok(RecordBatch::try_new(layout, columns)?)
    }

    /// The values of one property at some cells.
    pub(super) fn values(&self, position: usize, cells: &[Cell]) -> Result<ArrayRef, Fault> {
        let index = Field::Property(position).index();
        let arrays: Vec<&dyn Array> = self
            .sources
            .iter()
            .map(|source| source.column(index).as_ref())
            .collect();
        Ok(interleave(&arrays, cells)?)
    }

    /// The key of a group of a record's properties; none where a part is null, since nulls
    /// are not unique.
    fn key(&self, group: usize, cells: &Cells) -> Option<Key> {
        let mut key = Key::new();
        for position in &self.groups[group] {
            let (source, row) = cells[*position];
            let array = self.sources[source].column(Field::Property(*position).index());
            push_part(array, row, &mut key)?;
        }
        Some(key)
    }

    fn names(&self, group: usize) -> Vec<String> {
        let properties = &self.schema().schema().properties;
        let name = |position: &usize| properties[*position].name.as_str().to_owned();
        self.groups[group].iter().map(name).collect()
    }
}

impl Judgement {
    /// The ids of the stored records that the batch changes or removes.
    pub(super) fn gone(&self) -> Vec<RecordId> {
        let changed = self.records.iter();
        changed
            .filter(|record| record.is_stored && record.is_changed)
            .map(|record| record.id)
            .collect()
    }

    /// The keys of a group that must be asked for; none where the judgement holds.
    pub(super) fn asked(&self) -> impl Iterator<Item = (usize, &Keys)> {
        let asked = self.asked.iter().enumerate();
        asked.filter(|(_, keys)| !keys.is_empty())
    }
}

/// One way through the batch.
struct Trial<'j, 'a> {
    judge: &'j Judge<'a>,
    records: Vec<Record>,
    holders: Vec<HashMap<Key, Option<usize>>>,
    asked: Vec<Keys>,
}

impl Trial<'_, '_> {
    fn judge_one(&mut self, row: usize) -> Verdict {
        let given = self.judge.cells(0, row);
        let target = self.judge.by.and_then(|group| self.holder(group, &given));
        match (self.judge.mode, target) {
            (WriteMode::Update { .. } | WriteMode::Delete { .. }, None) => {
                Verdict::Refused(RefusalReason::Missing)
            }
            (WriteMode::Insert, _) | (_, None) => self.add(given, row),
            (WriteMode::Ignore { .. }, Some(target)) => Verdict::Ignored(self.records[target].id),
            (WriteMode::Delete { .. }, Some(target)) => {
                self.put(target, None, row);
                Verdict::Deleted(self.records[target].id)
            }
            (_, Some(target)) => self.change(target, given, row),
        }
    }

    fn add(&mut self, cells: Cells, row: usize) -> Verdict {
        if let Some(group) = self.taken(None, &cells) {
            return Verdict::Refused(RefusalReason::Taken(self.judge.names(group)));
        }
        let batch = self.judge.batch;
        let (id, at) = (batch.id(row), record_created_at(batch.records(), row));
        let at = at.unwrap_or(Timestamp::MIN);
        self.records.push(Record {
            id,
            created_at: at,
            updated_at: at,
            version: 0,
            cells: None,
            is_stored: false,
            is_changed: false,
        });
        self.put(self.records.len() - 1, Some(cells), row);
        Verdict::Inserted(id)
    }

    fn change(&mut self, target: usize, given: Cells, row: usize) -> Verdict {
        let mut cells = given;
        if let (Some(marks), Some(before)) = (self.judge.batch.given(), &self.records[target].cells)
        {
            for (position, cell) in cells.iter_mut().enumerate() {
                if !marks[position].by(row) {
                    *cell = before[position];
                }
            }
        }
        if let Some(group) = self.taken(Some(target), &cells) {
            return Verdict::Refused(RefusalReason::Taken(self.judge.names(group)));
        }
        self.put(target, Some(cells), row);
        Verdict::Updated(self.records[target].id)
    }

    /// The first group whose key another record holds.
    fn taken(&mut self, own: Option<usize>, cells: &Cells) -> Option<usize> {
        (0..self.judge.groups.len()).find(|group| {
            let holder = self.holder(*group, cells);
            holder.is_some() && holder != own
        })
    }

    fn holder(&mut self, group: usize, cells: &Cells) -> Option<usize> {
        let key = self.judge.key(group, cells)?;
        if let Some(known) = self.holders[group].get(&key) {
            return *known;
        }
        let parts = self.judge.groups[group].iter();
        let parts = parts.map(|position| cells[*position]).collect();
        self.asked[group].entry(key).or_insert(parts);
        None
    }

    /// Gives a record other values, or none, and the keys that go with them.
    fn put(&mut self, target: usize, cells: Option<Cells>, row: usize) {
        let batch = self.judge.batch.records();
        let record = &mut self.records[target];
        let before = std::mem::replace(&mut record.cells, cells.clone());
        record.version += 1;
        record.is_changed = true;
        if let Some(at) = updated_at(batch, row) {
            record.updated_at = at;
        }
        for group in 0..self.judge.groups.len() {
            for (cells, holder) in [(&before, None), (&cells, Some(target))] {
                let key = cells.as_ref().and_then(|c| self.judge.key(group, c));
                if let Some(key) = key {
                    self.holders[group].insert(key, holder);
                }
            }
        }
    }
}

fn updated_at(batch: &RecordBatch, row: usize) -> Option<Timestamp> {
    let times = batch.column(system::UPDATED_AT).as_any();
    let times = times.downcast_ref::<TimestampMicrosecondArray>()?;
    Some(Timestamp::from_micros(times.value(row)))
}

/// Appends one value to a key; `None` for null and for types without an order.
fn push_part(array: &ArrayRef, row: usize, key: &mut Key) -> Option<()> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Utf8 => {
            let text = array.as_string::<i32>().value(row);
            key.extend_from_slice(&text.len().to_be_bytes());
            key.extend_from_slice(text.as_bytes());
        }
        DataType::Int64 => {
            let value = array.as_primitive::<Int64Type>().value(row);
            key.extend_from_slice(&value.to_be_bytes());
        }
        DataType::Float64 => {
            // Adding zero makes a negative zero positive: they are the same value.
            let value = array.as_primitive::<Float64Type>().value(row) + 0.0;
            key.extend_from_slice(&value.to_bits().to_be_bytes());
        }
        DataType::Decimal128(..) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            key.extend_from_slice(&value.to_be_bytes());
        }
        DataType::Boolean => key.push(u8::from(array.as_boolean().value(row))),
        DataType::Date32 => {
            let value = array.as_primitive::<Date32Type>().value(row);
            key.extend_from_slice(&value.to_be_bytes());
        }
        DataType::Timestamp(..) => {
            let value = array.as_primitive::<TimestampMicrosecondType>().value(row);
            key.extend_from_slice(&value.to_be_bytes());
        }
        DataType::FixedSizeBinary(_) => {
            key.extend_from_slice(array.as_fixed_size_binary().value(row));
        }
        _ => return None,
    }
    Some(())
}
