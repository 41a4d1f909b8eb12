//! The current version of every schema, in memory, over the catalog that the engine keeps.

mod internal;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use staffa_codec::document;
use staffa_domain::ports::{SchemaCatalog, SchemaChange, StoredSchema};
use staffa_domain::schema::SchemaProblem;
use staffa_domain::{Schema, SchemaName, SchemaSnapshot, StorageError};

use crate::error::Error;

/// How often a start is tried again when another server changed the catalog meanwhile: each
/// lost race means that some other server got a change done.
const DECLARE_TRIES: usize = 100;

/// All current schemas by name.
type Current = BTreeMap<String, Arc<SchemaSnapshot>>;

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
    #[error("the schema {name} differs from the stored version {version}:\n  {}", differences.join("\n  "))]
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

    /// Brings declared schemas into being: new ones are created, new descriptions taken;
    /// anything else that differs from what is stored is refused before any change. Servers
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
            match current.get(schema.name.as_str()) {
                Some(stored) => changes.extend(described(stored, schema.clone())?),
                None => changes.push(created(schema.clone())),
            }
        }
        for change in changes {
            self.port.apply(change).await?;
        }
        Ok(())
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

fn created(schema: Schema) -> SchemaChange {
    let to = Arc::new(SchemaSnapshot::first(schema));
    let document = document::write_stored(&to);
    SchemaChange::Create { to, document }
}

fn described(
    stored: &Arc<SchemaSnapshot>,
    schema: Schema,
) -> Result<Option<SchemaChange>, StartError> {
    if *stored.schema() == schema {
        return Ok(None);
    }
    let differences = document::difference(stored.schema(), &schema);
    if !differences.is_empty() {
        return Err(StartError::Differs {
            name: schema.name.as_str().to_owned(),
            version: stored.version(),
            differences,
        });
    }
    let to = Arc::new(SchemaSnapshot::restore(
        schema,
        stored.version() + 1,
        stored.property_ids().to_vec(),
        stored.next_property_id(),
    ));
    let document = document::write_stored(&to);
    Ok(Some(SchemaChange::Describe {
        from: Arc::clone(stored),
        to,
        document,
    }))
}
