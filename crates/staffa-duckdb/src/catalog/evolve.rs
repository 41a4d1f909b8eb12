//! A schema's next version: looked at first, then carried out in one transaction with the
//! catalog's own entry.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use duckdb::{Connection, params_from_iter};
use staffa_domain::batch::record_id;
use staffa_domain::change::{EXAMPLES_MAX, Incompatible, UniqueQuestion};
use staffa_domain::{PropertyType, SchemaSnapshot, StorageError, Transition};

use super::literal::literal;
use super::{add_version, checkpoint, commit, indexes, table_of};
use crate::engine::{Engine, Link};
use crate::error::Fault;
use crate::sql::{Sql, names, select};
use crate::transaction::Transaction;
use crate::types::{conform, sql_type};

/// Carries an evolution out. Runs in the lane, and keeps bulk sessions from committing.
pub(super) fn evolve(
    engine: &Engine,
    link: &Link,
    (from, to): (&Arc<SchemaSnapshot>, &Arc<SchemaSnapshot>),
    (document, steps): (&str, &str),
) -> Result<(), StorageError> {
    let started = Instant::now();
    let _gate = engine.close_gate();
    engine.check_schema(from)?;
    let transition = Transition::between(from, to);
    let is_light = is_light(&transition);
    if !is_light && (transition.changes_layout() || engine.wishes.is_any()) {
        // Definitions and data in one log are where replay has had faults.
        checkpoint(engine, link);
    }
    let mut transaction = Transaction::begin(link).map_err(|fault| engine.failed(fault))?;
    let findings = transaction
        .run(|connection| look(connection, &transition))
        .map_err(|fault| engine.failed(fault))?;
    if !findings.is_empty() {
        return Err(StorageError::Incompatible(Box::new(findings)));
    }
    transaction
        .run(|connection| {
            let records = count(connection, from)?;
            change_table(connection, &transition)?;
            add_version(connection, to, document)?;
            let micros = started.elapsed().as_micros();
            let mut log = Sql::new("INSERT INTO staffa_catalog.changes VALUES (");
            log.bind_text(to.name());
            log.push(&format!(", {}, ", to.version())).bind_text(steps);
            log.push(&format!(", {records}, {micros})"));
            log.execute(connection)
        })
        .map_err(|fault| engine.failed(fault))?;
    let layout = transition.changes_layout();
    commit(engine, transaction, (to, layout))?;
    if is_light {
        // Its checkpoint may take longer than itself, and writes go on beside the one of the
        // maintenance thread.
        engine.wishes.make();
    } else {
        checkpoint(engine, link);
    }
    Ok(())
}

/// Whether a change does no more to the table than to add columns: the one kind of definition that
/// may stand in one log with data (ADR 0017).
fn is_light(transition: &Transition) -> bool {
    let names = |schema| indexes(schema).into_iter().map(|(name, _)| name);
    !must_copy(transition)
        && transition.dropped().is_empty()
        && transition.retyped().next().is_none()
        && names(transition.from()).eq(names(transition.to()))
}

fn count(connection: &Connection, schema: &SchemaSnapshot) -> Result<i64, Fault> {
    let found = select::count(schema, None).fetch(connection)?;
    let first = found.first().filter(|batch| batch.num_rows() > 0);
    Ok(first.map_or(0, |batch| {
        batch.column(0).as_primitive::<Int64Type>().value(0)
    }))
}

/// Finds the records that stand in the way.
fn look(connection: &Connection, transition: &Transition) -> Result<Incompatible, Fault> {
    let mut findings = Incompatible::default();
    if let Some(question) = transition.question() {
        let layout = select::layout(&question);
        let sql = select::records(&question);
        let mut statement = connection.prepare(sql.text())?;
        for batch in statement.stream_arrow(params_from_iter(sql.params()))? {
            transition.examine(&conform(&batch?, &layout)?, &mut findings);
            if findings.is_full() {
                break;
            }
        }
    }
    for question in transition.new_unique_groups() {
        for batch in duplicates(transition.from(), &question).fetch(connection)? {
            let ids = (0..batch.num_rows()).filter_map(|row| record_id(&batch, row));
            ids.for_each(|id| findings.note(transition.duplicate(&question, id)));
        }
    }
    Ok(findings)
}

/// The ids of records that share their values with others.
fn duplicates(schema: &SchemaSnapshot, question: &UniqueQuestion) -> Sql {
    let table = names::table(schema);
    let limit = EXAMPLES_MAX + 1;
    let positions = question.positions.iter();
    let columns: Vec<String> = positions
        .map(|position| names::property_column(schema, *position))
        .collect();
    if columns.is_empty() {
        return Sql::new(format!(
            "SELECT id FROM {table} WHERE (SELECT count(*) FROM {table}) > 1
             ORDER BY id LIMIT {limit}"
        ));
    }
    let present: Vec<String> = columns
        .iter()
        .map(|column| format!("{column} IS NOT NULL"))
        .collect();
    let (columns, present) = (columns.join(", "), present.join(" AND "));
    Sql::new(format!(
        "SELECT kept.id FROM {table} AS kept JOIN (
             SELECT {columns} FROM {table} WHERE {present}
             GROUP BY {columns} HAVING count(*) > 1) AS twice USING ({columns})
         ORDER BY kept.id LIMIT {limit}"
    ))
}

