//! What all parts of the adapter share: the open instance, its state, the known schemas.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use duckdb::Connection;
use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use staffa_domain::error::Unavailable;
use staffa_domain::ports::EngineState;
use staffa_domain::{SchemaSnapshot, StorageError};

use crate::error::{Class, Fault};
use crate::options::Options;
use crate::rows::Sources;
use crate::sequence::Sequences;
use crate::transaction::Committed;
use crate::upkeep::Wishes;

/// The database files that this process has open. A second instance on one file would
/// corrupt its indexes, and the engine does not notice.
static OPENED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static CLOSED_ONE: Condvar = Condvar::new();

/// The right to have one path open in this process; given back when dropped.
#[derive(Debug)]
pub(crate) struct PathClaim(PathBuf);

impl PathClaim {
    /// Claims a path, waiting a little for an instance that is just going away.
    pub(crate) fn take(path: &Path, patience: Duration) -> Option<Self> {
        let mut opened = OPENED.lock();
        while opened.contains(path) {
            if CLOSED_ONE.wait_for(&mut opened, patience).timed_out() {
                return None;
            }
        }
        opened.insert(path.to_owned());
        Some(Self(path.to_owned()))
    }
}

impl Drop for PathClaim {
    fn drop(&mut self) {
        OPENED.lock().remove(&self.0);
        CLOSED_ONE.notify_all();
    }
}

/// How many planned statements a connection keeps.
const STATEMENTS_KEPT: usize = 64;

/// A connection that keeps its path claimed. The order of the fields matters: the
/// connection closes before the claim is given back.
pub(crate) struct Link {
    connection: Connection,
    sources: Sources,
    claim: Arc<PathClaim>,
}

impl Link {
    /// Joins a connection and its claim.
    pub(crate) fn new(connection: Connection, claim: Arc<PathClaim>) -> Self {
        // One for each schema that is written, beside those of questions.
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        Self {
            connection,
            sources: Sources::default(),
            claim,
        }
    }

    /// A connection to a new instance in memory.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        static INSTANCES: AtomicUsize = AtomicUsize::new(0);
        let instance = INSTANCES.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!(":memory:{instance}"));
        let claim = PathClaim::take(&path, Duration::ZERO).unwrap();
        let connection = Connection::open_in_memory().unwrap();
        crate::rows::register(&connection).unwrap();
        crate::page::register(&connection).unwrap();
        Self::new(connection, Arc::new(claim))
    }

    /// Another connection to the same instance.
    pub(crate) fn another(&self) -> Result<Self, Fault> {
        let connection = self.connection.try_clone()?;
        Ok(Self::new(connection, Arc::clone(&self.claim)))
    }

    /// Prepares for short appends to a schema, outside of a transaction.
    pub(crate) fn prepare_appends(&self, schema: &SchemaSnapshot) -> Result<(), Fault> {
        self.sources.prepare(&self.connection, schema)
    }

    /// Forgets how statements are carried out. After a change of the catalog the engine would
    /// plan each of them again at every execution.
    pub(crate) fn forget_plans(&self) {
        self.connection.flush_prepared_statement_cache();
    }

    /// Appends batches of whole records in one statement, which is a transaction of its own where
    /// none is open.
    pub(crate) fn append<'r>(
        &self,
        schema: &SchemaSnapshot,
        batches: impl IntoIterator<Item = &'r RecordBatch>,
    ) -> Result<(), Fault> {
        self.sources.append(&self.connection, schema, batches)
    }
}

impl Deref for Link {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.claim.0).finish()
    }
}

/// How often a thread that waits for work or for its client looks whether the engine is lost.
pub(crate) const LOOK_PERIOD: Duration = Duration::from_millis(250);

const READY: u8 = 0;
const REOPENING: u8 = 1;
const CLOSED: u8 = 2;

/// A schema as the running engine knows it. The layout tells a dropped and newly made
/// schema of the same name and version from the one before.
#[derive(Debug)]
struct Known {
    version: u32,
    layout: Option<SchemaRef>,
    /// The first version by which the records as they lie can be read.
    readable_from: u32,
}

