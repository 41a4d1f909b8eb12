//! The schemas and their versions in tables of our own, and the storage of each schema.
//! All changes go through the lane, so none meets a write halfway; reads go beside it.

mod evolve;
mod literal;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use async_trait::async_trait;
use duckdb::Connection;
use staffa_domain::ports::{ChangeLog, SchemaCatalog, SchemaChange, SchemaVersion, StoredSchema};
use staffa_domain::{Field, SchemaSnapshot, StorageError, Timestamp};

use crate::engine::{Engine, Link, commit_unknown, moved, not_found};
use crate::error::{Class, Fault};
use crate::lane::Lane;
use crate::pool::Pool;
use crate::sequence::Touched;
use crate::sql::{Sql, names};
use crate::transaction::{CommitError, Transaction};
use crate::types::sql_type;

/// The catalog port.
#[derive(Debug)]
pub(crate) struct Catalog {
    engine: Arc<Engine>,
    lane: Arc<Lane>,
    pool: Arc<Pool>,
}

impl Catalog {
    /// A catalog that is changed within the lane and read by a pool of its own, so that neither a
    /// long change nor a crowd of readers holds it up.
    pub(crate) const fn new(engine: Arc<Engine>, lane: Arc<Lane>, pool: Arc<Pool>) -> Self {
        Self { engine, lane, pool }
    }
}

/// Microseconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the catalog port has no clock, and nothing depends on this time but its display"
)]
pub(crate) fn now_micros() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}

/// Notes the stored versions, so that writes can be checked against them.
pub(crate) fn remember_all(engine: &Engine) -> Result<(), StorageError> {
    let link = engine.connect()?;
    for schema in stored(&link).map_err(|fault| engine.failed(fault))? {
        engine.remember(&schema.name, schema.version, None);
    }
    Ok(())
}

/// Compares the stored versions with the known ones, after the file was opened again: a schema
/// whose change was cut off may be either.
pub(crate) fn check_remembered(engine: &Engine, connection: &Connection) -> Result<(), Fault> {
    for schema in stored(connection)? {
        if engine.version_of(&schema.name) != Some(schema.version) {
            let StoredSchema { name, version, .. } = schema;
            tracing::warn!(schema = name, version, "another version is stored");
            engine.remember(&name, version, None);
        }
    }
    Ok(())
}

#[async_trait]
impl SchemaCatalog for Catalog {
    async fn load(&self) -> Result<Vec<StoredSchema>, StorageError> {
        self.engine.check_ready()?;
        let engine = Arc::clone(&self.engine);
        self.pool
            .ask(move |link| stored(link).map_err(|fault| engine.failed(fault)))
            .await
    }

    async fn apply(&self, change: SchemaChange) -> Result<(), StorageError> {
        self.engine.check_ready()?;
        let engine = Arc::clone(&self.engine);
        self.lane
            .call(move |link| carry_out(&engine, link, &change))
            .await
    }

    async fn versions(&self, name: &str) -> Result<Vec<SchemaVersion>, StorageError> {
        self.engine.check_ready()?;
        let engine = Arc::clone(&self.engine);
        let name = name.to_owned();
        self.pool
            .ask(move |link| versions(link, &name).map_err(|fault| engine.failed(fault)))
            .await
    }

    async fn ensure(&self, schema: &Arc<SchemaSnapshot>) -> Result<(), StorageError> {
        self.engine.check_ready()?;
        let engine = Arc::clone(&self.engine);
        let schema = Arc::clone(schema);
        self.lane
            .call(move |link| {
                check_version(&engine, &schema)?;
                let is_complete =
                    is_complete(link, &schema).map_err(|fault| engine.failed(fault))?;
                if !is_complete {
                    change_storage(&engine, link, &schema, |connection| {
                        make_storage(connection, &schema)
                    })?;
                }
                let layout = Arc::clone(schema.record_layout());
                engine.remember(schema.name(), schema.version(), Some(layout));
                Ok(())
            })
            .await
    }

    async fn changed(&self) {
        // Only this process can write the file.
        std::future::pending::<()>().await;
    }
}

fn stored(connection: &Connection) -> Result<Vec<StoredSchema>, Fault> {
    let sql = Sql::new(
        "SELECT name, version, document, created_at FROM staffa_catalog.schemas
         WHERE current ORDER BY name",
    );
    let mut schemas = Vec::new();
    for batch in sql.fetch(connection)? {
        schemas.extend((0..batch.num_rows()).map(|row| stored_at(&batch, row)));
    }
    Ok(schemas)
}