/// Brings table and indexes to the next version. An index on a table refuses nearly every
/// other change of it, so where columns change all go first and are made again.
fn change_table(connection: &Connection, transition: &Transition) -> Result<(), Fault> {
    let (from, to) = (transition.from(), transition.to());
    let wanted = indexes(to);
    let columns_change = !transition.dropped().is_empty() || transition.retyped().next().is_some();
    if must_copy(transition) {
        copy_table(connection, transition)?;
    } else {
        let stays = |name: &str| wanted.iter().any(|(wanted, _)| wanted == name);
        for (name, _) in indexes(from) {
            if columns_change || !stays(&name) {
                let index = names::quote(&name);
                let schema = names::RECORDS;
                connection.execute_batch(&format!("DROP INDEX IF EXISTS {schema}.{index}"))?;
            }
        }
        alter(connection, transition)?;
    }
    for (_, statement) in wanted {
        connection.execute_batch(&statement)?;
    }
    Ok(())
}

/// Whether the table must be made anew: where the key of the records comes or goes, which is part
/// of a table for ever; and where an index depends on a column that changes, or may stand behind
/// one that goes, since an index that was dropped still counts until its transaction is over.
fn must_copy(transition: &Transition) -> bool {
    let from = transition.from();
    let groups = from.schema().unique_groups();
    let is_indexed = |before: usize| {
        from.schema().properties[before].indexed
            || groups.iter().any(|group| group.contains(&before))
    };
    let mut retyped = transition.retyped();
    transition.changes_append_only()
        || (!transition.dropped().is_empty() && !indexes(from).is_empty())
        || retyped.any(|(before, _)| is_indexed(before))
}

fn alter(connection: &Connection, transition: &Transition) -> Result<(), Fault> {
    let (from, to) = (transition.from(), transition.to());
    let table = names::table(to);
    for after in transition.added() {
        let column = names::property_column(to, *after);
        let kind = sql_type(&to.schema().properties[*after].property_type);
        let add = format!("ALTER TABLE {table} ADD COLUMN {column} {kind}");
        match default_of(transition, *after) {
            Some(default) => connection.execute_batch(&format!(
                "{add} DEFAULT {default}; ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT"
            ))?,
            None => connection.execute_batch(&add)?,
        }
    }
    for (before, after) in transition.retyped() {
        let column = names::property_column(from, before);
        let kind = sql_type(&to.schema().properties[after].property_type);
        connection.execute_batch(&format!(
            "ALTER TABLE {table} ALTER COLUMN {column} SET DATA TYPE {kind} USING {}",
            cast(transition, before, after)
        ))?;
    }
    for before in transition.dropped() {
        let column = names::property_column(from, *before);
        connection.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}"))?;
    }
    Ok(())
}

/// Makes the table anew.
fn copy_table(connection: &Connection, transition: &Transition) -> Result<(), Fault> {
    let (from, to) = (transition.from(), transition.to());
    let table = names::table(to);
    // No schema's name has such a character.
    let new = format!("{}~new", to.name());
    let new = format!("{}.{}", names::RECORDS, names::quote(&new));
    let (_, columns) = names::stored_columns(to);
    let system = columns.len() - to.schema().properties.len();
    let mut values: Vec<String> = columns[..system]
        .iter()
        .map(|column| match column.as_str() {
            "updated_at" if from.schema().append_only => "created_at".to_owned(),
            "version" if from.schema().append_only => "1".to_owned(),
            column => column.to_owned(),
        })
        .collect();
    for after in 0..to.schema().properties.len() {
        let kept = transition.kept().iter().find(|(_, kept)| *kept == after);
        values.push(match kept {
            Some((before, _)) => cast(transition, *before, after),
            None => default_of(transition, after).unwrap_or_else(|| "NULL".to_owned()),
        });
    }
    connection.execute_batch(&format!(
        "{}; INSERT INTO {new} ({}) SELECT {} FROM {table}; DROP TABLE {table};
         ALTER TABLE {new} RENAME TO {}",
        table_of(to, &new),
        columns.join(", "),
        values.join(", "),
        names::quote(to.name()),
    ))?;
    Ok(())
}

fn default_of(transition: &Transition, after: usize) -> Option<String> {
    let property = &transition.to().schema().properties[after];
    let default = property.default.as_ref()?;
    Some(literal(default, &property.property_type))
}

/// The expression that reads a column as its next type, of values that were looked at.
fn cast(transition: &Transition, before: usize, after: usize) -> String {
    let column = names::property_column(transition.from(), before);
    let kind = |of: &SchemaSnapshot, at: usize| of.schema().properties[at].property_type.clone();
    let (from, to) = (
        kind(transition.from(), before),
        kind(transition.to(), after),
    );
    match (&from, &to) {
        (from, to) if from == to => column,
        // A number may be a negative zero, which no other type has.
        (PropertyType::Number, to) => format!("CAST({column} + 0 AS {})", sql_type(to)),
        (_, to) => format!("CAST({column} AS {})", sql_type(to)),
    }
}
