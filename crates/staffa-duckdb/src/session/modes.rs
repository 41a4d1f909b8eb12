//! Upsert, ignore, update and delete by key, a batch at a time: the batch goes into a
//! temporary table, is joined with the stored records, and statements do the rest.
//!
//! A change is delete and insert in one transaction, not UPDATE: the engine would do the
//! same inside for an indexed or list column, but check uniqueness too early.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field as ArrowField, Schema};
use arrow_select::take::take_record_batch;
use duckdb::Connection;
use staffa_domain::{Field, SchemaSnapshot, StampedBatch, StorageError, WriteMode, WriteReceipt};

use crate::error::Fault;
use crate::lane::UniqueKeys;
use crate::sql::{Sql, names};

const STAGE: &str = "staffa_stage";
const FOUND: &str = "staffa_found";

/// The positions of the properties by which a mode finds records.
pub(super) fn key_of(mode: &WriteMode) -> Option<&[usize]> {
    match mode {
        WriteMode::Insert => None,
        WriteMode::Upsert { key }
        | WriteMode::Ignore { key }
        | WriteMode::Update { key, .. }
        | WriteMode::Delete { key } => Some(key),
    }
}

/// Makes the temporary table of a session where its mode needs one.
pub(super) fn prepare(
    connection: &Connection,
    schema: &SchemaSnapshot,
    mode: &WriteMode,
) -> Result<(), Fault> {
    if key_of(mode).is_none() {
        return Ok(());
    }
    let table = names::table(schema);
    Ok(connection.execute_batch(&format!(
        "CREATE TEMP TABLE {STAGE} AS SELECT 0::BIGINT AS seq, * FROM {table} LIMIT 0"
    ))?)
}

/// Writes a batch by key, as if record by record: where a key comes twice, the later record
/// meets what the earlier one left.
pub(super) fn write(
    connection: &Connection,
    mode: &WriteMode,
    batch: &StampedBatch,
    receipt: &mut WriteReceipt,
) -> Result<Option<StorageError>, Fault> {
    let Some(key) = key_of(mode) else {
        return Ok(None);
    };
    for rows in rounds(batch, key) {
        let round = Round {
            connection,
            schema: batch.schema(),
            key,
        };
        round.stage(batch, &rows)?;
        if let Some(row) = round.write(mode, receipt)? {
            let index = batch.origin(row).0;
            let operation = usize::try_from(index).unwrap_or(usize::MAX);
            return Ok(Some(StorageError::RecordNotFound { operation }));
        }
    }
    Ok(None)
}

/// The rows in which each key comes for the first time, those in which it comes for the
/// second, and so on.
fn rounds(batch: &StampedBatch, key: &[usize]) -> Vec<Vec<u32>> {
    let keys = UniqueKeys::new(batch.schema(), key);
    let mut times: HashMap<String, usize> = HashMap::new();
    let mut rounds: Vec<Vec<u32>> = Vec::new();
    for row in 0..batch.len() {
        let round = keys.key(batch.records(), row).map_or(0, |(key, _)| {
            let times = times.entry(key).or_insert(0);
            *times += 1;
            *times - 1
        });
        if rounds.len() == round {
            rounds.push(Vec::new());
        }
        rounds[round].push(u32::try_from(row).unwrap_or(u32::MAX));
    }
    rounds
}

/// Records of one batch with different keys.
struct Round<'a> {
    connection: &'a Connection,
    schema: &'a SchemaSnapshot,
    key: &'a [usize],
}

