//! Records that may meet others: a batch is judged against what is stored under its keys, then
//! what it changes is removed, and what it leaves is appended.
//!
//! A change is delete and append in one transaction, not UPDATE: the engine would do the
//! same inside for an indexed or list column, but check uniqueness too early.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{Field as ArrowField, Schema};
use duckdb::Connection;
use staffa_domain::batch::id_array;
use staffa_domain::{
    Field, RecordId, Refusal, Refusals, SchemaSnapshot, StampedBatch, StorageError, WriteOptions,
    WriteReceipt,
};

use super::judge::{Judge, Judgement, Keys, Verdict};
use crate::engine::Link;
use crate::error::Fault;
use crate::sql::{Sql, names};
use crate::types::conform;

/// The temporary table of the ids of records that go.
const GONE: &str = "staffa_gone";

/// The temporary table of the keys that are asked for, for each unique group.
fn asked_table(group: usize) -> String {
    format!("staffa_asked_{group}")
}

/// Makes the temporary tables of a session.
pub(super) fn prepare(connection: &Connection, schema: &SchemaSnapshot) -> Result<(), Fault> {
    let mut sql = format!("CREATE TEMP TABLE {GONE} (id UUID);");
    for (group, positions) in schema.schema().unique_groups().iter().enumerate() {
        let columns = positions.iter().enumerate();
        let columns = columns.map(|(part, position)| {
            format!("{} AS k{part}", names::property_column(schema, *position))
        });
        sql.push_str(&format!(
            "CREATE TEMP TABLE {} AS SELECT {} FROM {} LIMIT 0;",
            asked_table(group),
            columns.collect::<Vec<_>>().join(", "),
            names::table(schema),
        ));
    }
    Ok(connection.execute_batch(&sql)?)
}

/// Writes a batch as if record by record. Answers the failure of the session where a refused
/// record is one.
pub(super) fn write(
    link: &Link,
    options: &WriteOptions,
    batch: &StampedBatch,
    (receipt, refusals): (&mut WriteReceipt, &mut Refusals),
) -> Result<Result<(), StorageError>, Fault> {
    let mut judge = Judge::new(&options.mode, batch);
    let judgement = loop {
        let judgement = judge.judge();
        if judgement.asked().next().is_none() {
            break judgement;
        }
        for (group, keys) in judgement.asked() {
            let stored = stored(link, &judge, (group, keys))?;
            judge.learn(group, keys, stored)?;
        }
    };
    for (row, verdict) in judgement.verdicts.iter().enumerate() {
        let (id, count) = match verdict {
            Verdict::Inserted(id) => (*id, &mut receipt.inserted),
            Verdict::Updated(id) => (*id, &mut receipt.updated),
            Verdict::Ignored(id) => (*id, &mut receipt.ignored),
            Verdict::Deleted(id) => (*id, &mut receipt.deleted),
            Verdict::Refused(reason) => {
                let (index, line) = batch.origin(row);
                let reason = reason.clone();
                let refusal = Refusal {
                    index,
                    line,
                    reason,
                };
                if let Err(failure) = refusals.note(refusal) {
                    return Ok(Err(failure));
                }
                continue;
            }
        };
        *count += 1;
        if options.tells_ids {
            receipt.ids.push(id);
        }
    }
    carry_out(link, &judge, &judgement)?;
    Ok(Ok(()))
}

fn carry_out(link: &Link, judge: &Judge<'_>, judgement: &Judgement) -> Result<(), Fault> {
    let schema = judge.schema();
    let gone = judgement.gone();
    if !gone.is_empty() {
        remove(link, schema, &gone)?;
    }
    link.append(schema, [&judge.left(judgement)?])
}

fn remove(connection: &Connection, schema: &SchemaSnapshot, ids: &[RecordId]) -> Result<(), Fault> {
    let id = schema.record_layout().field(Field::Id.index()).clone();
    fill(connection, GONE, vec![(id, Arc::new(id_array(ids)))])?;
    let table = names::table(schema);
    let sql = format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {GONE})");
    let deleted = Sql::new(sql).execute(connection)?;
    if deleted == ids.len() {
        return Ok(());
    }
    let text = format!("{deleted} of {} records deleted", ids.len());
    Err(Fault::bug(text))
}

/// The stored records under the keys of a group.
fn stored(
    connection: &Connection,
    judge: &Judge<'_>,
    (group, keys): (usize, &Keys),
) -> Result<Vec<RecordBatch>, Fault> {
    let schema = judge.schema();
    let mut columns = Vec::new();
    let mut pairs = Vec::new();
    for (part, position) in judge.group(group).iter().enumerate() {
        let cells: Vec<_> = keys.values().map(|cells| cells[part]).collect();
        let field = Field::Property(*position).index();
        let field = schema.record_layout().field(field).clone();
        columns.push((
            field.with_name(format!("k{part}")),
            judge.values(*position, &cells)?,
        ));
        let column = names::property_column(schema, *position);
        pairs.push(format!("a.k{part} = t.{column}"));
    }
    let asked = asked_table(group);
    fill(connection, &asked, columns)?;
    let fields = [
        Field::Id,
        Field::CreatedAt,
        Field::UpdatedAt,
        Field::Version,
    ];
    let needed = judge.needed();
    let fields: Vec<Field> = fields
        .into_iter()
        .chain(needed.into_iter().map(Field::Property))
        .collect();
    let selected: Vec<String> = fields
        .iter()
        .map(|field| names::expression(schema, *field))
        .collect();
    let sql = format!(
        "SELECT {} FROM {asked} a JOIN {} t ON {}",
        selected.join(", "),
        names::table(schema),
        pairs.join(" AND ")
    );
    let found = Sql::new(sql).fetch(connection)?;
    let found = found.iter().filter(|batch| batch.num_rows() > 0);
    found.map(|batch| widen(schema, &fields, batch)).collect()
}

/// Lays an answer with some fields out as whole records; the others are null.
fn widen(
    schema: &SchemaSnapshot,
    fields: &[Field],
    batch: &RecordBatch,
) -> Result<RecordBatch, Fault> {
    let layout = schema.record_layout();
    let indexes: Vec<usize> = fields.iter().map(Field::index).collect();
    let narrow = conform(batch, &Arc::new(layout.project(&indexes)?))?;
    let columns = layout.fields().iter().enumerate().map(|(index, field)| {
        let place = indexes.iter().position(|selected| *selected == index);
        place.map_or_else(
            || new_null_array(field.data_type(), batch.num_rows()),
            |place| Arc::clone(narrow.column(place)),
        )
    });
    Ok(RecordBatch::try_new(Arc::clone(layout), columns.collect())?)
}

/// Puts columns into a temporary table in place of what was there.
fn fill(
    connection: &Connection,
    table: &str,
    columns: Vec<(ArrowField, ArrayRef)>,
) -> Result<(), Fault> {
    connection.execute_batch(&format!("DELETE FROM {table}"))?;
    let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let mut appender = connection.appender(table)?;
    appender.append_record_batch(rows)?;
    // Dropping the appender would flush too, and swallow the error.
    Ok(appender.flush()?)
}
