//! Removes every record that matches.

use std::sync::Arc;

use arrow_array::RecordBatch;
use staffa_domain::Operation;
use staffa_domain::batch::{record_id, record_version};

use crate::commands::{Affected, Commands};
use crate::context::Context;
use crate::error::Error;

impl Commands {
    /// Removes each matching record, all or none, and answers how many there were. Answers
    /// once that is durable. A dry run counts.
    pub async fn delete_records(&self, ctx: &Context, affected: &Affected) -> Result<u64, Error> {
        let work = |affected| self.delete_affected(ctx, affected);
        self.follow_affected(affected, work).await
    }

    async fn delete_affected(&self, ctx: &Context, affected: Affected) -> Result<u64, Error> {
        let build = |found: &RecordBatch| {
            let delete = |row| {
                Some(Operation::Delete {
                    schema: Arc::clone(&affected.schema),
                    id: record_id(found, row)?,
                    expected: record_version(found, row),
                })
            };
            Ok((0..found.num_rows()).filter_map(delete).collect())
        };
        let ids_alone = Some(Vec::new());
        self.change_affected(ctx, &affected, (ids_alone, &build, 0))
            .await
    }
}
