//! The schemas and their versions, in tables of their own beside the records.

mod ddl;
mod listener;

use std::sync::Arc;

use async_trait::async_trait;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use staffa_domain::ports::{SchemaCatalog, SchemaChange, StoredSchema};
use staffa_domain::{SchemaSnapshot, StorageError, Timestamp};

pub(crate) use listener::Listener;

use crate::error::{self, OpenError};
use crate::options::{Distribution, Options};
use crate::pool::Pool;

/// Every change of the catalog, of whichever server, waits for this lock.
const LOCK: &str = "SELECT pg_advisory_xact_lock(8391440518437827)";

const LAYOUT: &str = "
CREATE SCHEMA IF NOT EXISTS staffa;
CREATE SCHEMA IF NOT EXISTS records;
CREATE TABLE IF NOT EXISTS staffa.schemas (
    name text COLLATE \"C\" NOT NULL,
    version integer NOT NULL,
    document text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    current boolean NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE UNIQUE INDEX IF NOT EXISTS schemas_current ON staffa.schemas (name) WHERE current;";

const LOAD: &str = "
SELECT name, version, document,
       (extract(epoch FROM created_at) * 1000000)::bigint
FROM staffa.schemas WHERE current ORDER BY name";

/// The catalog of one database.
#[derive(Debug)]
pub(crate) struct Catalog {
    pool: Arc<Pool>,
    distribution: Distribution,
    lock_timeout_ms: u128,
    /// Tells the notes of this server from those of others.
    sender: String,
    listener: Option<Arc<Listener>>,
}

impl Catalog {
    /// Lays out the catalog's tables where they are missing.
    pub(crate) async fn open(
        pool: Arc<Pool>,
        options: &Options,
        sender: &str,
    ) -> Result<Self, OpenError> {
        let setup = |error: StorageError| OpenError::Setup(Box::new(error));
        let client = pool.get().await.map_err(setup)?;
        // One string is one transaction; the lock makes servers that start together take turns,
        // since `IF NOT EXISTS` alone still collides.
        let layout = format!("BEGIN;{LOCK};{LAYOUT}COMMIT;");
        client
            .batch_execute(&layout)
            .await
            .map_err(OpenError::Connect)?;
        drop(client);
        Ok(Self {
            pool,
            distribution: options.distribution,
            lock_timeout_ms: options.lock_timeout.as_millis(),
            sender: sender.to_owned(),
            listener: None,
        })
    }

    pub(crate) fn with_listener(mut self, listener: Arc<Listener>) -> Self {
        self.listener = Some(listener);
        self
    }

    async fn change(&self, change: &SchemaChange, client: &Client) -> Result<(), StorageError> {
        match change {
            SchemaChange::Create { to, document } => {
                if stored_version(client, to.name()).await?.is_some() {
                    return Err(moved(to));
                }
                client
                    .batch_execute(&ddl::create(to, self.distribution)?)
                    .await
                    .map_err(|error| error::of_schema(error, to))?;
                insert(client, to, document).await
            }
            SchemaChange::Describe { from, to, document } => {
                check_stored(client, from).await?;
                retire(client, from).await?;
                insert(client, to, document).await
            }
            SchemaChange::Drop { from } => {
                check_stored(client, from).await?;
                client
                    .batch_execute(&ddl::drop(from))
                    .await
                    .map_err(|error| error::of_schema(error, from))?;
                let sql = "DELETE FROM staffa.schemas WHERE name = $1";
                client
                    .query_typed(sql, &[(&from.name(), Type::TEXT)])
                    .await
                    .map_err(error::plain)?;
                Ok(())
            }
        }
    }

    /// Runs `work` in a transaction of the catalog, with its lock held.
    async fn apply_locked(&self, work: Work<'_>) -> Result<(), StorageError> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await.map_err(error::plain)?;
        let limit = format!("SET LOCAL lock_timeout = {}; {LOCK}", self.lock_timeout_ms);
        transaction
            .batch_execute(&limit)
            .await
            .map_err(error::plain)?;
        let inner = transaction.client();
        match work {
            Work::Change(change) => {
                self.change(change, inner).await?;
                let sql = "SELECT pg_notify('staffa_schemas', $1)";
                inner
                    .query_typed(sql, &[(&self.sender, Type::TEXT)])
                    .await
                    .map_err(error::plain)?;
            }
            Work::Ensure(schema) => {
                check_stored(inner, schema).await?;
                inner
                    .batch_execute(&ddl::create(schema, self.distribution)?)
                    .await
                    .map_err(|error| error::of_schema(error, schema))?;
            }
        }
        transaction.commit().await.map_err(error::plain)
    }
}

enum Work<'a> {
    Change(&'a SchemaChange),
    Ensure(&'a SchemaSnapshot),
}

#[async_trait]
impl SchemaCatalog for Catalog {
    async fn load(&self) -> Result<Vec<StoredSchema>, StorageError> {
        let client = self.pool.get().await?;
        let rows = client.query_typed(LOAD, &[]).await.map_err(error::plain)?;
        rows.iter()
            .map(|row| stored(row).map_err(error::plain))
            .collect()
    }

    async fn apply(&self, change: SchemaChange) -> Result<(), StorageError> {
        self.apply_locked(Work::Change(&change)).await
    }

    async fn ensure(&self, schema: &Arc<SchemaSnapshot>) -> Result<(), StorageError> {
        self.apply_locked(Work::Ensure(schema)).await
    }

    async fn changed(&self) {
        match &self.listener {
            Some(listener) => listener.changed().await,
            None => std::future::pending().await,
        }
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
