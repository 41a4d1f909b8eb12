//! The records of a transaction as its next operation sees them: as they are stored, but for
//! what earlier operations made of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use futures_util::TryStreamExt;
use staffa_codec::decode::Verb;
use staffa_domain::batch::{record_id, value_at};
use staffa_domain::query::{Comparison, Test};
use staffa_domain::record::system;
use staffa_domain::{Field, Filter, RecordId, RecordQuery, SchemaSnapshot, Value};

use super::plan::Prepared;
use crate::commands::Commands;
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::memory::Share;
use crate::queries::RecordView;

/// How many ids one question asks for.
const IDS_MAX: usize = 1_000;
/// How many keys of several properties one question asks for.
const KEYS_MAX: usize = 100;

/// The values of a primary key, none of them null.
pub(super) type Key = Vec<Value>;

/// A schema's name, and a record of it.
type Place = (String, RecordId);
/// A schema's name, and a key as a text that is the same when the key is.
type KeyPlace = (String, String);

/// The key of one record; none for a schema without a primary key.
pub(super) fn key_of(schema: &SchemaSnapshot, properties: &[ArrayRef], row: usize) -> Option<Key> {
    let names = &schema.schema().primary_key;
    if names.is_empty() {
        return None;
    }
    let value = |name: &staffa_domain::PropertyName| {
        let position = schema.position(name.as_str())?;
        let kind = &schema.schema().properties[position].property_type;
        match value_at(kind, &properties[position], row)? {
            // Zero has two signs but one value.
            Value::Number(value) => Some(Value::Number(value + 0.0)),
            value => Some(value),
        }
    };
    names.iter().map(value).collect()
}

/// What is known of the records.
pub(super) struct View<'p> {
    commands: &'p Commands,
    ctx: &'p Context,
    /// `None` where there is no such record.
    records: HashMap<Place, Option<RecordBatch>>,
    /// Which record has a key; `None` where no record has.
    keys: HashMap<KeyPlace, Option<RecordId>>,
    /// What the records take that were read.
    share: Share<'p>,
}

impl<'p> View<'p> {
    pub(super) fn new(commands: &'p Commands, ctx: &'p Context) -> Self {
        Self {
            commands,
            ctx,
            records: HashMap::new(),
            keys: HashMap::new(),
            share: ctx.share(),
        }
    }