fn stored_at(batch: &RecordBatch, row: usize) -> StoredSchema {
    let version = batch.column(1).as_primitive::<Int32Type>().value(row);
    let time = batch
        .column(3)
        .as_primitive::<TimestampMicrosecondType>()
        .value(row);
    StoredSchema {
        name: batch.column(0).as_string::<i32>().value(row).to_owned(),
        version: u32::try_from(version).unwrap_or(0),
        document: batch.column(2).as_string::<i32>().value(row).to_owned(),
        created_at: Timestamp::from_micros(time),
    }
}

fn versions(connection: &Connection, name: &str) -> Result<Vec<SchemaVersion>, Fault> {
    let mut sql = Sql::new(
        "SELECT name, version, document, created_at, steps, records, duration_micros
         FROM staffa_catalog.schemas LEFT JOIN staffa_catalog.changes USING (name, version)
         WHERE name = ",
    );
    sql.bind_text(name).push(" ORDER BY version");
    let mut versions = Vec::new();
    for batch in sql.fetch(connection)? {
        let figure = |column: usize, row| {
            let figure = batch.column(column).as_primitive::<Int64Type>().value(row);
            u64::try_from(figure).unwrap_or(0)
        };
        let steps = batch.column(4).as_string::<i32>();
        versions.extend((0..batch.num_rows()).map(|row| SchemaVersion {
            stored: stored_at(&batch, row),
            change: steps.is_valid(row).then(|| ChangeLog {
                steps: steps.value(row).to_owned(),
                records: figure(5, row),
                duration_micros: figure(6, row),
            }),
        }));
    }
    Ok(versions)
}

fn check_version(engine: &Engine, schema: &SchemaSnapshot) -> Result<(), StorageError> {
    match engine.version_of(schema.name()) {
        None => Err(not_found(schema.name())),
        Some(version) if version != schema.version() => Err(moved(schema.name())),
        Some(_) => Ok(()),
    }
}

fn carry_out(engine: &Engine, link: &Link, change: &SchemaChange) -> Result<(), StorageError> {
    match change {
        SchemaChange::Create { to, document } => {
            if engine.version_of(to.name()).is_some() {
                return Err(moved(to.name()));
            }
            change_storage(engine, link, to, |connection| {
                make_storage(connection, to)?;
                add_version(connection, to, document)
            })?;
        }
        SchemaChange::Describe { from, to, document } => {
            engine.check_schema(from)?;
            change_storage(engine, link, to, |connection| {
                add_version(connection, to, document)
            })?;
        }
        SchemaChange::Evolve {
            from,
            to,
            document,
            steps,
        } => evolve::evolve(engine, link, (from, to), (document, steps))?,
        SchemaChange::Drop { from } => {
            let _gate = engine.close_gate();
            engine.check_schema(from)?;
            change_storage(engine, link, from, |connection| {
                let table = names::table(from);
                connection.execute_batch(&format!("DROP TABLE {table}"))?;
                for kept in ["schemas", "changes"] {
                    let statement = format!("DELETE FROM staffa_catalog.{kept} WHERE name = ");
                    Sql::new(statement)
                        .bind_text(from.name())
                        .execute(connection)?;
                }
                Ok(())
            })?;
            engine.forget(from.name());
        }
    }
    Ok(())
}

/// Runs a change of the catalog in its own transaction and notes the version that comes of it,
/// with a checkpoint after it: replay of mixed definitions and data is where the engine has had
/// faults.
fn change_storage(
    engine: &Engine,
    link: &Link,
    schema: &SchemaSnapshot,
    work: impl FnOnce(&Link) -> Result<(), Fault>,
) -> Result<(), StorageError> {
    if engine.wishes.is_any() {
        checkpoint(engine, link);
    }
    let mut transaction = Transaction::begin(link).map_err(|fault| engine.failed(fault))?;
    transaction
        .run(work)
        .map_err(|fault| engine.answer(fault, schema))?;
    commit(engine, transaction, (schema, false))?;
    checkpoint(engine, link);
    Ok(())
}

/// Commits a change of the catalog, by which a schema has a version and perhaps another layout.
fn commit(
    engine: &Engine,
    transaction: Transaction<'_>,
    (schema, changes_layout): (&SchemaSnapshot, bool),
) -> Result<(), StorageError> {
    let under_way = engine.sequences.begin([(schema.name(), Touched::Any)]);
    let committed = engine.commit_change(schema, changes_layout, || transaction.commit());
    drop(under_way);
    match committed {
        Ok(committed) => {
            engine.committed(committed);
        }
        Err(CommitError::RolledBack(fault)) if fault.class == Class::Constraint => {
            return Err(StorageError::Conflict);
        }
        Err(CommitError::RolledBack(fault)) => return Err(engine.answer(fault, schema)),
        Err(CommitError::Unknown(_)) => {
            engine.mark_lost();
            return Err(commit_unknown());
        }
    }
    Ok(())
}