/// The open instance and what is known about it.
#[derive(Debug)]
pub(crate) struct Engine {
    /// The settings.
    pub(crate) options: Options,
    /// The database file.
    pub(crate) path: PathBuf,
    /// Streams that are open now.
    pub(crate) streams_open: AtomicUsize,
    /// Streams so far that were written to a file for a slow reader.
    pub(crate) streams_spooled: AtomicUsize,
    /// Bulk sessions that are open now.
    pub(crate) sessions_open: AtomicUsize,
    /// Bulk writes that wait for a session.
    pub(crate) sessions_waiting: AtomicUsize,
    /// Keeps the path ours while the instance is closed and opened again.
    claim: Mutex<Option<Arc<PathClaim>>>,
    root: Mutex<Option<Link>>,
    /// Told when there is a root again, or will be none any more.
    root_changed: Condvar,
    state: AtomicU8,
    full: AtomicBool,
    /// Who wants the log emptied soon, however short it is.
    pub(crate) wishes: Wishes,
    commits: AtomicU64,
    /// Counts what was written to each schema.
    pub(crate) sequences: Sequences,
    schemas: RwLock<HashMap<String, Known>>,
    /// Shared by each bulk session that commits, and held alone while a schema evolves.
    gate: RwLock<()>,
}

impl Engine {
    /// Wraps an instance. `first_commit` must be above all earlier commit numbers.
    pub(crate) fn new(options: Options, path: PathBuf, root: Link, first_commit: u64) -> Self {
        Self {
            options,
            path,
            streams_open: AtomicUsize::new(0),
            streams_spooled: AtomicUsize::new(0),
            sessions_open: AtomicUsize::new(0),
            sessions_waiting: AtomicUsize::new(0),
            claim: Mutex::new(Some(Arc::clone(&root.claim))),
            root: Mutex::new(Some(root)),
            root_changed: Condvar::new(),
            state: AtomicU8::new(READY),
            full: AtomicBool::new(false),
            wishes: Wishes::default(),
            commits: AtomicU64::new(first_commit),
            sequences: Sequences::default(),
            schemas: RwLock::new(HashMap::new()),
            gate: RwLock::new(()),
        }
    }

    /// A further connection with our settings, which clones do not inherit.
    pub(crate) fn connect(&self) -> Result<Link, StorageError> {
        let root = self.root.lock();
        let root = root.as_ref().ok_or_else(|| match self.is_lost() {
            true => StorageError::Unavailable(Unavailable::Reopening),
            false => draining(),
        })?;
        let link = root.another().map_err(|fault| self.failed(fault))?;
        drop_page_columns_late(&link).map_err(|fault| self.failed(fault))?;
        Ok(link)
    }

    /// A connection for a thread that works as long as the engine lives: waits while the engine
    /// is opened again; none once it is closed for good.
    pub(crate) fn wait_for_link(&self) -> Option<Link> {
        loop {
            match self.connect() {
                Ok(link) if !self.is_lost() => return Some(link),
                Ok(_) => {}
                Err(error) if !self.is_lost() => {
                    if !self.is_closed() {
                        tracing::error!(%error, "no further connection to the engine");
                        self.mark_lost();
                    }
                }
                Err(_) => {}
            }
            let mut root = self.root.lock();
            if root.is_none() && self.is_closed() {
                return None;
            }
            // Time-limited, since a loss that was noticed just now has no root change before it.
            self.root_changed.wait_for(&mut root, LOOK_PERIOD);
        }
    }

    /// Takes the root connection: with the last one the instance closes.
    pub(crate) fn take_root(&self) -> Option<Link> {
        let root = self.root.lock().take();
        self.root_changed.notify_all();
        root
    }

    /// Gives the path up; the links that are left still hold it.
    pub(crate) fn release_path(&self) {
        self.claim.lock().take();
    }

    /// Whether anything but the engine itself holds a connection to the instance.
    pub(crate) fn is_in_use(&self) -> bool {
        let root = usize::from(self.root.lock().is_some());
        let claim = self.claim.lock();
        claim
            .as_ref()
            .is_some_and(|claim| Arc::strong_count(claim) > 1 + root)
    }

