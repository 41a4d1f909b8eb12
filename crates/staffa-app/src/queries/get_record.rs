//! Reads one record.

use staffa_domain::RecordId;

use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::{Queries, RecordView};

impl Queries {
    /// The record with this id, as it is after every write acknowledged so far.
    pub async fn get_record(
        &self,
        ctx: &Context,
        schema: &str,
        id: RecordId,
    ) -> Result<RecordView, Error> {
        let schema = self.catalog.get(schema)?;
        let ids = [id];
        let found = self.reader.get(&schema, &ids);
        let found = ctx.time_async(Stage::Engine, found).await?;
        if found.num_rows() == 0 {
            return Err(Error::RecordNotFound);
        }
        ctx.count_records(1);
        Ok(RecordView::new(&schema, found.slice(0, 1)))
    }
}