    /// Reads in few questions what the steps will need, as far as that is known beforehand.
    pub(super) async fn prefetch(&mut self, steps: &[Prepared<'_>]) -> Result<(), Error> {
        let mut ids: HashMap<&str, (&Arc<SchemaSnapshot>, HashSet<RecordId>)> = HashMap::new();
        let mut keys: HashMap<&str, (&Arc<SchemaSnapshot>, Vec<Key>)> = HashMap::new();
        for step in steps {
            let schema = &step.schema;
            match (step.step.verb, step.id) {
                (Verb::Update | Verb::Replace | Verb::Upsert, Some(id)) => {
                    let of_schema = ids.entry(schema.name()).or_insert((schema, HashSet::new()));
                    of_schema.1.insert(id);
                }
                (Verb::Upsert, None) if step.step.id.is_none() => {
                    let decoded = step.decoded.as_ref();
                    let key = decoded.and_then(|data| key_of(schema, &data.properties, 0));
                    let of_schema = keys.entry(schema.name()).or_insert((schema, Vec::new()));
                    of_schema.1.extend(key);
                }
                _ => {}
            }
        }
        for (schema, ids) in ids.into_values() {
            let ids: Vec<RecordId> = ids.into_iter().collect();
            for ids in ids.chunks(IDS_MAX) {
                self.read_ids(schema, ids).await?;
            }
        }
        for (schema, keys) in keys.into_values() {
            let most = match schema.schema().primary_key.len() {
                1 => IDS_MAX,
                _ => KEYS_MAX,
            };
            for keys in keys.chunks(most) {
                self.read_keys(schema, keys).await?;
            }
        }
        Ok(())
    }

    /// A record, if it is there.
    pub(super) async fn get(
        &mut self,
        schema: &Arc<SchemaSnapshot>,
        id: RecordId,
    ) -> Result<Option<RecordView>, Error> {
        let place = (schema.name().to_owned(), id);
        if !self.records.contains_key(&place) {
            self.read_ids(schema, &[id]).await?;
        }
        let found = self.records.get(&place).and_then(Option::as_ref);
        Ok(found.map(|record| RecordView::new(schema, record.clone())))
    }

    /// The record with a primary key, if there is one.
    pub(super) async fn find(
        &mut self,
        schema: &Arc<SchemaSnapshot>,
        key: Key,
    ) -> Result<Option<RecordId>, Error> {
        let place = key_place(schema, &key);
        if !self.keys.contains_key(&place) {
            self.read_keys(schema, &[key]).await?;
        }
        Ok(self.keys.get(&place).copied().flatten())
    }

    /// Notes what an operation leaves of a record: its next version, or nothing.
    pub(super) fn put(
        &mut self,
        schema: &Arc<SchemaSnapshot>,
        id: RecordId,
        record: Option<&RecordView>,
    ) {
        let record = record.map(|record| record.records.clone());
        let place = (schema.name().to_owned(), id);
        let before = self.records.insert(place, record.clone()).flatten();
        for (record, holder) in [(before, None), (record, Some(id))] {
            let key = record.and_then(|record| key_in(schema, &record));
            if let Some(key) = key {
                self.keys.insert(key_place(schema, &key), holder);
            }
        }
    }

    async fn read_ids(
        &mut self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<(), Error> {
        let get = self.commands.reader.get(schema, ids);
        let found = self.ctx.time_async(Stage::Engine, get).await?;
        self.note(schema, &found)?;
        for id in ids {
            let place = (schema.name().to_owned(), *id);
            self.records.entry(place).or_insert(None);
        }
        Ok(())
    }

    async fn read_keys(&mut self, schema: &Arc<SchemaSnapshot>, keys: &[Key]) -> Result<(), Error> {
        let query = RecordQuery {
            filter: Some(any_of(schema, keys)),
            ..RecordQuery::all(Arc::clone(schema))
        };
        let scan = self.commands.reader.scan(query);
        let mut batches = self.ctx.time_async(Stage::Engine, scan).await?;
        while let Some(batch) = self
            .ctx
            .time_async(Stage::Engine, batches.try_next())
            .await?
        {
            self.note(schema, &batch)?;
        }
        for key in keys {
            self.keys.entry(key_place(schema, key)).or_insert(None);
        }
        Ok(())
    }

    /// Notes stored records, unless an operation has changed them.
    fn note(&mut self, schema: &Arc<SchemaSnapshot>, batch: &RecordBatch) -> Result<(), Error> {
        let bytes = self.share.bytes() + batch.get_array_memory_size();
        let most = self.commands.limits.body_bytes_max;
        if bytes > most {
            let message = format!("the records that change take more than {most} bytes");
            return Err(Error::TooLarge(message));
        }
        self.share.set(bytes)?;
        for row in 0..batch.num_rows() {
            let Some(id) = record_id(batch, row) else {
                continue;
            };
            let place = (schema.name().to_owned(), id);
            if self.records.contains_key(&place) {
                continue;
            }
            let record = batch.slice(row, 1);
            if let Some(key) = key_in(schema, &record) {
                let place = key_place(schema, &key);
                self.keys.entry(place).or_insert(Some(id));
            }
            self.records.insert(place, Some(record));
        }
        Ok(())
    }
}

fn key_in(schema: &SchemaSnapshot, record: &RecordBatch) -> Option<Key> {
    key_of(schema, &record.columns()[system::COUNT..], 0)
}

fn key_place(schema: &SchemaSnapshot, key: &Key) -> KeyPlace {
    (schema.name().to_owned(), format!("{key:?}"))
}

/// Matches the records with these keys.
fn any_of(schema: &SchemaSnapshot, keys: &[Key]) -> Filter {
    let names = &schema.schema().primary_key;
    let positions: Vec<usize> = names
        .iter()
        .filter_map(|name| schema.position(name.as_str()))
        .collect();
    if let [only] = *positions {
        let values = keys.iter().filter_map(|key| key.first().cloned());
        return Filter::condition(Field::Property(only), Test::In(values.collect()));
    }
    let equal = |(position, value): (&usize, &Value)| {
        let test = Test::Compare(Comparison::Eq, value.clone());
        Filter::condition(Field::Property(*position), test)
    };
    let all_of = |key: &Key| Filter::And(positions.iter().zip(key).map(equal).collect());
    Filter::Or(keys.iter().map(all_of).collect())
}
