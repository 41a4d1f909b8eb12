//! What must hold before operations are carried out, found by questions instead of by
//! failed statements, since one failed statement ends a whole transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int8Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use duckdb::Connection;
use staffa_domain::batch::record_id;
use staffa_domain::error::UniqueViolation;
use staffa_domain::{
    Field, Operation, RecordId, SchemaSnapshot, StampedBatch, StorageError, Value,
};

use crate::error::Fault;
use crate::sql::{Sql, names, select};
use crate::types::value_at;

/// How many values one question asks for at most.
const VALUES_MAX: usize = 1_000;

/// One operation of one request of a group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    /// The index of the request in its group.
    pub(crate) request: usize,
    /// The index of the operation in its request.
    pub(crate) index: usize,
    /// The operation.
    pub(crate) operation: &'a Operation,
}

/// Why an operation is not carried out.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Its request fails.
    Fails(StorageError),
    /// It depends on another one of the group and has to wait for its commit.
    Waits,
}

/// Checks that what operations change is there, in the version that each expects. Answers one
/// refusal or none for each.
pub(crate) fn versions(
    connection: &Connection,
    items: &[Item<'_>],
) -> Result<Vec<Option<Refusal>>, Fault> {
    let mut refusals: Vec<Option<Refusal>> = items.iter().map(|_| None).collect();
    for members in by_schema(items) {
        check_versions(connection, items, &members, &mut refusals)?;
    }
    Ok(refusals)
}

/// Checks operations that are independent of each other, against the stored records and
/// each other: versions and uniqueness. Answers one refusal or none for each.
pub(crate) fn all(
    connection: &Connection,
    items: &[Item<'_>],
) -> Result<Vec<Option<Refusal>>, Fault> {
    let mut refusals = versions(connection, items)?;
    for members in by_schema(items) {
        let schema = Arc::clone(items[members[0]].operation.schema());
        for group in schema.schema().unique_groups() {
            let keys = UniqueKeys::new(&schema, &group);
            check_unique(connection, items, &members, &keys, &mut refusals)?;
        }
    }
    Ok(refusals)
}

/// The indexes of the items of each schema, in order.
pub(crate) fn by_schema(items: &[Item<'_>]) -> Vec<Vec<usize>> {
    let mut order: Vec<Vec<usize>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        let place = *places
            .entry(item.operation.schema().name())
            .or_insert_with(|| {
                order.push(Vec::new());
                order.len() - 1
            });
        order[place].push(index);
    }
    order
}

/// The record that an operation replaces or removes, and the version that it must have.
fn target(operation: &Operation) -> Option<(RecordId, Option<i64>)> {
    match operation {
        Operation::Replace { batch, expected } => Some((batch.id(0), Some(*expected))),
        Operation::Delete { id, expected, .. } => Some((*id, *expected)),
        Operation::Create(_) | Operation::Assert { .. } => None,
    }
}

fn check_versions(
    connection: &Connection,
    items: &[Item<'_>],
    members: &[usize],
    refusals: &mut [Option<Refusal>],
) -> Result<(), Fault> {
    let targets = || {
        members.iter().filter_map(|member| {
            target(items[*member].operation).map(|(id, expected)| (*member, id, expected))
        })
    };
    if targets().next().is_none() {
        return Ok(());
    }
    let table = names::table(items[members[0]].operation.schema());
    let mut sql = Sql::new(format!("SELECT id, version FROM {table} WHERE id IN "));
    sql.id_list(targets().map(|(_, id, _)| id));
    let mut versions = HashMap::new();
    for batch in sql.fetch(connection)? {
        for row in 0..batch.num_rows() {
            if let (Value::Uuid(id), Value::Integer(version)) = (
                value_at(batch.column(0), row),
                value_at(batch.column(1), row),
            ) {
                versions.insert(id, version);
            }
        }
    }
    for (member, id, expected) in targets() {
        let operation = items[member].index;
        let error = match versions.get(&id) {
            None => StorageError::RecordNotFound { operation },
            Some(current) if expected.is_some_and(|expected| expected != *current) => {
                let current = *current;
                StorageError::VersionMismatch { operation, current }
            }
            Some(_) => continue,
        };
        refusals[member] = Some(Refusal::Fails(error));
    }
    Ok(())
}

/// One group of properties that are unique together.
#[derive(Debug)]
pub(crate) struct UniqueKeys<'a> {
    schema: &'a SchemaSnapshot,
    positions: &'a [usize],
}

/// A unique value in a form that can be compared; texts that differ are values that differ.
pub(crate) type Key = String;

impl<'a> UniqueKeys<'a> {
    /// The properties at these positions.
    pub(crate) const fn new(schema: &'a SchemaSnapshot, positions: &'a [usize]) -> Self {
        Self { schema, positions }
    }

    /// The key of one record of a batch of whole records; none where a part of it is null,
    /// since nulls are not unique.
    pub(crate) fn key(&self, batch: &RecordBatch, row: usize) -> Option<(Key, Vec<Value>)> {
        let columns = self.positions.iter().map(|p| Field::Property(*p).index());
        key_of(batch, columns, row)
    }

    /// Which record holds each of these values now.
    pub(crate) fn holders(
        &self,
        connection: &Connection,
        values: &[Vec<Value>],
    ) -> Result<HashMap<Key, RecordId>, Fault> {
        let mut holders = HashMap::new();
        for chunk in values.chunks(VALUES_MAX) {
            for batch in self.question(chunk).fetch(connection)? {
                for row in 0..batch.num_rows() {
                    let key = key_of(&batch, 1..batch.num_columns(), row);
                    if let (Some((key, _)), Value::Uuid(id)) = (key, value_at(batch.column(0), row))
                    {
                        holders.insert(key, id);
                    }
                }
            }
        }
        Ok(holders)
    }

    /// One property by IN, which an index serves; several by a join.
    fn question(&self, values: &[Vec<Value>]) -> Sql {
        let columns = self.columns();
        let table = names::table(self.schema);
        let list = columns.join(", ");
        let mut sql = Sql::new(format!("SELECT t.id, {list} FROM {table} t"));
        let single = columns.len() == 1;
        sql.push(&if single {
            format!(" WHERE {list} IN (")
        } else {
            " JOIN (VALUES ".to_owned()
        });
        for (index, key) in values.iter().enumerate() {
            sql.push(if index == 0 { "" } else { ", " });
            sql.push(if single { "" } else { "(" });
            for (part, (value, position)) in key.iter().zip(self.positions).enumerate() {
                let kind = &self.schema.schema().properties[*position].property_type;
                sql.push(if part == 0 { "" } else { ", " })
                    .bind(value, kind);
                if !single && index == 0 {
                    sql.push(&format!("::{}", crate::types::sql_type(kind)));
                }
            }
            sql.push(if single { "" } else { ")" });
        }
        if single {
            sql.push(")");
            return sql;
        }
        let aliases: Vec<String> = (0..columns.len()).map(|part| format!("k{part}")).collect();
        let pairs: Vec<String> = columns
            .iter()
            .zip(&aliases)
            .map(|(column, alias)| format!("{column} = v.{alias}"))
            .collect();
        let (aliases, pairs) = (aliases.join(", "), pairs.join(" AND "));
        sql.push(&format!(") v({aliases}) ON {pairs}"));
        sql
    }

    /// The key that the engine names, if it can be one of this group. The engine reads its
    /// own text back, so every type comes out as it went in.
    pub(crate) fn named_in(
        &self,
        connection: &Connection,
        text: &str,
    ) -> Option<(Key, Vec<Value>)> {
        let mut sql = Sql::new("SELECT ");
        let parts = self.parts(named_value(text)?)?;
        for (part, (value, position)) in parts.iter().zip(self.positions).enumerate() {
            let kind = &self.schema.schema().properties[*position].property_type;
            sql.push(if part == 0 {
                "TRY_CAST("
            } else {
                ", TRY_CAST("
            });
            sql.bind_text(value)
                .push(&format!(" AS {})", crate::types::sql_type(kind)));
        }
        let found = sql.fetch(connection).ok()?;
        let found = found.first().filter(|batch| batch.num_rows() == 1)?;
        key_of(found, 0..found.num_columns(), 0)
    }

    /// The parts of a key as the engine writes it: `c1: 5, c2: x`, or `5, x` for a repeat
    /// within one transaction.
    fn parts<'t>(&self, named: &'t str) -> Option<Vec<&'t str>> {
        let label =
            |position: &usize| format!("{}: ", names::property_column(self.schema, *position));
        let labels: Vec<String> = self.positions.iter().map(label).collect();
        let labelled = named.strip_prefix(labels[0].as_str());
        let mut rest = labelled.unwrap_or(named);
        let mut parts = Vec::with_capacity(labels.len());
        for label in &labels[1..] {
            let label = if labelled.is_some() {
                label.as_str()
            } else {
                ""
            };
            let (part, after) = rest.split_once(&format!(", {label}"))?;
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
        Some(parts)
    }

    fn columns(&self) -> Vec<String> {
        let column =
            |position: &usize| format!("t.{}", names::property_column(self.schema, *position));
        self.positions.iter().map(column).collect()
    }

    /// Whether a record holds these values now.
    pub(crate) fn is_stored(&self, connection: &Connection, values: Vec<Value>) -> bool {
        self.holders(connection, &[values])
            .is_ok_and(|holders| !holders.is_empty())
    }

    /// The violation of these keys by a record.
    pub(crate) fn violation(&self, index: Option<u64>) -> StorageError {
        let name = |position: &usize| {
            let property = &self.schema.schema().properties[*position];
            property.name.as_str().to_owned()
        };
        violation(index, self.positions.iter().map(name).collect())
    }
}

fn key_of(
    batch: &RecordBatch,
    columns: impl Iterator<Item = usize>,
    row: usize,
) -> Option<(Key, Vec<Value>)> {
    let mut values = Vec::new();
    for column in columns {
        let array = batch.column(column);
        if array.is_null(row) {
            return None;
        }
        values.push(match (value_at(array, row), array.data_type()) {
            // Booleans come from the engine as bytes.
            (Value::Null, DataType::Int8) => {
                Value::Boolean(array.as_primitive::<Int8Type>().value(row) != 0)
            }
            (value, _) => value,
        });
    }
    Some((format!("{values:?}"), values))
}

fn violation(index: Option<u64>, properties: Vec<String>) -> StorageError {
    StorageError::UniqueViolation {
        violation: UniqueViolation {
            index,
            line: None,
            properties,
        },
    }
}

fn written(operation: &Operation) -> Option<&StampedBatch> {
    match operation {
        Operation::Create(batch) | Operation::Replace { batch, .. } => Some(batch),
        Operation::Delete { .. } | Operation::Assert { .. } => None,
    }
}

/// Checks one group of unique properties over the items of one schema.
fn check_unique(
    connection: &Connection,
    items: &[Item<'_>],
    members: &[usize],
    keys: &UniqueKeys<'_>,
    refusals: &mut [Option<Refusal>],
) -> Result<(), Fault> {
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for member in members {
        let Some(batch) = written(items[*member].operation) else {
            continue;
        };
        for row in 0..batch.len() {
            if let Some((key, value)) = keys.key(batch.records(), row) {
                rows.push((*member, batch, row, key));
                values.push(value);
            }
        }
    }
    let holders = keys.holders(connection, &values)?;
    let freed: HashSet<RecordId> = members
        .iter()
        .filter_map(|member| target(items[*member].operation).map(|(id, _)| id))
        .collect();
    let mut claims: HashMap<Key, usize> = HashMap::new();
    for (member, batch, row, key) in rows {
        let request = items[member].request;
        let own = batch.id(row);
        let taken = || Refusal::Fails(keys.violation(Some(batch.origin(row).0)));
        let refusal = match (holders.get(&key), claims.get(&key)) {
            (Some(holder), _) if *holder != own && freed.contains(holder) => Some(Refusal::Waits),
            (Some(holder), _) if *holder != own => Some(taken()),
            (_, Some(claim)) if *claim == request => Some(taken()),
            // The earlier request may yet fail, so wait for its end.
            (_, Some(_)) => Some(Refusal::Waits),
            (_, None) => None,
        };
        claims.entry(key).or_insert(request);
        if refusals[member].is_none() {
            refusals[member] = refusal;
        }
    }
    Ok(())
}

/// Whether an id that an operation creates is taken. Ids are ours and new, so a group does
/// not ask; a request that failed in a group does.
pub(crate) fn taken_id(connection: &Connection, item: &Item<'_>) -> Result<Option<Refusal>, Fault> {
    let Operation::Create(batch) = item.operation else {
        return Ok(None);
    };
    if batch.is_empty() || batch.schema().schema().append_only {
        return Ok(None);
    }
    let mut seen = HashSet::new();
    let repeated = (0..batch.len()).find(|row| !seen.insert(batch.id(*row)));
    let found = select::by_ids(batch.schema(), seen).fetch(connection)?;
    let stored: HashSet<RecordId> = found.iter().flat_map(batch_ids).collect();
    let taken = (0..batch.len()).find(|row| stored.contains(&batch.id(*row)));
    Ok(taken
        .or(repeated)
        .map(|row| Refusal::Fails(id_violation(Some(batch.origin(row).0)))))
}

/// The ids of a batch of whole records.
fn batch_ids(batch: &RecordBatch) -> impl Iterator<Item = RecordId> {
    (0..batch.num_rows()).filter_map(|row| record_id(batch, row))
}

/// The violation of the id itself.
pub(crate) fn id_violation(index: Option<u64>) -> StorageError {
    violation(index, vec!["id".to_owned()])
}

/// A violation that only the engine saw, by a write that committed meanwhile: it is of the
/// group in which the named value is stored now.
pub(crate) fn stored_violation(
    connection: &Connection,
    schema: &SchemaSnapshot,
    text: &str,
) -> StorageError {
    for group in schema.schema().unique_groups() {
        let keys = UniqueKeys::new(schema, &group);
        if let Some((_, values)) = keys.named_in(connection, text)
            && keys.is_stored(connection, values)
        {
            return keys.violation(None);
        }
    }
    id_violation(None)
}

/// What stands between the outer quotes of `… duplicate key "…" …`.
pub(crate) fn named_value(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('"')?;
    rest.rsplit_once('"').map(|(named, _)| named)
}
