//! Which record of a refused batch broke uniqueness: the engine names the value, not the row,
//! and within one transaction not even the property.

use std::sync::Arc;

use duckdb::Connection;
use staffa_domain::error::UniqueViolation;
use staffa_domain::{RecordId, SchemaSnapshot, StampedBatch, StorageError};

use crate::lane::{UniqueKeys, id_violation, named_value};
use crate::sql::select;

/// A record that has the named value.
struct Suspect<'b> {
    batch: &'b StampedBatch,
    row: usize,
    /// The value is stored or comes twice in the batches. If not, an earlier batch of the
    /// session had it, or another property has an equal value.
    proven: bool,
}

/// Finds the record of these batches, all of one schema, that the engine's words are about. Runs
/// after the rollback, so what it finds stored was stored before the session.
pub(super) fn locate(
    connection: &Connection,
    batches: &[StampedBatch],
    text: &str,
) -> StorageError {
    let Some(schema) = batches.first().map(StampedBatch::schema) else {
        return id_violation(None);
    };
    let mut likely = None;
    for group in schema.schema().unique_groups() {
        let keys = UniqueKeys::new(schema, &group);
        let Some(suspect) = by_value(connection, batches, &keys, text) else {
            continue;
        };
        let error = suspect.place(keys.violation(None));
        if suspect.proven {
            return error;
        }
        likely.get_or_insert(error);
    }
    likely.unwrap_or_else(|| {
        let suspect = by_id(connection, schema, batches, text);
        suspect.map_or(id_violation(None), |suspect| {
            suspect.place(id_violation(None))
        })
    })
}

impl Suspect<'_> {
    /// The violation with the place of this record.
    fn place(&self, error: StorageError) -> StorageError {
        match error {
            StorageError::UniqueViolation { violation } => {
                let (index, line) = self.batch.origin(self.row);
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
}

/// Every record of the batches.
fn rows(batches: &[StampedBatch]) -> impl Iterator<Item = (&StampedBatch, usize)> {
    let rows = |batch: &StampedBatch| 0..batch.len();
    batches
        .iter()
        .flat_map(move |batch| rows(batch).map(move |row| (batch, row)))
}

fn by_value<'b>(
    connection: &Connection,
    batches: &'b [StampedBatch],
    keys: &UniqueKeys<'_>,
    text: &str,
) -> Option<Suspect<'b>> {
    let (named, values) = keys.named_in(connection, text)?;
    let rows = rows(batches).filter(|(batch, row)| {
        keys.key(batch.records(), *row)
            .is_some_and(|(key, _)| key == named)
    });
    suspect(rows, || keys.is_stored(connection, values))
}

fn by_id<'b>(
    connection: &Connection,
    schema: &Arc<SchemaSnapshot>,
    batches: &'b [StampedBatch],
    text: &str,
) -> Option<Suspect<'b>> {
    let named = named_value(text)?;
    let id: RecordId = named.strip_prefix("id: ").unwrap_or(named).parse().ok()?;
    let rows = rows(batches).filter(|(batch, row)| batch.id(*row) == id);
    suspect(rows, || {
        let found = select::by_ids(schema, [id]).fetch(connection);
        found.is_ok_and(|found| found.iter().any(|batch| batch.num_rows() > 0))
    })
}

/// The first of the rows where the value is stored, else the second: the first had it first.
fn suspect<'b>(
    mut rows: impl Iterator<Item = (&'b StampedBatch, usize)>,
    is_stored: impl FnOnce() -> bool,
) -> Option<Suspect<'b>> {
    let first = rows.next()?;
    let second = rows.next();
    let stored = is_stored();
    let (batch, row) = if stored {
        first
    } else {
        second.unwrap_or(first)
    };
    Some(Suspect {
        batch,
        row,
        proven: stored || second.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use staffa_domain::{StampedBatch, StorageError};
    use staffa_testkit::{builders, row, schemas};

    use super::locate;
    use crate::catalog::make_storage;
    use crate::engine::Link;

    /// Of the records 0 to 4 in two batches, the one that is told of.
    fn told(stored: Option<&str>, references: [&str; 4]) -> Option<u64> {
        let (link, schema) = (Link::in_memory(), schemas::orders());
        let settings = "SET arrow_lossless_conversion = true; CREATE SCHEMA records";
        link.execute_batch(settings).unwrap();
        make_storage(&link, &schema).unwrap();
        let batch = |first, of: &[&str]| {
            let rows = of.iter().map(|reference| row! { reference: *reference });
            builders::batch(&schema, first, rows.collect())
        };
        if let Some(stored) = stored {
            let before = batch(100, &[stored]);
            link.append(&schema, [before.records()]).unwrap();
        }
        let batches = [batch(0, &references[..2]), batch(2, &references[2..])];
        let records = batches.iter().map(StampedBatch::records);
        let fault = link.append(&schema, records).unwrap_err();
        match locate(&link, &batches, &fault.text) {
            StorageError::UniqueViolation { violation } => violation.index,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_value_that_comes_twice_is_that_of_the_second_in_whichever_batch() {
        assert_eq!(told(None, ["a", "b", "c", "a"]), Some(3));
        assert_eq!(told(None, ["a", "a", "b", "c"]), Some(1));
    }

    #[test]
    fn a_value_that_is_stored_is_that_of_the_first() {
        assert_eq!(told(Some("c"), ["a", "b", "c", "d"]), Some(2));
        assert_eq!(told(Some("b"), ["a", "b", "c", "b"]), Some(1));
    }
}
