//! Computes figures over groups of records.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use staffa_domain::StorageError;
use staffa_domain::query::Aggregate;

use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::Queries;

/// Groups and their figures.
#[derive(Debug)]
pub struct GroupView {
    /// What was asked.
    pub question: Aggregate,
    /// One row a group: what it is grouped by, then its figures.
    pub groups: RecordBatch,
}

impl Queries {
    /// The groups that a question asks for, in its order, from one snapshot.
    pub async fn aggregate_records(
        &self,
        ctx: &Context,
        question: Aggregate,
    ) -> Result<GroupView, Error> {
        let groups = self.reader.aggregate(question.clone());
        let groups = ctx.time_async(Stage::Engine, groups).await?;
        check_finite(&groups)?;
        ctx.count_records(groups.num_rows());
        Ok(GroupView { question, groups })
    }
}

/// Refuses figures beyond what a number can hold, as of a sum of the largest: some engines
/// refuse them by themselves, others answer with an infinity, for which JSON has no word.
fn check_finite(groups: &RecordBatch) -> Result<(), StorageError> {
    let doubles = groups.columns().iter();
    let mut doubles = doubles.filter_map(|column| column.as_primitive_opt::<Float64Type>());
    if doubles.all(|column| column.iter().flatten().all(f64::is_finite)) {
        return Ok(());
    }
    Err(StorageError::Unsupported(
        "a figure is out of range".to_owned(),
    ))
}
