//! Shows the schemas.

use std::sync::Arc;

use staffa_domain::ports::{COUNTED_BELOW, RecordReader};
use staffa_domain::{Count, SchemaSnapshot};

use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::Queries;

/// A schema and how many records it has.
#[derive(Debug, Clone)]
pub struct SchemaView {
    /// The schema.
    pub schema: Arc<SchemaSnapshot>,
    /// Its records now.
    pub record_count: Count,
}

/// How many records a schema has, for a person: exactly, unless they are many and the engine has
/// an estimate.
pub(crate) async fn told_count(
    reader: &dyn RecordReader,
    ctx: &Context,
    schema: &Arc<SchemaSnapshot>,
) -> Result<Count, Error> {
    let count = async {
        let count = reader.count(schema, None, false).await?;
        match count.exact || count.records >= COUNTED_BELOW {
            true => Ok(count),
            false => reader.count(schema, None, true).await,
        }
    };
    ctx.time_async(Stage::Engine, count)
        .await
        .map_err(Error::from)
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
        let record_count = told_count(&*self.reader, ctx, &schema).await?;
        Ok(SchemaView {
            schema,
            record_count,
        })
    }
}
