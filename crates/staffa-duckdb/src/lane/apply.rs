//! Carries out checked operations with as few statements as there are kinds of them: one
//! planned statement costs as much as hundreds of appended rows.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use staffa_domain::{Operation, RecordId, SchemaSnapshot};

use super::check::{Item, by_schema};
use crate::engine::Link;
use crate::error::Fault;
use crate::sql::{Sql, names};

/// Carries out operations that are independent of each other and were checked.
pub(crate) fn apply(link: &Link, items: &[Item<'_>]) -> Result<(), Fault> {
    for members in by_schema(items) {
        let operations = members.iter().map(|member| items[*member].operation);
        let schema = items[members[0]].operation.schema();
        apply_to(link, schema, operations)?;
    }
    Ok(())
}

fn apply_to<'a>(
    link: &Link,
    schema: &Arc<SchemaSnapshot>,
    operations: impl Iterator<Item = &'a Operation>,
) -> Result<(), Fault> {
    let mut removed: Vec<RecordId> = Vec::new();
    let mut added: Vec<&RecordBatch> = Vec::new();
    for operation in operations {
        match operation {
            Operation::Create(batch) => added.push(batch.records()),
            Operation::Replace { batch, .. } => {
                removed.push(batch.id(0));
                added.push(batch.records());
            }
            Operation::Delete { id, .. } => removed.push(*id),
            Operation::Assert { .. } => {}
        }
    }
    if !removed.is_empty() {
        let count = removed.len();
        let mut sql = Sql::new(format!("DELETE FROM {} WHERE id IN ", names::table(schema)));
        let deleted = sql.id_list(removed).execute(link)?;
        if deleted != count {
            return Err(Fault::bug(format!("{deleted} of {count} records deleted")));
        }
    }
    match added.as_slice() {
        [] => Ok(()),
        [only] => link.append(schema, [*only]),
        many => {
            let many = concat_batches(schema.record_layout(), many.iter().copied())?;
            link.append(schema, [&many])
        }
    }
}
