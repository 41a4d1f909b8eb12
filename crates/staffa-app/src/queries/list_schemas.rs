//! Shows the schemas.

use std::sync::Arc;

use staffa_domain::SchemaSnapshot;

use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::Queries;

/// A schema and how many records it has.
#[derive(Debug, Clone)]
pub struct SchemaView {
    /// The schema.
    pub schema: Arc<SchemaSnapshot>,
    /// Its records now.
    pub record_count: u64,
}

impl Queries {
    /// Every schema, in order of names.
    pub async fn list_schemas(&self, ctx: &Context) -> Result<Vec<SchemaView>, Error> {
        let schemas: Vec<_> = self.catalog.all().values().map(Arc::clone).collect();
        let mut views = Vec::with_capacity(schemas.len());
        for schema in schemas {
            views.push(self.view(ctx, schema).await?);
        }
        Ok(views)
    }

    /// One schema.
    pub async fn describe_schema(&self, ctx: &Context, name: &str) -> Result<SchemaView, Error> {
        self.view(ctx, self.catalog.get(name)?).await
    }

    async fn view(&self, ctx: &Context, schema: Arc<SchemaSnapshot>) -> Result<SchemaView, Error> {
        let count = self.reader.count(&schema, None, false);
        let record_count = ctx.time_async(Stage::Engine, count).await?.records;
        Ok(SchemaView {
            schema,
            record_count,
        })
    }
}
