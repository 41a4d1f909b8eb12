//! Removes one record.

use std::sync::Arc;

use staffa_domain::{Operation, RecordId, StorageError};

use crate::commands::read_modify_write::refuse_append_only;
use crate::commands::{Commands, Precondition};
use crate::context::Context;
use crate::error::Error;
use crate::once::Done;

impl Commands {
    /// Removes a record. Answers once that is durable.
    pub async fn delete_record(
        &self,
        ctx: &Context,
        target: (&str, RecordId),
        precondition: &Precondition,
    ) -> Result<(), Error> {
        self.follow_changes(|| self.delete_once(ctx, target, precondition))
            .await
    }

    async fn delete_once(
        &self,
        ctx: &Context,
        (schema, id): (&str, RecordId),
        precondition: &Precondition,
    ) -> Result<(), Error> {
        let schema = self.catalog.get(schema)?;
        refuse_append_only(&schema)?;
        let versions = match precondition {
            Precondition::None => vec![None],
            Precondition::Versions(versions) => versions.iter().copied().map(Some).collect(),
            Precondition::Absent => {
                return Err(Error::Storage(StorageError::Unsupported(
                    "a record that must not exist can't be removed".to_owned(),
                )));
            }
        };
        let mut last = Error::RecordNotFound;
        for expected in versions {
            let delete = Operation::Delete {
                schema: Arc::clone(&schema),
                id,
                expected,
            };
            match self.execute(ctx, vec![delete], Done::Deleted).await {
                Ok(_) => {
                    ctx.count_records(1);
                    return Ok(());
                }
                Err(StorageError::VersionMismatch { current, .. }) => {
                    last = Error::VersionMismatch { current };
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last)
    }
}
