//! Streams every record that matches, from one snapshot.

use std::sync::Arc;

use staffa_domain::ports::RecordStream;
use staffa_domain::{Filter, RecordQuery, SchemaSnapshot, Sort};

use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::Queries;

/// What to stream.
#[derive(Debug, Clone)]
pub struct StreamRecords {
    /// The schema, as the question was read by it.
    pub schema: Arc<SchemaSnapshot>,
    /// Which records; all when absent.
    pub filter: Option<Filter>,
    /// In which order; as they lie when empty.
    pub sort: Vec<Sort>,
    /// Which properties; all when absent.
    pub select: Option<Vec<usize>>,
    /// At most this many.
    pub limit: Option<u64>,
}

/// The records as they come.
pub struct StreamView {
    /// The schema.
    pub schema: Arc<SchemaSnapshot>,
    /// Which properties the batches hold; all when absent.
    pub select: Option<Vec<usize>>,
    /// The batches.
    pub batches: RecordStream,
}

impl std::fmt::Debug for StreamView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamView")
            .field("select", &self.select)
            .finish_non_exhaustive()
    }
}

impl Queries {
    /// Starts a stream. Memory stays bounded however long it is; dropping it frees the
    /// engine's query.
    pub async fn stream_records(
        &self,
        ctx: &Context,
        request: StreamRecords,
    ) -> Result<StreamView, Error> {
        let StreamRecords {
            schema,
            filter,
            sort,
            select,
            limit,
        } = request;
        let query = RecordQuery {
            filter,
            ordered: !sort.is_empty() || limit.is_some(),
            sort,
            select: select.clone(),
            limit,
            ..RecordQuery::all(Arc::clone(&schema))
        };
        let batches = ctx
            .time_async(Stage::Engine, self.reader.scan(query))
            .await?;
        Ok(StreamView {
            schema,
            select,
            batches,
        })
    }
}
