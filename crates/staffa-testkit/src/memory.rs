//! An engine in memory that is simple and obviously right: what the others are compared with.
//!
//! Every write changes a copy and puts it in place when nothing failed, so a reader that
//! took the state before sees one snapshot for as long as it likes.

mod aggregate;
mod calendar;
mod content;
mod evolve;
mod read;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::RwLock;

use staffa_domain::error::Unavailable;
use staffa_domain::ports::{
    ChangeLog, EngineMonitor, EngineState, Gauge, SchemaCatalog, SchemaChange, SchemaVersion,
    Storage, StoredSchema,
};
use staffa_domain::{SchemaSnapshot, StorageError, Timestamp};

use content::Content;

/// The reference engine. It keeps everything in memory and forgets it when dropped.
#[derive(Debug, Clone)]
pub struct MemoryEngine {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: RwLock<State>,
    closed: AtomicBool,
}

/// All there is. Cloning is cheap; the contents are copied when first changed.
#[derive(Debug, Clone, Default)]
struct State {
    schemas: BTreeMap<String, Kept>,
    commit: u64,
}

/// One schema and its records.
#[derive(Debug, Clone)]
struct Kept {
    snapshot: Arc<SchemaSnapshot>,
    /// From the first version on; there is at least one.
    versions: Vec<SchemaVersion>,
    content: Arc<Content>,
}

impl MemoryEngine {
    /// Opens an empty engine.
    pub fn open() -> Storage {
        let engine = Arc::new(Self {
            shared: Arc::new(Shared::default()),
        });
        Storage {
            catalog: Arc::<Self>::clone(&engine),
            writer: Arc::<Self>::clone(&engine),
            reader: Arc::<Self>::clone(&engine),
            monitor: engine,
        }
    }

    fn snapshot(&self) -> Result<State, StorageError> {
        self.check_open()?;
        Ok(self.shared.state.read().clone())
    }

    /// Runs a change on a copy and keeps it only if it succeeds.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.check_open()?;
        let mut state = self.shared.state.write();
        let mut next = state.clone();
        next.commit += 1;
        let answer = change(&mut next)?;
        *state = next;
        Ok(answer)
    }

    fn check_open(&self) -> Result<(), StorageError> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(StorageError::Unavailable(Unavailable::Draining));
        }
        Ok(())
    }
}

impl State {
    fn kept(&self, schema: &SchemaSnapshot) -> Result<&Kept, StorageError> {
        let name = schema.name();
        self.schemas.get(name).ok_or_else(|| not_found(name))
    }

    /// The schema, if it still has the version that the caller works with.
    fn kept_at(&self, schema: &SchemaSnapshot) -> Result<&Kept, StorageError> {
        let kept = self.kept(schema)?;
        if kept.snapshot.version() != schema.version() {
            return Err(moved(schema.name()));
        }
        Ok(kept)
    }

    fn content_at(&mut self, schema: &SchemaSnapshot) -> Result<&mut Content, StorageError> {
        self.kept_at(schema)?;
        let kept = self
            .schemas
            .get_mut(schema.name())
            .ok_or_else(|| not_found(schema.name()))?;
        Ok(Arc::make_mut(&mut kept.content))
    }

    fn apply(&mut self, change: SchemaChange) -> Result<(), StorageError> {
        // The commit number stands for the time: it only has to rise.
        let at = Timestamp::from_micros(i64::try_from(self.commit).unwrap_or(i64::MAX));
        match change {
            SchemaChange::Create { to, document } => {
                let name = to.name().to_owned();
                if self.schemas.contains_key(&name) {
                    return Err(moved(&name));
                }
                let content = Arc::new(Content::new(to.schema()));
                self.schemas
                    .insert(name, Kept::new(to, document, at, content));
            }
            SchemaChange::Describe { from, to, document } => {
                let kept = self.kept_at(&from)?;
                let next = kept.next(to, (document, at, None), Arc::clone(&kept.content));
                self.schemas.insert(from.name().to_owned(), next);
            }
            SchemaChange::Evolve {
                from,
                to,
                document,
                steps,
            } => {
                let kept = self.kept_at(&from)?;
                let content = Arc::new(evolve::evolve(&kept.content, &from, &to)?);
                let log = ChangeLog {
                    steps,
                    records: kept.content.records().len() as u64,
                    duration_micros: 0,
                };
                let next = kept.next(to, (document, at, Some(log)), content);
                self.schemas.insert(from.name().to_owned(), next);
            }
            SchemaChange::Drop { from } => {
                self.kept_at(&from)?;
                self.schemas.remove(from.name());
            }
        }
        Ok(())
    }
}

impl Kept {
    fn new(
        snapshot: Arc<SchemaSnapshot>,
        document: String,
        created_at: Timestamp,
        content: Arc<Content>,
    ) -> Self {
        let none = Self {
            snapshot: Arc::clone(&snapshot),
            versions: Vec::new(),
            content: Arc::clone(&content),
        };
        none.next(snapshot, (document, created_at, None), content)
    }

    fn next(
        &self,
        snapshot: Arc<SchemaSnapshot>,
        (document, created_at, change): (String, Timestamp, Option<ChangeLog>),
        content: Arc<Content>,
    ) -> Self {
        let stored = StoredSchema {
            name: snapshot.name().to_owned(),
            version: snapshot.version(),
            document,
            created_at,
        };
        let mut versions = self.versions.clone();
        versions.push(SchemaVersion { stored, change });
        Self {
            snapshot,
            versions,
            content,
        }
    }
}

fn not_found(schema: &str) -> StorageError {
    StorageError::SchemaNotFound {
        schema: schema.to_owned(),
    }
}

fn moved(schema: &str) -> StorageError {
    StorageError::SchemaMoved {
        schema: schema.to_owned(),
    }
}

#[async_trait]
impl SchemaCatalog for MemoryEngine {
    async fn load(&self) -> Result<Vec<StoredSchema>, StorageError> {
        let state = self.snapshot()?;
        Ok(state
            .schemas
            .into_values()
            .filter_map(|mut kept| Some(kept.versions.pop()?.stored))
            .collect())
    }

    async fn apply(&self, change: SchemaChange) -> Result<(), StorageError> {
        self.change(|state| state.apply(change))
    }

    async fn versions(&self, name: &str) -> Result<Vec<SchemaVersion>, StorageError> {
        let kept = self.snapshot()?.schemas.remove(name);
        Ok(kept.map(|kept| kept.versions).unwrap_or_default())
    }

    async fn ensure(&self, schema: &Arc<SchemaSnapshot>) -> Result<(), StorageError> {
        self.snapshot()?.kept_at(schema).map(|_| ())
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl EngineMonitor for MemoryEngine {
    fn state(&self) -> EngineState {
        match self.check_open() {
            Ok(()) => EngineState::Ready,
            Err(_) => EngineState::Closed,
        }
    }

    fn gauges(&self) -> Vec<Gauge> {
        #[expect(clippy::cast_precision_loss, reason = "a gauge needs no exact digits")]
        let value = self.shared.state.read().commit as f64;
        vec![Gauge {
            name: "commits",
            value,
        }]
    }

    async fn probe(&self) -> Result<(), StorageError> {
        self.check_open()
    }

    async fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }
}