    /// Serves again, with a new instance.
    pub(crate) fn restart(&self, connection: Connection) {
        let Some(claim) = self.claim.lock().as_ref().map(Arc::clone) else {
            return;
        };
        // A commit in doubt may turn out to stand.
        self.sequences.advance_all();
        let mut root = self.root.lock();
        *root = Some(Link::new(connection, claim));
        let reopening =
            self.state
                .compare_exchange(REOPENING, READY, Ordering::AcqRel, Ordering::Acquire);
        if reopening.is_err() {
            // It was closed for good meanwhile.
            *root = None;
        }
        self.root_changed.notify_all();
    }

    /// Whether the instance is lost and not yet opened again.
    pub(crate) fn is_lost(&self) -> bool {
        self.state.load(Ordering::Acquire) == REOPENING
    }

    fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) == CLOSED
    }

    /// Notes whether there is room on disk to write.
    pub(crate) fn set_full(&self, full: bool) {
        if self.full.swap(full, Ordering::AcqRel) != full {
            if full {
                tracing::error!("the disk is full: writes are refused until there is room");
            } else {
                tracing::info!("there is room on the disk again");
            }
        }
    }

    /// The state as the monitor tells it.
    pub(crate) fn state(&self) -> EngineState {
        match self.state.load(Ordering::Acquire) {
            READY if self.full.load(Ordering::Acquire) => EngineState::Full,
            READY => EngineState::Ready,
            REOPENING => EngineState::Reopening,
            _ => EngineState::Closed,
        }
    }

    /// Refuses work unless the engine serves.
    pub(crate) fn check_ready(&self) -> Result<(), StorageError> {
        match self.state.load(Ordering::Acquire) {
            READY => Ok(()),
            REOPENING => Err(StorageError::Unavailable(Unavailable::Reopening)),
            _ => Err(draining()),
        }
    }

    /// Refuses writes where the engine does not serve or has no room.
    pub(crate) fn check_writable(&self) -> Result<(), StorageError> {
        self.check_ready()?;
        if self.full.load(Ordering::Acquire) {
            return Err(StorageError::StorageFull);
        }
        Ok(())
    }

    /// Marks the engine as lost: it serves no more until it is opened again, which the upkeep
    /// thread sees to.
    pub(crate) fn mark_lost(&self) {
        let _ = self
            .state
            .compare_exchange(READY, REOPENING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Marks the engine as closed; answers whether it was not before.
    pub(crate) fn mark_closed(&self) -> bool {
        self.state.swap(CLOSED, Ordering::AcqRel) != CLOSED
    }

    /// Notices a fault of work that answers nobody.
    pub(crate) fn note(&self, fault: Fault, what: &'static str) {
        self.notice(&fault);
        match fault.class {
            Class::Conflict | Class::Other => tracing::debug!(error = %fault, "{what}"),
            _ => tracing::error!(error = %fault, "{what}"),
        }
    }

    /// Draws the conclusions of a fault: whether the instance is lost, or the disk full.
    fn notice(&self, fault: &Fault) {
        match fault.class {
            Class::Fatal | Class::DurableButInvalid => self.mark_lost(),
            Class::StorageFull => self.set_full(true),
            _ => {}
        }
    }

    /// Turns a fault into an answer, and notices what it says of the engine.
    pub(crate) fn failed(&self, fault: Fault) -> StorageError {
        self.notice(&fault);
        fault.into_storage_error()
    }

    /// The same, about work on one schema.
    pub(crate) fn answer(&self, fault: Fault, schema: &SchemaSnapshot) -> StorageError {
        if fault.class == Class::Missing {
            return match self.check_schema(schema) {
                Ok(()) => moved(schema.name()),
                Err(error) => error,
            };
        }
        self.failed(fault)
    }

    /// The number of a commit that stands.
    pub(crate) fn committed(&self, committed: Committed) -> u64 {
        if committed == Committed::EngineLost {
            self.mark_lost();
        }
        self.commits.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The number of the last commit.
    pub(crate) fn last_commit(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// The version of a schema, if it is there.
    pub(crate) fn version_of(&self, name: &str) -> Option<u32> {
        self.schemas.read().get(name).map(|known| known.version)
    }

    /// Whether a schema is there in the version that the caller works with.
    pub(crate) fn check_schema(&self, schema: &SchemaSnapshot) -> Result<(), StorageError> {
        let schemas = self.schemas.read();
        let name = schema.name();
        let known = schemas.get(name).ok_or_else(|| not_found(name))?;
        let same_layout = known.layout.as_ref().is_none_or(|layout| {
            Arc::ptr_eq(layout, schema.record_layout()) || layout == schema.record_layout()
        });
        if known.version == schema.version() && same_layout {
            Ok(())
        } else {
            Err(moved(name))
        }
    }

    /// Whether a schema is there to be read, in whatever version.
    pub(crate) fn check_readable(&self, schema: &SchemaSnapshot) -> Result<(), StorageError> {
        self.check_ready()?;
        match self.version_of(schema.name()) {
            Some(_) => Ok(()),
            None => Err(not_found(schema.name())),
        }
    }

    /// Notes a version of a schema.
    pub(crate) fn remember(&self, name: &str, version: u32, layout: Option<SchemaRef>) {
        let mut schemas = self.schemas.write();
        let readable_from = schemas.get(name).map_or(0, |known| known.readable_from);
        let known = Known {
            version,
            layout,
            readable_from,
        };
        schemas.insert(name.to_owned(), known);
    }

    /// Commits a change of a schema and notes the version that comes of it in one, so that nobody
    /// compares versions in between.
    pub(crate) fn commit_change<T, E>(
        &self,
        to: &SchemaSnapshot,
        changes_layout: bool,
        commit: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut schemas = self.schemas.write();
        let done = commit()?;
        let before = schemas
            .get(to.name())
            .map_or(0, |known| known.readable_from);
        let known = Known {
            version: to.version(),
            layout: Some(Arc::clone(to.record_layout())),
            readable_from: if changes_layout { to.version() } else { before },
        };
        schemas.insert(to.name().to_owned(), known);
        Ok(done)
    }

    /// Held by a bulk session while it compares versions and commits.
    pub(crate) fn pass_gate(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read()
    }

    /// Held by a change of a schema, from before it looks at records to after its commit: a
    /// session that comes through later finds that the schema moved.
    pub(crate) fn close_gate(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write()
    }

    /// Whether records as they lie now can be read by a version. Asked after a statement took
    /// its snapshot, since they may have changed while it waited.
    pub(crate) fn check_layout(&self, schema: &SchemaSnapshot) -> Result<(), StorageError> {
        let schemas = self.schemas.read();
        match schemas.get(schema.name()) {
            Some(known) if schema.version() < known.readable_from => Err(moved(schema.name())),
            _ => Ok(()),
        }
    }

    /// Notes that a schema is gone.
    pub(crate) fn forget(&self, name: &str) {
        self.schemas.write().remove(name);
    }
}

/// The limit up to which the engine sorts a page by its keys first and reads the other
/// columns for the page alone.
pub(crate) const PAGE_ROWS_MAX: u64 = 10_001;

fn drop_page_columns_late(connection: &Connection) -> Result<(), Fault> {
    let statement = format!("SET late_materialization_max_rows = {PAGE_ROWS_MAX}");
    Ok(connection.execute_batch(&statement)?)
}

/// The answer while the engine closes.
pub(crate) const fn draining() -> StorageError {
    StorageError::Unavailable(Unavailable::Draining)
}

/// The answer when a queue is full.
pub(crate) const fn overloaded() -> StorageError {
    StorageError::Unavailable(Unavailable::Overloaded)
}

/// The answer when the engine loses its way in the middle of a commit.
pub(crate) const fn commit_unknown() -> StorageError {
    StorageError::Unavailable(Unavailable::CommitUnknown)
}

/// The answer for a schema that is not there.
pub(crate) fn not_found(schema: &str) -> StorageError {
    StorageError::SchemaNotFound {
        schema: schema.to_owned(),
    }
}

/// The answer for a schema in another version.
pub(crate) fn moved(schema: &str) -> StorageError {
    StorageError::SchemaMoved {
        schema: schema.to_owned(),
    }
}
