//! The schemas and their versions, in tables of their own beside the records.

mod ahead;
mod ddl;
mod evolve;
mod listener;
mod literal;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use staffa_domain::ports::{ChangeLog, SchemaCatalog, SchemaChange, SchemaVersion, StoredSchema};
use staffa_domain::{SchemaSnapshot, StorageError, Timestamp, Transition};

pub(crate) use listener::Listener;

use crate::error;
use crate::layout::LOCK;
use crate::options::{Distribution, Options};
use crate::pool::{Connection, Pool};
use crate::transaction::Transaction;

/// How long a change waits for those of other servers, many of which may be starting.
const TURN: Duration = Duration::from_secs(60);
/// How long the commit of a change may take.
const COMMIT_PATIENCE: Duration = Duration::from_secs(60);

const LOAD: &str = "
SELECT name, version, document,
       (extract(epoch FROM created_at) * 1000000)::bigint
FROM staffa.schemas WHERE current ORDER BY name";

const VERSIONS: &str = "
SELECT name, version, document, (extract(epoch FROM created_at) * 1000000)::bigint,
       steps, records, duration_micros
FROM staffa.schemas LEFT JOIN staffa.changes USING (name, version)
WHERE name = $1 ORDER BY version";

/// The catalog of one database.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// For changes, one at a time.
    pool: Arc<Pool>,
    /// For questions, which no change holds up.
    looks: Arc<Pool>,
    distribution: Distribution,
    lock_timeout: Duration,
    listener: Arc<Listener>,
}

impl Catalog {
    pub(crate) fn new(
        (pool, looks): (Arc<Pool>, Arc<Pool>),
        options: &Options,
        listener: Arc<Listener>,
    ) -> Self {
        Self {
            pool,
            looks,
            distribution: options.distribution,
            lock_timeout: options.lock_timeout,
            listener,
        }
    }

    async fn change(&self, change: &SchemaChange, client: &Connection) -> Result<(), StorageError> {
        match change {
            SchemaChange::Create { to, document } => {
                if stored_version(client, to.name()).await?.is_some() {
                    return Err(moved(to));
                }
                self.create(to, client).await?;
                insert(client, to, document).await
            }
            SchemaChange::Describe { from, to, document } => {
                check_stored(client, from).await?;
                retire(client, from).await?;
                insert(client, to, document).await
            }
            SchemaChange::Evolve {
                from,
                to,
                document,
                steps,
            } => {
                check_stored(client, from).await?;
                let change = evolve::Evolution::new(from, to, self.distribution);
                let log = change.carry_out(client, steps).await?;
                retire(client, from).await?;
                insert(client, to, document).await?;
                note(client, to, &log).await
            }
            SchemaChange::Drop { from } => {
                check_stored(client, from).await?;
                client
                    .batch_execute(&ddl::drop(from))
                    .await
                    .map_err(|error| error::of_schema(error, from))?;
                for sql in [
                    "DELETE FROM staffa.schemas WHERE name = $1",
                    "DELETE FROM staffa.changes WHERE name = $1",
                ] {
                    let gone = client.query_typed(sql, &[(&from.name(), Type::TEXT)]).await;
                    gone.map_err(error::plain)?;
                }
                Ok(())
            }
        }
    }

    async fn create(&self, schema: &SchemaSnapshot, client: &Client) -> Result<(), StorageError> {
        for statement in ddl::create(schema, self.distribution)? {
            let done = client.batch_execute(&statement).await;
            done.map_err(|error| error::of_schema(error, schema))?;
        }
        Ok(())
    }

    /// Runs `work` in a transaction of the catalog, with its lock held.
    async fn apply_locked(&self, work: Work<'_>) -> Result<(), StorageError> {
        // What is spread over a cluster is so by what is called here, not by the transaction.
        let mut transaction = Transaction::new(self.pool.get().await?, Distribution::None);
        match self.work(&transaction, work).await {
            Ok(()) => {
                transaction.commit(COMMIT_PATIENCE).await?;
                Ok(())
            }
            Err(error) => {
                transaction.poison();
                transaction.roll_back().await;
                Err(error)
            }
        }
    }

    async fn work(&self, transaction: &Transaction, work: Work<'_>) -> Result<(), StorageError> {
        let client = transaction.client();
        let turn = format!("SET LOCAL lock_timeout = {}; {LOCK}", TURN.as_millis());
        let limit = format!("SET LOCAL lock_timeout = {}", self.lock_timeout.as_millis());
        let (begun, turn, limit) = tokio::join!(
            transaction.begin(false),
            client.batch_execute(&turn),
            client.batch_execute(&limit),
        );
        begun.and(turn).and(limit).map_err(error::plain)?;
        match work {
            Work::Change(change) => {
                self.change(change, client).await?;
                let sql = "SELECT pg_notify('staffa_schemas', $1)";
                let told = client
                    .query_typed(sql, &[(&self.listener.id(), Type::TEXT)])
                    .await;
                told.map_err(error::plain)?;
                Ok(())
            }
            Work::Ensure(schema) => {
                check_stored(client, schema).await?;
                self.create(schema, client).await
            }
        }
    }

    /// Whether storage and indexes of a schema are all there.
    async fn is_whole(&self, schema: &SchemaSnapshot) -> Result<bool, StorageError> {
        let client = self.looks.get().await?;
        let relations = ddl::relations(schema);
        let found = client
            .query_typed(ddl::FIND, &[(&relations, Type::TEXT_ARRAY)])
            .await
            .map_err(error::plain)?;
        if found.len() < relations.len() {
            return Ok(false);
        }
        if self.distribution == Distribution::None {
            return Ok(true);
        }
        let spread = client
            .query_typed(ddl::FIND_SPREAD, &[(&schema.name(), Type::TEXT)])
            .await;
        Ok(!spread.map_err(error::plain)?.is_empty())
    }
}

