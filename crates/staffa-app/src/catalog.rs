//! The current version of every schema, in memory, over the catalog that the engine keeps.

mod internal;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use staffa_codec::document;
use staffa_domain::change::{ChangePlan, Step, StepClass, next_version, plan};
use staffa_domain::ports::{SchemaCatalog, SchemaChange, StoredSchema};
use staffa_domain::schema::SchemaProblem;
use staffa_domain::{Schema, SchemaName, SchemaSnapshot, StorageError};

use crate::error::Error;

pub(crate) use internal::{internal_record, internal_schema};

/// How often a start is tried again when another server changed the catalog meanwhile: each
/// lost race means that some other server got a change done.
const DECLARE_TRIES: usize = 100;

/// All current schemas by name.
pub(crate) type Current = BTreeMap<String, Arc<SchemaSnapshot>>;

/// Why the schemas cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A stored document cannot be read.
    #[error("the stored schema {name} cannot be read: {}", first(problems))]
    Stored {
        /// The schema.
        name: String,
        /// What is wrong.
        problems: Vec<SchemaProblem>,
    },
    /// A declared schema differs from the stored one.
    #[error(
        "the schema {name} differs from the stored version {version}:\n  {}\ncarry the change \
         out with: staffa schema apply",
        differences.join("\n  ")
    )]
    Differs {
        /// The schema.
        name: String,
        /// The stored version.
        version: u32,
        /// What differs, a line each.
        differences: Vec<String>,
    },
}

fn first(problems: &[SchemaProblem]) -> String {
    problems
        .first()
        .map_or_else(String::new, ToString::to_string)
}

/// The schemas as requests see them. A request takes one snapshot and keeps it.
#[derive(Debug)]
pub struct Catalog {
    port: Arc<dyn SchemaCatalog>,
    current: RwLock<Arc<Current>>,
    /// Held while the stored schemas are read again.
    reading: tokio::sync::Mutex<()>,
    /// The names of the internal schemas that are stored, and whether all of each is known to
    /// be there.
    internal: RwLock<BTreeMap<String, bool>>,
}

impl Catalog {
    /// Reads every stored schema and makes sure that its storage is there.
    pub async fn open(port: Arc<dyn SchemaCatalog>) -> Result<Self, StartError> {
        let catalog = Self {
            port,
            current: RwLock::default(),
            reading: tokio::sync::Mutex::default(),
            internal: RwLock::default(),
        };
        catalog.reload().await?;
        for schema in catalog.all().values() {
            catalog.port.ensure(schema).await?;
        }
        Ok(catalog)
    }

    /// Every current schema, in order of names.
    pub fn all(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// One current schema.
    pub fn get(&self, name: &str) -> Result<Arc<SchemaSnapshot>, Error> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let found = current.get(name).map(Arc::clone);
        found.ok_or_else(|| Error::SchemaNotFound(name.to_owned()))
    }

    /// Reads the stored schemas again.
    pub async fn reload(&self) -> Result<(), StartError> {
        // In turn, so that none puts back what another one found to be outdated.
        let _turn = self.reading.lock().await;
        self.read_again().await
    }

    async fn read_again(&self) -> Result<(), StartError> {
        let mut current = Current::new();
        for stored in self.port.load().await? {
            if SchemaName::is_internal(&stored.name) {
                self.note_internal(stored.name);
                continue;
            }
            let snapshot = read_stored(&stored)?;
            current.insert(stored.name, Arc::new(snapshot));
        }
        self.replace(current);
        Ok(())
    }

    /// Follows changes that other processes make, until dropped.
    pub async fn follow(&self) {
        loop {
            self.port.changed().await;
            if let Err(error) = self.reload().await {
                tracing::error!(%error, "the schemas could not be read again");
            }
        }
    }

    /// Brings declared schemas into being: new ones are created, and steps taken that need not
    /// look at records; what takes more is refused before any change. Servers
    /// that start at the same moment may all declare: who comes second finds it done.
    pub async fn declare(&self, declared: Vec<Schema>) -> Result<(), StartError> {
        let mut tries = DECLARE_TRIES;
        loop {
            tries -= 1;
            let done = self.declare_once(&declared).await;
            self.reload().await?;
            match done {
                Err(StartError::Storage(StorageError::SchemaMoved { .. })) if tries > 0 => {}
                done => return done,
            }
        }
    }

    async fn declare_once(&self, declared: &[Schema]) -> Result<(), StartError> {
        let current = self.all();
        let mut changes = Vec::new();
        for schema in declared {
            let stored = current.get(schema.name.as_str());
            changes.extend(change_at_start(stored, schema)?);
        }
        for change in changes {
            self.port.apply(change).await?;
        }
        Ok(())
    }

    /// The steps from the current version of a schema to a declaration.
    pub fn plan(&self, schema: &Schema) -> Result<ChangePlan, Error> {
        match self.get(schema.name.as_str()) {
            Ok(current) => plan(current.schema(), schema).map_err(Error::UnsupportedChange),
            Err(_) => Ok(ChangePlan::create(schema.clone())),
        }
    }

