//! Shows the versions of a schema, the newest and those before it.

use std::sync::Arc;

use staffa_codec::document;
use staffa_domain::change::{ChangePlan, plan};
use staffa_domain::ports::{ChangeLog, SchemaVersion};
use staffa_domain::{SchemaSnapshot, StorageError, Timestamp};

use crate::context::{Context, Stage};
use crate::error::Error;
use crate::queries::Queries;

/// One version of a schema.
#[derive(Debug, Clone)]
pub struct VersionView {
    /// The schema at that version.
    pub schema: Arc<SchemaSnapshot>,
    /// When it was made.
    pub created_at: Timestamp,
    /// How it came about, as a list of JSON.
    pub steps: String,
    /// What that took; none for the first, and where only words for people changed.
    pub change: Option<ChangeLog>,
}

impl Queries {
    /// Every version of a schema, from the first.
    pub async fn list_versions(
        &self,
        ctx: &Context,
        name: &str,
    ) -> Result<Vec<VersionView>, Error> {
        self.catalog.get(name)?;
        let versions = self.catalog.port().versions(name);
        let versions = ctx.time_async(Stage::Engine, versions).await?;
        let mut views: Vec<VersionView> = Vec::new();
        for version in versions {
            let before = views.last().map(|view| Arc::clone(&view.schema));
            views.push(view(before.as_deref(), version)?);
        }
        Ok(views)
    }

    /// One version of a schema.
    pub async fn describe_version(
        &self,
        ctx: &Context,
        name: &str,
        version: u32,
    ) -> Result<VersionView, Error> {
        let versions = self.list_versions(ctx, name).await?.into_iter();
        let mut found = versions.filter(|view| view.schema.version() == version);
        let none = || Error::SchemaNotFound(format!("{name} of version {version}"));
        found.next().ok_or_else(none)
    }
}

fn view(before: Option<&SchemaSnapshot>, version: SchemaVersion) -> Result<VersionView, Error> {
    let schema = document::read_stored(&version.stored).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::Storage(StorageError::internal(problems.join("; ")))
    })?;
    let steps = match &version.change {
        Some(log) => log.steps.clone(),
        None => steps_between(before, &schema),
    };
    Ok(VersionView {
        schema: Arc::new(schema),
        created_at: version.stored.created_at,
        steps,
        change: version.change,
    })
}

/// The steps of a version that no log tells: it was made of nothing, or says the same in other
/// words, so that the two documents tell all.
fn steps_between(before: Option<&SchemaSnapshot>, now: &SchemaSnapshot) -> String {
    let plan = match before {
        Some(before) => plan(before.schema(), now.schema()).ok(),
        None => Some(ChangePlan::create(now.schema().clone())),
    };
    plan.map_or_else(
        || "[]".to_owned(),
        |plan| document::steps_json(&plan, 0).to_string(),
    )
}
