//! Which record of a refused batch broke uniqueness: the engine names the value, not the row.

use std::collections::HashSet;

use duckdb::Connection;
use staffa_domain::{RecordId, StampedBatch, StorageError};

use crate::lane::{UniqueKeys, unique_violation, violated_group};
use crate::sql::select;

/// How many ids one question asks for.
const IDS_MAX: usize = 1_000;

/// Finds the record of the batch that the engine's words are about. Runs after the rollback,
/// so what it finds stored was stored before the session.
pub(super) fn locate(connection: &Connection, batch: &StampedBatch, text: &str) -> StorageError {
    let row = match violated_group(batch.schema(), text) {
        Some(group) => repeated_value(connection, batch, &group, text),
        None => repeated_id(connection, batch),
    };
    unique_violation(batch.schema(), text, row.map(|row| batch.origin(row).0))
}

/// The first record with the named value, or the second where the first was the rightful one:
/// the value is not stored and comes twice in this batch.
fn repeated_value(
    connection: &Connection,
    batch: &StampedBatch,
    group: &[usize],
    text: &str,
) -> Option<usize> {
    let keys = UniqueKeys::new(batch.schema(), group);
    let named = keys.named_in(connection, text)?;
    let mut rows = (0..batch.len()).filter_map(|row| {
        let (key, value) = keys.key(batch.records(), row)?;
        (key == named).then_some((row, value))
    });
    let (first, value) = rows.next()?;
    let second = rows.next().map(|(row, _)| row);
    let stored = keys
        .holders(connection, &[value])
        .is_ok_and(|holders| !holders.is_empty());
    Some(if stored {
        first
    } else {
        second.unwrap_or(first)
    })
}

fn repeated_id(connection: &Connection, batch: &StampedBatch) -> Option<usize> {
    let ids: Vec<RecordId> = (0..batch.len()).map(|row| batch.id(row)).collect();
    let mut seen = HashSet::new();
    let repeated = ids.iter().position(|id| !seen.insert(*id));
    let until = repeated.unwrap_or(ids.len());
    for (part, chunk) in ids[..until].chunks(IDS_MAX).enumerate() {
        let found = select::by_ids(batch.schema(), chunk.iter().copied());
        let found = found.fetch(connection).ok()?;
        let taken: HashSet<RecordId> = found
            .iter()
            .flat_map(|found| {
                (0..found.num_rows()).filter_map(|row| staffa_domain::batch::record_id(found, row))
            })
            .collect();
        if let Some(at) = chunk.iter().position(|id| taken.contains(id)) {
            return Some(part * IDS_MAX + at);
        }
    }
    repeated
}