impl Round<'_> {
    /// Fills the temporary table and joins it with the stored records.
    fn stage(&self, batch: &StampedBatch, rows: &[u32]) -> Result<(), Fault> {
        self.run(&format!("DELETE FROM {STAGE}"))?;
        let (indexes, stored) = names::stored_columns(self.schema);
        let records = batch.records().project(&indexes)?;
        let records = take_record_batch(&records, &UInt32Array::from(rows.to_vec()))?;
        let records = with_sequence(&records, rows)?;
        let columns: Vec<&str> = std::iter::once("seq")
            .chain(stored.iter().map(String::as_str))
            .collect();
        let mut appender = self.connection.appender_with_columns(STAGE, &columns)?;
        appender.append_record_batch(records)?;
        appender.flush()?;
        drop(appender);
        let pairs: Vec<String> = self
            .key
            .iter()
            .map(|position| names::property_column(self.schema, *position))
            .map(|column| format!("s.{column} = t.{column}"))
            .collect();
        self.run(&format!(
            "CREATE OR REPLACE TEMP TABLE {FOUND} AS
             SELECT s.seq AS seq, t.* FROM {STAGE} s JOIN {} t ON {}",
            names::table(self.schema),
            pairs.join(" AND ")
        ))
    }

    /// Carries the mode out; answers the row of a record that had to be there and is not.
    fn write(&self, mode: &WriteMode, receipt: &mut WriteReceipt) -> Result<Option<usize>, Fault> {
        let found = self
            .number(&format!("SELECT count(*) FROM {FOUND}"))?
            .unwrap_or(0);
        let found = u64::try_from(found).unwrap_or(0);
        if matches!(mode, WriteMode::Update { .. } | WriteMode::Delete { .. }) {
            let missing = self.number(&format!(
                "SELECT min(seq) FROM {STAGE} WHERE seq NOT IN (SELECT seq FROM {FOUND})"
            ))?;
            if let Some(row) = missing {
                return Ok(Some(usize::try_from(row).unwrap_or(0)));
            }
        }
        let table = names::table(self.schema);
        let remove = format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {FOUND})");
        match mode {
            WriteMode::Insert => {}
            WriteMode::Upsert { .. } => {
                self.run(&remove)?;
                let written = self.insert("LEFT JOIN", "", |_| "s")?;
                receipt.updated += found;
                receipt.inserted += written.saturating_sub(found);
            }
            WriteMode::Ignore { .. } => {
                receipt.inserted += self.insert("LEFT JOIN", " WHERE f.seq IS NULL", |_| "s")?;
                receipt.ignored += found;
            }
            WriteMode::Update { set, .. } => {
                self.run(&remove)?;
                let source = |position| if set.contains(&position) { "s" } else { "f" };
                receipt.updated += self.insert("JOIN", "", source)?;
            }
            WriteMode::Delete { .. } => {
                self.run(&remove)?;
                receipt.deleted += found;
            }
        }
        Ok(None)
    }

    /// Inserts the staged records, as next versions where one was found. `source` says from
    /// where the property at a position comes.
    fn insert(
        &self,
        join: &str,
        condition: &str,
        source: impl Fn(usize) -> &'static str,
    ) -> Result<u64, Fault> {
        let (_, stored) = names::stored_columns(self.schema);
        let system = [
            Field::Id,
            Field::CreatedAt,
            Field::UpdatedAt,
            Field::Version,
        ];
        let mut values = vec![
            "coalesce(f.id, s.id)".to_owned(),
            "coalesce(f.created_at, s.created_at)".to_owned(),
            "s.updated_at".to_owned(),
            "coalesce(f.version + 1, s.version)".to_owned(),
        ];
        for (position, column) in stored[system.len()..].iter().enumerate() {
            values.push(format!("{}.{column}", source(position)));
        }
        let count = Sql::new(format!(
            "INSERT INTO {} ({}) SELECT {} FROM {STAGE} s {join} {FOUND} f ON f.seq = s.seq
             {condition} ORDER BY s.seq",
            names::table(self.schema),
            stored.join(", "),
            values.join(", ")
        ))
        .execute(self.connection)?;
        Ok(count as u64)
    }

    fn run(&self, statement: &str) -> Result<(), Fault> {
        Ok(self.connection.execute_batch(statement)?)
    }

    fn number(&self, question: &str) -> Result<Option<i64>, Fault> {
        Ok(self.connection.query_row(question, [], |row| row.get(0))?)
    }
}

fn with_sequence(records: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, Fault> {
    let sequence: ArrayRef = Arc::new(Int64Array::from_iter_values(
        rows.iter().map(|row| i64::from(*row)),
    ));
    let mut fields = vec![Arc::new(ArrowField::new("seq", DataType::Int64, false))];
    fields.extend(records.schema_ref().fields().iter().cloned());
    let columns = std::iter::once(sequence).chain(records.columns().iter().cloned());
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns.collect(),
    )?)
}
