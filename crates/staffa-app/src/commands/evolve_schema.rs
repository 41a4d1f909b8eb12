//! Makes a schema, or brings it to its next version.

use std::sync::Arc;

use staffa_domain::change::ChangePlan;
use staffa_domain::{Count, Schema, SchemaSnapshot};

use crate::commands::{Commands, Precondition};
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::told_count;

/// What is asked.
#[derive(Debug)]
pub struct EvolveSchema {
    /// The schema as it is to be.
    pub schema: Schema,
    /// Plan only.
    pub dry_run: bool,
    /// Whether values may go that no step brings back.
    pub allow_destructive: bool,
}

/// What was done, or would be.
#[derive(Debug)]
pub struct EvolvedSchema {
    /// The schema now; none where it was only planned to be made.
    pub schema: Option<Arc<SchemaSnapshot>>,
    /// Whether it is new.
    pub is_new: bool,
    /// The steps.
    pub plan: ChangePlan,
    /// How many records there are.
    pub records: Count,
}

impl Commands {
    /// Makes a schema or brings it to its next version, or says what that would take. Doing it
    /// again does nothing.
    pub async fn evolve_schema(
        &self,
        ctx: &Context,
        asked: EvolveSchema,
        on: &Precondition,
    ) -> Result<EvolvedSchema, Error> {
        let name = asked.schema.name.as_str();
        let current = self.catalog.get(name).ok();
        check(on, name, current.as_deref())?;
        let records = match &current {
            Some(current) => told_count(&*self.reader, ctx, current).await?,
            None => Count {
                records: 0,
                exact: true,
            },
        };
        let plan = self.catalog.plan(&asked.schema)?;
        let is_new = current.is_none();
        if asked.dry_run {
            let schema = current;
            return Ok(EvolvedSchema {
                schema,
                is_new,
                plan,
                records,
            });
        }
        let work = self
            .catalog
            .evolve(&asked.schema, current.as_ref(), asked.allow_destructive);
        let plan = ctx.time_async(Stage::Engine, work).await?;
        Ok(EvolvedSchema {
            schema: Some(self.catalog.get(name)?),
            is_new,
            plan,
            records,
        })
    }
}

/// Holds a precondition against the version that a schema has.
pub(super) fn check(
    on: &Precondition,
    name: &str,
    current: Option<&SchemaSnapshot>,
) -> Result<(), Error> {
    let version = current.map(SchemaSnapshot::version);
    let holds = match (on, version) {
        (Precondition::None, _) | (Precondition::Absent, None) => true,
        (Precondition::Absent, Some(_)) => false,
        (Precondition::Versions(wanted), Some(version)) => wanted.contains(&i64::from(version)),
        (Precondition::Versions(_), None) => {
            return Err(Error::SchemaNotFound(name.to_owned()));
        }
    };
    match holds {
        true => Ok(()),
        false => Err(Error::SchemaVersionMismatch {
            current: version.unwrap_or(0),
        }),
    }
}
