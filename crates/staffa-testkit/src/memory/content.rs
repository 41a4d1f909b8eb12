//! The records of one schema, and which unique values are taken.

use std::collections::{BTreeMap, HashMap};

use staffa_domain::{RecordId, Schema, Value};

use crate::record::Record;

#[derive(Debug, Clone)]
pub(super) struct Content {
    records: BTreeMap<RecordId, Record>,
    unique: Vec<Unique>,
}

/// One group of properties that must be unique together, and who holds which values.
#[derive(Debug, Clone)]
struct Unique {
    positions: Vec<usize>,
    names: Vec<String>,
    taken: HashMap<Vec<u8>, RecordId>,
}

/// The names of the properties whose values are taken.
pub(super) type Taken = Vec<String>;

impl Content {
    pub(super) fn new(schema: &Schema) -> Self {
        let name = |position: &usize| schema.properties[*position].name.as_str().to_owned();
        let group = |positions: Vec<usize>| Unique {
            names: positions.iter().map(name).collect(),
            positions,
            taken: HashMap::new(),
        };
        Self {
            records: BTreeMap::new(),
            unique: schema.unique_groups().into_iter().map(group).collect(),
        }
    }

    pub(super) const fn records(&self) -> &BTreeMap<RecordId, Record> {
        &self.records
    }

    pub(super) fn insert(&mut self, record: Record) -> Result<(), Taken> {
        if self.records.contains_key(&record.id) {
            return Err(vec!["id".to_owned()]);
        }
        for unique in &self.unique {
            if let Some(key) = key_of(&unique.positions, &record)
                && unique.taken.contains_key(&key)
            {
                return Err(unique.names.clone());
            }
        }
        for unique in &mut self.unique {
            if let Some(key) = key_of(&unique.positions, &record) {
                unique.taken.insert(key, record.id);
            }
        }
        self.records.insert(record.id, record);
        Ok(())
    }

    pub(super) fn remove(&mut self, id: RecordId) -> Option<Record> {
        let record = self.records.remove(&id)?;
        for unique in &mut self.unique {
            if let Some(key) = key_of(&unique.positions, &record) {
                unique.taken.remove(&key);
            }
        }
        Some(record)
    }

    /// Puts a record in place of the one with its id, or leaves that where it is refused.
    pub(super) fn replace(&mut self, record: Record) -> Result<(), Taken> {
        let before = self.remove(record.id);
        let replaced = self.insert(record);
        if let (Err(_), Some(before)) = (&replaced, before) {
            self.insert(before)?;
        }
        replaced
    }

    /// The stored record with the same key as this one; a null in the key matches none.
    pub(super) fn same_key(&self, positions: &[usize], record: &Record) -> Option<&Record> {
        let unique = self.group(positions)?;
        let key = key_of(&unique.positions, record)?;
        self.records.get(unique.taken.get(&key)?)
    }

    fn group(&self, positions: &[usize]) -> Option<&Unique> {
        self.unique.iter().find(|unique| {
            unique.positions.len() == positions.len()
                && unique.positions.iter().all(|at| positions.contains(at))
        })
    }
}

/// The values of a group as bytes that are equal when the values are; `None` with a null.
fn key_of(positions: &[usize], record: &Record) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    for position in positions {
        let bytes = match &record.values[*position] {
            Value::Null | Value::Object(_) | Value::Array(_) => return None,
            Value::String(text) => text.as_bytes().to_vec(),
            Value::Integer(v) => v.to_be_bytes().to_vec(),
            // Adding zero makes a negative zero positive: they are the same value.
            Value::Number(v) => (v + 0.0).to_bits().to_be_bytes().to_vec(),
            Value::Decimal(v) => v.to_be_bytes().to_vec(),
            Value::Boolean(v) => vec![u8::from(*v)],
            Value::Date(v) => v.to_be_bytes().to_vec(),
            Value::Datetime(v) => v.as_micros().to_be_bytes().to_vec(),
            Value::Uuid(v) => v.as_bytes().to_vec(),
        };
        key.extend_from_slice(&bytes.len().to_be_bytes());
        key.extend_from_slice(&bytes);
    }
    Some(key)
}
