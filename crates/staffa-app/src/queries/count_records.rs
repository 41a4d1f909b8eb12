//! Counts records.

use std::sync::Arc;

use staffa_domain::{Count, Filter, SchemaSnapshot};

use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::Queries;

impl Queries {
    /// How many records match; `exact` false allows an estimate.
    pub async fn count_records(
        &self,
        ctx: &Context,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        exact: bool,
    ) -> Result<Count, Error> {
        let count = self.reader.count(schema, filter, exact);
        ctx.time_async(Stage::Engine, count)
            .await
            .map_err(Error::from)
    }
}
