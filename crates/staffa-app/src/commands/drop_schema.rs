//! Removes a schema with its records.

use crate::commands::evolve_schema::check;
use crate::commands::{Commands, Precondition};
use crate::context::{Context, Stage};
use crate::error::Error;

impl Commands {
    /// Removes a schema with its records and all its versions.
    pub async fn drop_schema(
        &self,
        ctx: &Context,
        name: &str,
        on: &Precondition,
    ) -> Result<(), Error> {
        let current = self.catalog.get(name)?;
        check(on, name, Some(&current))?;
        ctx.time_async(Stage::Engine, self.catalog.drop_schema(&current))
            .await
    }
}
