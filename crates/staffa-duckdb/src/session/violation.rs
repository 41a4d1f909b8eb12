//! Which record of a refused batch broke uniqueness: the engine names the value, not the row,
//! and within one transaction not even the property.

use duckdb::Connection;
use staffa_domain::error::UniqueViolation;
use staffa_domain::{RecordId, StampedBatch, StorageError};

use crate::lane::{UniqueKeys, id_violation, named_value};
use crate::sql::select;

/// A record that has the named value.
struct Suspect {
    row: usize,
    /// The value is stored or comes twice in the batch. If not, an earlier batch of the
    /// session had it, or another property has an equal value.
    proven: bool,
}

/// Finds the record of the batch that the engine's words are about. Runs after the rollback,
/// so what it finds stored was stored before the session.
pub(super) fn locate(connection: &Connection, batch: &StampedBatch, text: &str) -> StorageError {
    let mut likely = None;
    for group in batch.schema().schema().unique_groups() {
        let keys = UniqueKeys::new(batch.schema(), &group);
        let Some(suspect) = by_value(connection, batch, &keys, text) else {
            continue;
        };
        let error = placed(keys.violation(None), batch, suspect.row);
        if suspect.proven {
            return error;
        }
        likely.get_or_insert(error);
    }
    likely.unwrap_or_else(|| {
        let suspect = by_id(connection, batch, text);
        suspect.map_or(id_violation(None), |suspect| {
            placed(id_violation(None), batch, suspect.row)
        })
    })
}

/// The violation with the place of a record of the batch.
fn placed(error: StorageError, batch: &StampedBatch, row: usize) -> StorageError {
    match error {
        StorageError::UniqueViolation { violation } => {
            let (index, line) = batch.origin(row);
            StorageError::UniqueViolation {
                violation: UniqueViolation {
                    index: Some(index),
                    line,
                    ..violation
                },
            }
        }
        other => other,
    }
}

fn by_value(
    connection: &Connection,
    batch: &StampedBatch,
    keys: &UniqueKeys<'_>,
    text: &str,
) -> Option<Suspect> {
    let (named, values) = keys.named_in(connection, text)?;
    let rows = (0..batch.len()).filter(|row| {
        keys.key(batch.records(), *row)
            .is_some_and(|(key, _)| key == named)
    });
    suspect(rows, || keys.is_stored(connection, values))
}

fn by_id(connection: &Connection, batch: &StampedBatch, text: &str) -> Option<Suspect> {
    let named = named_value(text)?;
    let id: RecordId = named.strip_prefix("id: ").unwrap_or(named).parse().ok()?;
    let rows = (0..batch.len()).filter(|row| batch.id(*row) == id);
    suspect(rows, || {
        let found = select::by_ids(batch.schema(), [id]).fetch(connection);
        found.is_ok_and(|found| found.iter().any(|batch| batch.num_rows() > 0))
    })
}

/// The first of the rows where the value is stored, else the second: the first had it first.
fn suspect(
    mut rows: impl Iterator<Item = usize>,
    is_stored: impl FnOnce() -> bool,
) -> Option<Suspect> {
    let first = rows.next()?;
    let second = rows.next();
    let stored = is_stored();
    Some(Suspect {
        row: if stored {
            first
        } else {
            second.unwrap_or(first)
        },
        proven: stored || second.is_some(),
    })
}