/// Empties the log around a change of the catalog. An open bulk session may hold it up; the
/// maintenance thread makes it later.
fn checkpoint(engine: &Engine, link: &Link) {
    if let Err(fault) = engine.wishes.checkpoint(link) {
        engine.wishes.make();
        engine.note(fault, "no checkpoint around a change of the catalog");
    }
}

fn add_version(
    connection: &Connection,
    schema: &SchemaSnapshot,
    document: &str,
) -> Result<(), Fault> {
    let mut retire =
        Sql::new("UPDATE staffa_catalog.schemas SET current = false WHERE current AND name = ");
    retire.bind_text(schema.name()).execute(connection)?;
    let mut add = Sql::new("INSERT INTO staffa_catalog.schemas VALUES (");
    add.bind_text(schema.name());
    add.push(&format!(", {}, ", schema.version()))
        .bind_text(document);
    add.push(&format!(", make_timestamp({}), true)", now_micros()));
    add.execute(connection)?;
    Ok(())
}

/// The indexes a schema wants, as names and the statements that make them.
fn indexes(schema: &SchemaSnapshot) -> Vec<(String, String)> {
    let table = names::table(schema);
    let mut indexes = Vec::new();
    for group in schema.schema().unique_groups() {
        let name = names::unique_index(schema, &group);
        let columns: Vec<String> = group
            .iter()
            .map(|position| names::property_column(schema, *position))
            .collect();
        let statement = format!(
            "CREATE UNIQUE INDEX IF NOT EXISTS {} ON {table} ({})",
            names::quote(&name),
            columns.join(", ")
        );
        indexes.push((name, statement));
    }
    for (position, property) in schema.schema().properties.iter().enumerate() {
        let covered = schema.schema().unique_groups().contains(&vec![position]);
        if property.indexed && !covered {
            let name = names::plain_index(schema, position);
            let statement = format!(
                "CREATE INDEX IF NOT EXISTS {} ON {table} ({})",
                names::quote(&name),
                names::property_column(schema, position)
            );
            indexes.push((name, statement));
        }
    }
    indexes
}

pub(crate) fn make_storage(connection: &Connection, schema: &SchemaSnapshot) -> Result<(), Fault> {
    connection.execute_batch(&table_of(schema, &names::table(schema)))?;
    for (_, statement) in indexes(schema) {
        connection.execute_batch(&statement)?;
    }
    Ok(())
}

/// The statement that makes a table for the records of a schema.
fn table_of(schema: &SchemaSnapshot, table: &str) -> String {
    let (_, stored) = names::stored_columns(schema);
    let system = stored.len() - schema.schema().properties.len();
    let mut columns: Vec<String> = stored[..system]
        .iter()
        .map(|column| {
            let kind = match column.as_str() {
                "id" if schema.schema().append_only => {
                    "UUID USING COMPRESSION uncompressed NOT NULL"
                }
                "id" => "UUID USING COMPRESSION uncompressed PRIMARY KEY",
                "version" => "BIGINT NOT NULL",
                _ => "TIMESTAMP NOT NULL",
            };
            format!("{column} {kind}")
        })
        .collect();
    for position in 0..schema.schema().properties.len() {
        let field = Field::Property(position);
        let column = names::property_column(schema, position);
        columns.push(format!(
            "{column} {}",
            sql_type(field.property_type(schema))
        ));
    }
    format!(
        "CREATE TABLE IF NOT EXISTS {table} ({})",
        columns.join(", ")
    )
}

fn is_complete(connection: &Connection, schema: &SchemaSnapshot) -> Result<bool, Fault> {
    let present = |function: &str, column: &str, name: &str| -> Result<bool, Fault> {
        let mut sql = Sql::new(format!(
            "SELECT 1 FROM {function}() WHERE schema_name = 'records' AND {column} = "
        ));
        let found = sql.bind_text(name).fetch(connection)?;
        Ok(found.iter().any(|batch| batch.num_rows() > 0))
    };
    if !present("duckdb_tables", "table_name", schema.name())? {
        return Ok(false);
    }
    for (name, _) in indexes(schema) {
        if !present("duckdb_indexes", "index_name", &name)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
