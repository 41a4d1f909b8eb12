//! Indexes that a schema's next version adds, built before the change takes its lock: so that
//! reads and writes go on meanwhile, however many records there are.

use staffa_domain::{SchemaSnapshot, StorageError, Transition};
use tokio_postgres::types::Type;

use super::ddl::{self, Ahead};
use crate::error;
use crate::pool::{Connection, Pool};

/// Whether there is an index of a name, and whether it is whole: one whose building was cut off
/// stays behind and serves nothing.
const STATE: &str = "SELECT index.indisvalid FROM pg_index AS index \
     JOIN pg_class AS class ON class.oid = index.indexrelid \
     WHERE class.relnamespace = 'records'::regnamespace AND class.relname = $1";

/// Builds what can be built ahead; answers the names of what was not there before.
pub(super) async fn build(
    pool: &Pool,
    transition: &Transition,
) -> Result<Vec<String>, StorageError> {
    let wanted = ddl::ahead(transition);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut lent = Lent(Some(pool.get().await?));
    let client = lent.client()?;
    let schema = transition.from();
    // As long as it takes, and waits for whoever reads or writes now; on one processor, so that the
    // others are left to them.
    let unbounded = "SET statement_timeout = 0; SET lock_timeout = 0; \
                     SET max_parallel_maintenance_workers = 0";
    run(client, schema, unbounded).await?;
    let mut built = Vec::new();
    let mut done = Ok(());
    for index in wanted {
        done = build_one(client, schema, &index, &mut built).await;
        if done.is_err() {
            break;
        }
    }
    if done.is_err() {
        remove(client, schema, &built).await;
    }
    let bounded = "RESET statement_timeout; RESET lock_timeout; \
                   RESET max_parallel_maintenance_workers";
    done.and(run(client, schema, bounded).await)?;
    lent.give_back();
    Ok(built)
}

/// A connection whose settings are not those of its pool. Where it is not given back, as when
/// nobody waits for the change any more, it is closed, and so is what it was doing.
struct Lent(Option<Connection>);

impl Lent {
    fn client(&self) -> Result<&Connection, StorageError> {
        let client = self.0.as_ref();
        client.ok_or_else(|| StorageError::internal("the connection was given back"))
    }

    fn give_back(&mut self) {
        self.0 = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            client.discard();
        }
    }
}

async fn build_one(
    client: &Connection,
    schema: &SchemaSnapshot,
    index: &Ahead,
    built: &mut Vec<String>,
) -> Result<(), StorageError> {
    let state = client
        .query_typed(STATE, &[(&index.name, Type::TEXT)])
        .await
        .map_err(error::plain)?;
    let is_whole: Option<bool> = match state.first() {
        Some(row) => Some(row.try_get(0).map_err(error::plain)?),
        None => None,
    };
    match is_whole {
        Some(true) => return Ok(()),
        Some(false) => run(client, schema, &ddl::drop_index_beside(&index.name)).await?,
        None => {}
    }
    built.push(index.name.clone());
    run(client, schema, &index.statement).await
}

/// Removes what was built for a change that did not come about.
pub(super) async fn undo(pool: &Pool, schema: &SchemaSnapshot, built: &[String]) {
    if built.is_empty() {
        return;
    }
    match pool.get().await {
        Ok(client) => remove(&client, schema, built).await,
        Err(error) => tracing::warn!(%error, "indexes of a change that failed are left behind"),
    }
}

async fn remove(client: &Connection, schema: &SchemaSnapshot, built: &[String]) {
    for name in built {
        if let Err(error) = run(client, schema, &ddl::drop_index_beside(name)).await {
            tracing::warn!(%error, name, "an index of a change that failed is left behind");
        }
    }
}

async fn run(
    client: &Connection,
    schema: &SchemaSnapshot,
    statements: &str,
) -> Result<(), StorageError> {
    // One by one: what is built beside others cannot be part of a transaction.
    for statement in statements.split("; ") {
        let done = client.batch_execute(statement).await;
        done.map_err(|error| error::of_schema(error, schema))?;
    }
    Ok(())
}
