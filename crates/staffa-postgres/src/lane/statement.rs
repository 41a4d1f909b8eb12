//! From steps to SQL: many records in one statement, a property an array.

use std::sync::Arc;

use tokio_postgres::types::Type;

use staffa_domain::record::system;
use staffa_domain::{PropertyType, RecordId, SchemaSnapshot, StampedBatch, StorageError};

use crate::copy::encode::Column;
use crate::copy::{ArrayParam, Param};
use crate::lane::plan::{Change, Step, Work};
use crate::options::Distribution;
use crate::sql::{self, names};
use crate::types;

/// A statement, and how many rows it must answer with; each row is the id of a record that
/// was found. A question answers with one boolean instead.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) params: Vec<Param>,
    pub(super) expects: Expects,
}

/// What the answer to a statement must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expects {
    /// Any: an error says what is wrong.
    Nothing,
    /// So many rows.
    Rows(usize),
    /// One row with this boolean.
    Answer(bool),
}

/// The statement of a step.
pub(super) fn of_step(
    step: &Step<'_>,
    distribution: Distribution,
) -> Result<Statement, StorageError> {
    let schema = step.schema;
    match &step.work {
        Work::Create(batches) => create(schema, batches),
        Work::Replace(_) | Work::Delete(_) if schema.schema().append_only => {
            let message = "an append_only schema takes new records only";
            Err(StorageError::Unsupported(message.to_owned()))
        }
        Work::Replace(changes) => replace(schema, changes, distribution),
        Work::Delete(deletes) => Ok(delete(schema, deletes)),
        Work::Assert(filter, exists) => {
            let query = sql::exists(schema, *filter);
            Ok(Statement {
                sql: query.sql,
                params: query.params,
                expects: Expects::Answer(*exists),
            })
        }
    }
}

/// The columns of a table with, for each, its index in the record layout, its type as a
/// parameter, and its cast where it travels as text.
struct Target {
    name: String,
    index: usize,
    kind: Type,
    cast: Option<String>,
}

fn targets(schema: &SchemaSnapshot) -> Vec<Target> {
    let system = [Type::UUID, Type::TIMESTAMPTZ, Type::TIMESTAMPTZ, Type::INT8];
    let skipped = if schema.schema().append_only { 2 } else { 0 };
    let kinds = system
        .into_iter()
        .take(system::COUNT - skipped)
        .map(|kind| (kind, None));
    let properties = schema.schema().properties.iter().map(|property| {
        let kind = &property.property_type;
        let cast = matches!(kind, PropertyType::Array(_)).then(|| types::cast_type(kind));
        (types::value_type(kind), cast)
    });
    let names = names::columns(schema);
    let first_property = system::COUNT - skipped;
    names
        .into_iter()
        .zip(kinds.chain(properties))
        .enumerate()
        .map(|(place, (name, (kind, cast)))| Target {
            name,
            index: if place < first_property {
                place
            } else {
                place + skipped
            },
            kind,
            cast,
        })
        .collect()
}

fn column_params<'a>(
    targets: &[Target],
    batches: impl Iterator<Item = &'a StampedBatch> + Clone,
) -> Result<Vec<Param>, StorageError> {
    let mut params = Vec::with_capacity(targets.len());
    for target in targets {
        let mut array = ArrayParam::new(target.kind.clone());
        for batch in batches.clone() {
            let column = Column::new(&**batch.records().column(target.index))?;
            for row in 0..batch.len() {
                array.push_from(&column, row);
            }
        }
        params.push(array.finish());
    }
    Ok(params)
}

/// `unnest($1::uuid[], …) AS given(id, …)`, from the parameter after `taken` on.
fn unnested(targets: &[Target], taken: usize) -> (String, String) {
    let arrays: Vec<String> = targets
        .iter()
        .enumerate()
        .map(|(place, target)| format!("${}::{}[]", taken + place + 1, target.kind.name()))
        .collect();
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    (arrays.join(", "), names.join(", "))
}

fn value(target: &Target) -> String {
    match &target.cast {
        Some(cast) => format!("given.{}::{cast}", target.name),
        None => format!("given.{}", target.name),
    }
}

