//! Commits in which the engine was lost: once it is open again, what is stored tells whether they
//! stand.

use std::collections::VecDeque;

use duckdb::Connection;
use staffa_domain::batch::{record_id, record_version};
use staffa_domain::{Operation, Outcome, RecordId, SchemaSnapshot};

use super::group::is_write;
use super::{Request, Write};
use crate::engine::{Engine, Link, commit_unknown};
use crate::error::Fault;
use crate::sql::select;

/// Answers writes that shared a commit in doubt, or puts them back to be carried out again:
/// they stand together or not at all.
pub(super) fn resolve(
    engine: &Engine,
    link: &Link,
    writes: Vec<Write>,
    waiting: &mut VecDeque<Request>,
) {
    let operations = writes.iter().flat_map(|write| &write.operations);
    // A record that must be there proves more than one that must not.
    let witness = operations
        .filter(|operation| is_write(operation))
        .min_by_key(|operation| matches!(operation, Operation::Delete { .. }));
    let Some(witness) = witness else { return };
    match stands(link, witness) {
        Ok(true) => {
            tracing::warn!(
                requests = writes.len(),
                "a commit in doubt turned out to stand"
            );
            let commit = engine.last_commit();
            for write in writes {
                write.answer(Ok(Outcome { commit }));
            }
        }
        Ok(false) => {
            tracing::warn!(requests = writes.len(), "a commit in doubt is made again");
            for write in writes.into_iter().rev() {
                waiting.push_front(Request::Write(write));
            }
        }
        Err(fault) => {
            tracing::error!(error = %fault, "a commit stays in doubt");
            for write in writes {
                write.answer(Err(commit_unknown()));
            }
        }
    }
}

/// Whether what the operation wrote is stored. Nothing else can have written it since: all
/// short writes pass through the lane, and ids are new.
fn stands(connection: &Connection, operation: &Operation) -> Result<bool, Fault> {
    Ok(match operation {
        Operation::Create(batch) if batch.is_empty() => true,
        Operation::Create(batch) => version_of(connection, batch.schema(), batch.id(0))?.is_some(),
        Operation::Replace { batch, expected } => {
            version_of(connection, batch.schema(), batch.id(0))?
                .is_some_and(|version| version > *expected)
        }
        Operation::Delete { schema, id, .. } => version_of(connection, schema, *id)?.is_none(),
        Operation::Assert { .. } => true,
    })
}

fn version_of(
    connection: &Connection,
    schema: &SchemaSnapshot,
    id: RecordId,
) -> Result<Option<i64>, Fault> {
    let found = select::by_ids(schema, [id]).fetch(connection)?;
    let mut rows = found
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    Ok(rows
        .find(|(batch, row)| record_id(batch, *row) == Some(id))
        .and_then(|(batch, row)| record_version(batch, row)))
}

/// Whether a record is stored.
pub(crate) fn is_stored(
    connection: &Connection,
    schema: &SchemaSnapshot,
    id: RecordId,
) -> Result<bool, Fault> {
    Ok(version_of(connection, schema, id)?.is_some())
}