    /// Carries out what lies between a version, or nothing, and a declaration; answers the
    /// steps. A schema that was changed by another since `from` has moved.
    pub(crate) async fn evolve(
        self: &Arc<Self>,
        schema: &Schema,
        from: Option<&Arc<SchemaSnapshot>>,
        allow_destructive: bool,
    ) -> Result<ChangePlan, Error> {
        let (plan, change) = Self::prepare(schema, from, allow_destructive)?;
        if let Some(change) = change {
            self.apply(change).await?;
        }
        Ok(plan)
    }

    /// What lies between a version, or nothing, and a declaration; no change where that is
    /// nothing.
    pub(crate) fn prepare(
        schema: &Schema,
        from: Option<&Arc<SchemaSnapshot>>,
        allow_destructive: bool,
    ) -> Result<(ChangePlan, Option<SchemaChange>), Error> {
        let plan = match from {
            Some(from) => plan(from.schema(), schema).map_err(Error::UnsupportedChange)?,
            None => ChangePlan::create(schema.clone()),
        };
        if !allow_destructive {
            refuse_destructive(&plan)?;
        }
        let change = match from {
            Some(from) => evolution(from, schema, &plan),
            None => Some(created(schema.clone())),
        };
        Ok((plan, change))
    }

    /// Removes a schema with its records.
    pub(crate) async fn drop_schema(
        self: &Arc<Self>,
        from: &Arc<SchemaSnapshot>,
    ) -> Result<(), Error> {
        let from = Arc::clone(from);
        self.apply(SchemaChange::Drop { from }).await
    }

    /// Carries a change out and serves what came of it, in a task of its own: an engine finishes
    /// what was begun, however long, and a caller that has gone meanwhile must not leave the
    /// server with the version before.
    pub(crate) async fn apply(self: &Arc<Self>, change: SchemaChange) -> Result<(), Error> {
        let catalog = Arc::clone(self);
        let work = tokio::spawn(async move {
            let done = catalog.port.apply(change).await;
            // Served at once, and known better where another server was first.
            catalog.reload_stored().await?;
            Ok(done?)
        });
        work.await.map_err(StorageError::internal)?
    }

    /// Keeps the port for questions about old versions.
    pub(crate) fn port(&self) -> &dyn SchemaCatalog {
        &*self.port
    }

    pub(crate) async fn reload_stored(&self) -> Result<(), Error> {
        Ok(self.reload().await?)
    }

    /// The same, unless somebody did so since these were served.
    pub(crate) async fn reload_since(&self, served: &Arc<Current>) -> Result<(), Error> {
        let _turn = self.reading.lock().await;
        match Arc::ptr_eq(served, &self.all()) {
            true => Ok(self.read_again().await?),
            false => Ok(()),
        }
    }

    fn replace(&self, current: Current) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
    }
}

fn read_stored(stored: &StoredSchema) -> Result<SchemaSnapshot, StartError> {
    document::read_stored(stored).map_err(|problems| StartError::Stored {
        name: stored.name.clone(),
        problems,
    })
}

fn created(mut schema: Schema) -> SchemaChange {
    for property in &mut schema.properties {
        // There is nothing yet to be renamed.
        property.renamed_from = None;
    }
    let to = Arc::new(SchemaSnapshot::first(schema));
    let document = document::write_stored(&to);
    SchemaChange::Create { to, document }
}

/// The change that carries a plan out; none where it has no step.
fn evolution(
    from: &Arc<SchemaSnapshot>,
    schema: &Schema,
    plan: &ChangePlan,
) -> Option<SchemaChange> {
    if plan.is_empty() {
        return None;
    }
    let to = Arc::new(next_version(from, schema, plan));
    let document = document::write_stored(&to);
    let from = Arc::clone(from);
    let only_words = |step: &Step| matches!(step, Step::SetDescription { .. });
    Some(if plan.steps().iter().all(only_words) {
        SchemaChange::Describe { from, to, document }
    } else {
        SchemaChange::Evolve {
            from,
            to,
            document,
            steps: document::steps_json(plan, 0).to_string(),
        }
    })
}

/// At a start only what takes no time is done.
fn change_at_start(
    stored: Option<&Arc<SchemaSnapshot>>,
    schema: &Schema,
) -> Result<Option<SchemaChange>, StartError> {
    let Some(stored) = stored else {
        return Ok(Some(created(schema.clone())));
    };
    let differs = |differences| StartError::Differs {
        name: schema.name.as_str().to_owned(),
        version: stored.version(),
        differences,
    };
    let plan = plan(stored.schema(), schema)
        .map_err(|problems| differs(problems.iter().map(ToString::to_string).collect()))?;
    if plan.class() > StepClass::Instant {
        let told = |step: &Step| format!("{}: {step} ({})", step.word(), step.class());
        return Err(differs(plan.steps().iter().map(told).collect()));
    }
    Ok(evolution(stored, schema, &plan))
}

fn refuse_destructive(plan: &ChangePlan) -> Result<(), Error> {
    let steps = plan.steps().iter();
    let steps = steps.filter(|step| step.class() == StepClass::Destructive);
    let problems: Vec<SchemaProblem> = steps
        .map(|step| {
            let message = format!("{step}: this takes allow_destructive=true");
            SchemaProblem::new("", message)
        })
        .collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::UnsupportedChange(problems)),
    }
}