fn create(schema: &SchemaSnapshot, batches: &[&StampedBatch]) -> Result<Statement, StorageError> {
    let targets = targets(schema);
    let (arrays, names) = unnested(&targets, 0);
    let values: Vec<String> = targets.iter().map(value).collect();
    Ok(Statement {
        sql: format!(
            "INSERT INTO {} ({names}) SELECT {} FROM unnest({arrays}) AS given({names})",
            names::table(schema),
            values.join(", "),
        ),
        params: column_params(&targets, batches.iter().copied())?,
        expects: Expects::Nothing,
    })
}

/// The statement of a step that adds records, leaving out those whose values are taken.
pub(super) fn create_what_is_free(step: &Step<'_>) -> Result<Statement, StorageError> {
    let batches: &[&StampedBatch] = match &step.work {
        Work::Create(batches) => batches,
        _ => &[],
    };
    let mut statement = create(step.schema, batches)?;
    statement
        .sql
        .push_str(" ON CONFLICT DO NOTHING RETURNING id");
    Ok(statement)
}

fn replace(
    schema: &Arc<SchemaSnapshot>,
    changes: &[Change<'_>],
    distribution: Distribution,
) -> Result<Statement, StorageError> {
    // In one order, so that two transactions seldom wait for each other's records.
    let mut changes: Vec<&Change<'_>> = changes.iter().collect();
    changes.sort_by_key(|change| change.id);
    let targets = targets(schema);
    let (arrays, names) = unnested(&targets, 1);
    let fixed = match (distribution, &schema.schema().distributed_by) {
        (Distribution::Citus, Some(name)) => schema.position(name.as_str()),
        _ => None,
    };
    let fixed = fixed.map(|place| names::property(schema, place));
    let sets: Vec<String> = targets
        .iter()
        .filter(|target| target.name != "id" && Some(&target.name) != fixed.as_ref())
        .map(|target| format!("{0} = given.{0}", target.name))
        .collect();
    let values: Vec<String> = targets
        .iter()
        .map(|target| format!("{} AS {}", value(target), target.name))
        .collect();
    let same_shard = fixed.map_or_else(String::new, |name| {
        format!(" AND held.{name} = given.{name}")
    });
    let mut expected = ArrayParam::new(Type::INT8);
    for change in &changes {
        expected.push(Some(&change.expected.to_be_bytes()));
    }
    let mut params = vec![expected.finish()];
    params.extend(column_params(
        &targets,
        changes.iter().map(|change| change.batch),
    )?);
    Ok(Statement {
        // Casts from text are not to be had in a distributed update itself.
        sql: format!(
            "WITH given AS MATERIALIZED (SELECT expected, {} \
             FROM unnest($1::int8[], {arrays}) AS given(expected, {names})) \
             UPDATE {} AS held SET {} FROM given \
             WHERE held.id = given.id AND held.version = given.expected{same_shard} \
             RETURNING held.id",
            values.join(", "),
            names::table(schema),
            sets.join(", "),
        ),
        params,
        expects: Expects::Rows(changes.len()),
    })
}

fn delete(schema: &SchemaSnapshot, deletes: &[(RecordId, Option<i64>)]) -> Statement {
    let mut deletes = deletes.to_vec();
    deletes.sort_unstable();
    let mut expected = ArrayParam::new(Type::INT8);
    for (_, version) in &deletes {
        let bytes = version.map(i64::to_be_bytes);
        expected.push(bytes.as_ref().map(<[u8; 8]>::as_slice));
    }
    Statement {
        sql: format!(
            "DELETE FROM {} AS held USING unnest($1::uuid[], $2::int8[]) AS given(id, expected) \
             WHERE held.id = given.id \
             AND (given.expected IS NULL OR held.version = given.expected) RETURNING held.id",
            names::table(schema)
        ),
        params: vec![
            Param::ids(deletes.iter().map(|(id, _)| id)),
            expected.finish(),
        ],
        expects: Expects::Rows(deletes.len()),
    }
}