enum Work<'a> {
    Change(&'a SchemaChange),
    Ensure(&'a SchemaSnapshot),
}

#[async_trait]
impl SchemaCatalog for Catalog {
    async fn load(&self) -> Result<Vec<StoredSchema>, StorageError> {
        let client = self.looks.get().await?;
        let rows = client.query_typed(LOAD, &[]).await.map_err(error::plain)?;
        rows.iter()
            .map(|row| stored(row).map_err(error::plain))
            .collect()
    }

    async fn apply(&self, change: SchemaChange) -> Result<(), StorageError> {
        let SchemaChange::Evolve { from, to, .. } = &change else {
            return self.apply_locked(Work::Change(&change)).await;
        };
        let client = self.looks.get().await?;
        check_stored(&client, from).await?;
        drop(client);
        let transition = Transition::between(from, to);
        let built = ahead::build(&self.pool, &transition).await?;
        let done = self.apply_locked(Work::Change(&change)).await;
        // A change whose commit is in doubt may need them.
        if matches!(
            done,
            Err(StorageError::Incompatible(_) | StorageError::Unsupported(_))
        ) {
            ahead::undo(&self.pool, from, &built).await;
        }
        done
    }

    async fn versions(&self, name: &str) -> Result<Vec<SchemaVersion>, StorageError> {
        let client = self.looks.get().await?;
        let rows = client
            .query_typed(VERSIONS, &[(&name, Type::TEXT)])
            .await
            .map_err(error::plain)?;
        rows.iter()
            .map(|row| version(row).map_err(error::plain))
            .collect()
    }

    /// Looks first: even a statement that finds all there would wait for writes under way, and
    /// hold up those that come behind it.
    async fn ensure(&self, schema: &Arc<SchemaSnapshot>) -> Result<(), StorageError> {
        if self.is_whole(schema).await? {
            return Ok(());
        }
        self.apply_locked(Work::Ensure(schema)).await
    }

    async fn changed(&self) {
        self.listener.changed().await;
    }
}

fn stored(row: &Row) -> Result<StoredSchema, tokio_postgres::Error> {
    let version: i32 = row.try_get(1)?;
    Ok(StoredSchema {
        name: row.try_get(0)?,
        version: version.unsigned_abs(),
        document: row.try_get(2)?,
        created_at: Timestamp::from_micros(row.try_get(3)?),
    })
}

fn version(row: &Row) -> Result<SchemaVersion, tokio_postgres::Error> {
    let steps: Option<String> = row.try_get(4)?;
    let change = match steps {
        None => None,
        Some(steps) => Some(ChangeLog {
            steps,
            records: row.try_get::<_, i64>(5)?.unsigned_abs(),
            duration_micros: row.try_get::<_, i64>(6)?.unsigned_abs(),
        }),
    };
    Ok(SchemaVersion {
        stored: stored(row)?,
        change,
    })
}

fn moved(schema: &SchemaSnapshot) -> StorageError {
    StorageError::SchemaMoved {
        schema: schema.name().to_owned(),
    }
}

async fn stored_version(client: &Client, name: &str) -> Result<Option<u32>, StorageError> {
    let sql = "SELECT version FROM staffa.schemas WHERE current AND name = $1";
    let rows = client
        .query_typed(sql, &[(&name, Type::TEXT)])
        .await
        .map_err(error::plain)?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let version: i32 = row.try_get(0).map_err(error::plain)?;
    Ok(Some(version.unsigned_abs()))
}

async fn check_stored(client: &Client, schema: &SchemaSnapshot) -> Result<(), StorageError> {
    match stored_version(client, schema.name()).await? {
        Some(version) if version == schema.version() => Ok(()),
        Some(_) => Err(moved(schema)),
        None => Err(StorageError::SchemaNotFound {
            schema: schema.name().to_owned(),
        }),
    }
}

async fn retire(client: &Client, schema: &SchemaSnapshot) -> Result<(), StorageError> {
    let sql = "UPDATE staffa.schemas SET current = false WHERE current AND name = $1";
    client
        .query_typed(sql, &[(&schema.name(), Type::TEXT)])
        .await
        .map_err(error::plain)?;
    Ok(())
}

async fn note(
    client: &Client,
    schema: &SchemaSnapshot,
    log: &ChangeLog,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO staffa.changes VALUES ($1, $2, $3, $4, $5)";
    let figure = |of: u64| i64::try_from(of).unwrap_or(i64::MAX);
    let version = i32::try_from(schema.version()).map_err(StorageError::internal)?;
    client
        .query_typed(
            sql,
            &[
                (&schema.name(), Type::TEXT),
                (&version, Type::INT4),
                (&log.steps, Type::TEXT),
                (&figure(log.records), Type::INT8),
                (&figure(log.duration_micros), Type::INT8),
            ],
        )
        .await
        .map_err(error::plain)?;
    Ok(())
}

async fn insert(
    client: &Client,
    schema: &SchemaSnapshot,
    document: &str,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO staffa.schemas (name, version, document, current) \
               VALUES ($1, $2, $3, true)";
    let version = i32::try_from(schema.version()).map_err(StorageError::internal)?;
    client
        .query_typed(
            sql,
            &[
                (&schema.name(), Type::TEXT),
                (&version, Type::INT4),
                (&document, Type::TEXT),
            ],
        )
        .await
        .map_err(error::plain)?;
    Ok(())
}
