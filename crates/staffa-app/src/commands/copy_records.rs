//! Copies the records of a schema out of another storage, with their ids, times and versions.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures_util::TryStreamExt;
use staffa_domain::batch::{Origin, record_id};
use staffa_domain::ports::WriteSession;
use staffa_domain::record::system;
use staffa_domain::{
    DecodedBatch, Field, Position, RecordId, RecordQuery, SchemaSnapshot, Sort, StampedBatch,
    StorageError, WriteMode, validate,
};

use crate::commands::Commands;
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::Queries;

/// How many records one atomic write has at least, but for the last one.
const LOT_RECORDS: usize = 100_000;

impl Commands {
    /// Copies every record of a schema that both sides have, in the order of ids, and answers
    /// how many it copied. What it copied stays when it breaks off: the next call goes on
    /// after the largest id that is here. Calls `progress` with the number of records that
    /// became durable.
    pub async fn copy_records(
        &self,
        ctx: &Context,
        source: &Queries,
        schema: &str,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<u64, Error> {
        let from = source.catalog.get(schema)?;
        let to = self.catalog.get(schema)?;
        let after = self.largest_id(ctx, &to).await?;
        let query = RecordQuery {
            ordered: true,
            after: after.map(|id| Position {
                values: Vec::new(),
                id,
            }),
            ..RecordQuery::all(from)
        };
        let mut batches = ctx
            .time_async(Stage::Engine, source.reader.scan(query))
            .await?;
        let mut copied = 0;
        let mut lot = Lot::default();
        while let Some(batch) = batches.try_next().await? {
            let stamped = ctx.time(Stage::Validate, || restamp(&to, &batch, copied))?;
            copied += batch.num_rows() as u64;
            self.append(ctx, &mut lot, stamped).await?;
            if lot.records >= LOT_RECORDS {
                progress(commit(ctx, &mut lot).await?);
            }
        }
        progress(commit(ctx, &mut lot).await?);
        Ok(copied)
    }

    async fn largest_id(
        &self,
        ctx: &Context,
        schema: &Arc<SchemaSnapshot>,
    ) -> Result<Option<RecordId>, Error> {
        let query = RecordQuery {
            sort: vec![Sort {
                field: Field::Id,
                descending: true,
                nulls_first: false,
            }],
            ordered: true,
            limit: Some(1),
            select: Some(Vec::new()),
            ..RecordQuery::all(Arc::clone(schema))
        };
        let mut batches = ctx
            .time_async(Stage::Engine, self.reader.scan(query))
            .await?;
        while let Some(batch) = batches.try_next().await? {
            if batch.num_rows() > 0 {
                return Ok(record_id(&batch, 0));
            }
        }
        Ok(None)
    }

    async fn append(&self, ctx: &Context, lot: &mut Lot, batch: StampedBatch) -> Result<(), Error> {
        let session = match &mut lot.session {
            Some(session) => session,
            none => {
                let begin = self.writer.begin(batch.schema(), WriteMode::Insert.into());
                none.insert(ctx.time_async(Stage::Engine, begin).await?)
            }
        };
        lot.records += batch.len();
        ctx.time_async(Stage::Engine, session.append(batch)).await?;
        Ok(())
    }
}

/// One atomic write in the making.
#[derive(Debug, Default)]
struct Lot {
    session: Option<Box<dyn WriteSession>>,
    records: usize,
}

/// Ends a lot and answers how many records it had.
async fn commit(ctx: &Context, lot: &mut Lot) -> Result<usize, Error> {
    let Lot { session, records } = std::mem::take(lot);
    if let Some(session) = session {
        ctx.time_async(Stage::Engine, session.commit(Vec::new()))
            .await?;
    }
    ctx.count_records(records);
    Ok(records)
}

/// Checks records of another storage by the schema that they have here, and keeps who they
/// are. Both schemas lay their records out alike, or they would not be of one name.
fn restamp(
    schema: &Arc<SchemaSnapshot>,
    batch: &RecordBatch,
    first: u64,
) -> Result<StampedBatch, Error> {
    let (identity, properties) = batch.columns().split_at(system::COUNT);
    let decoded = DecodedBatch {
        schema: Arc::clone(schema),
        properties: properties.to_vec(),
        len: batch.num_rows(),
        given: None,
        origin: Origin { first, lines: None },
        errors: Vec::new(),
    };
    let (valid, errors) = validate(decoded);
    if !errors.is_empty() {
        return Err(Error::Invalid { errors });
    }
    let identity = std::array::from_fn(|at| Arc::clone(&identity[at]));
    valid
        .stamp_as(identity)
        .map_err(|problem| Error::Storage(StorageError::internal(problem)))
}
