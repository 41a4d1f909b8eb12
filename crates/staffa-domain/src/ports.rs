//! What Staffa asks of the outside world: storage, time, identity, a place for files of jobs.
//!
//! A storage engine implements [`SchemaCatalog`], [`RecordWriter`], [`RecordReader`] and
//! [`EngineMonitor`] and hands them over as one [`Storage`]. The conformance suite of the
//! testkit states each promise as a test.

mod spool;

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures_core::Stream;

use crate::batch::StampedBatch;
use crate::error::StorageError;
use crate::operation::{Operation, Outcome, WriteOptions, WriteReceipt};
use crate::query::{Aggregate, Count, Filter, RecordQuery};
use crate::record::{RecordId, Timestamp};
use crate::schema::SchemaSnapshot;

pub use spool::{Spool, SpoolPart, SpoolWriter, Spooled};

/// Record batches as they come. After an error nothing follows; without one, the end of the
/// stream means that it is complete. Dropping it frees the engine's query.
pub type RecordStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, StorageError>> + Send>>;

/// Everything an engine offers, each role by itself.
#[derive(Debug, Clone)]
pub struct Storage {
    /// The schemas.
    pub catalog: Arc<dyn SchemaCatalog>,
    /// The write side.
    pub writer: Arc<dyn RecordWriter>,
    /// The read side.
    pub reader: Arc<dyn RecordReader>,
    /// How the engine fares.
    pub monitor: Arc<dyn EngineMonitor>,
}

/// A schema as an engine keeps it: the document is text that the engine does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchema {
    /// The schema's name.
    pub name: String,
    /// Its version, from one.
    pub version: u32,
    /// The document, with the numbers of the properties.
    pub document: String,
    /// When this version was made.
    pub created_at: Timestamp,
}

/// What is remembered of how a version came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeLog {
    /// The steps, as text that the engine does not read.
    pub steps: String,
    /// The records there were; about, where there are many and counting them takes long.
    pub records: u64,
    /// How long it took, up to its commit.
    pub duration_micros: u64,
}

/// One version of a schema, the newest or an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The version.
    pub stored: StoredSchema,
    /// How it came about; absent where nothing but words for people changed, and for the first.
    pub change: Option<ChangeLog>,
}

/// One change of the catalog, carried out whole or not at all.
#[derive(Debug, Clone)]
pub enum SchemaChange {
    /// A new schema: its storage and its indexes are made.
    Create {
        /// The first version.
        to: Arc<SchemaSnapshot>,
        /// Its document.
        document: String,
    },
    /// Only words for people change; records and layout stay.
    Describe {
        /// The version that must be the stored one.
        from: Arc<SchemaSnapshot>,
        /// The next version.
        to: Arc<SchemaSnapshot>,
        /// Its document.
        document: String,
    },
    /// Another version, with whatever that means for the records.
    Evolve {
        /// The version that must be the stored one.
        from: Arc<SchemaSnapshot>,
        /// The next version.
        to: Arc<SchemaSnapshot>,
        /// Its document.
        document: String,
        /// The steps between the two, as text that the engine keeps and does not read.
        steps: String,
    },
    /// The schema and its records go.
    Drop {
        /// The version that must be the stored one.
        from: Arc<SchemaSnapshot>,
    },
}

impl SchemaChange {
    /// The version that comes of it, or that goes.
    pub const fn schema(&self) -> &Arc<SchemaSnapshot> {
        match self {
            Self::Create { to, .. } | Self::Describe { to, .. } | Self::Evolve { to, .. } => to,
            Self::Drop { from } => from,
        }
    }
}

/// The schemas and their versions, kept in the engine itself. What reads them waits for no
/// change: it answers what was committed.
#[async_trait]
pub trait SchemaCatalog: Debug + Send + Sync + 'static {
    /// The newest version of every schema, in order of names.
    async fn load(&self) -> Result<Vec<StoredSchema>, StorageError>;

    /// Carries out a change: document, storage and indexes together or not at all. Answers
    /// [`StorageError::SchemaMoved`] when the stored version is not the one it starts from,
    /// or when a schema to be created exists, and [`StorageError::Incompatible`] when records
    /// stand in the way of an evolution.
    ///
    /// Once it answers, no write that was checked against the version before lands any more:
    /// one under way either committed before the change or fails whole with
    /// [`StorageError::SchemaMoved`] or [`StorageError::Conflict`]. Streams that are open keep
    /// their snapshot.
    async fn apply(&self, change: SchemaChange) -> Result<(), StorageError>;

    /// Every version of a schema that there was, from the first; none where it is not there.
    async fn versions(&self, name: &str) -> Result<Vec<SchemaVersion>, StorageError>;

    /// Makes sure that storage and indexes of a stored version are all there, as after a
    /// restore; does nothing where they are.
    async fn ensure(&self, schema: &Arc<SchemaSnapshot>) -> Result<(), StorageError>;

    /// Returns when some other process may have changed the catalog; never, for an engine
    /// that only this process can write.
    async fn changed(&self);
}

/// The write side of an engine.
#[async_trait]
pub trait RecordWriter: Debug + Send + Sync + 'static {
    /// Opens one atomic write of any size against one schema version. Waits for its turn
    /// where the engine carries out a few at a time, no longer than the options allow: it is
    /// refused as [`Unavailable::Overloaded`](crate::error::Unavailable) then.
    async fn begin(
        &self,
        schema: &Arc<SchemaSnapshot>,
        options: WriteOptions,
    ) -> Result<Box<dyn WriteSession>, StorageError>;

    /// Carries out a short list of operations, all or nothing, and answers once it is
    /// durable. Later operations see earlier ones. Concurrent calls may share a commit; one
    /// that fails never fails another. Calls of one task are carried out in their order.
    /// Once called, the work completes even if the future is dropped.
    async fn execute(&self, operations: Vec<Operation>) -> Result<Outcome, StorageError>;
}

/// How many batches a session may have taken, the one that is being appended included, before it says
/// what became of the first: whoever must look at a refused one again keeps so many.
pub const SESSION_BATCHES_MAX: usize = 10;

/// Fewer records than this are counted wherever a person is told how many there are: an estimate is
/// not worth its error then.
pub const COUNTED_BELOW: u64 = 100_000;

/// One atomic write of many batches. At `commit` every record becomes visible and is
/// durable; before it, none. Dropping it at any point leaves nothing behind and neither
/// blocks nor waits. After an error only dropping is allowed.
#[async_trait]
pub trait WriteSession: Debug + Send {
    /// Takes a batch. It may answer before the engine has seen it; an error found later
    /// comes at a later call, at most [`SESSION_BATCHES_MAX`] batches after the one that it is
    /// about, at the latest from `commit`.
    async fn append(&mut self, batch: StampedBatch) -> Result<(), StorageError>;

    /// Says what the commit will answer, but for its number; no batch is taken after it. What
    /// others write until the commit may still make that fail.
    async fn settle(&mut self) -> Result<WriteReceipt, StorageError>;

    /// Ends the write and answers once it is durable, or once it is undone where refused
    /// records undo it. `also` are new records of any schema that stand or fall with the write;
    /// a taken id or unique value among them fails it whole.
    async fn commit(self: Box<Self>, also: Vec<StampedBatch>)
    -> Result<WriteReceipt, StorageError>;
}

/// The read side of an engine. Each call sees all that was acknowledged before it. Dropping
/// a future or a stream frees its query.
#[async_trait]
pub trait RecordReader: Debug + Send + Sync + 'static {
    /// The records with these ids, whole, in any order; missing ones are left out.
    async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError>;

    /// The records a query asks for, in its order, from one snapshot: the system fields,
    /// then the selected properties.
    async fn scan(&self, query: RecordQuery) -> Result<RecordStream, StorageError>;

    /// How many records match. `exact` false allows an estimate where that is cheaper.
    async fn count(
        &self,
        schema: &Arc<SchemaSnapshot>,
        filter: Option<&Filter>,
        exact: bool,
    ) -> Result<Count, StorageError>;

    /// Figures over groups.
    async fn aggregate(&self, question: Aggregate) -> Result<RecordBatch, StorageError>;

    /// A number that rises with every write to a schema and with every change of it, before
    /// that is acknowledged: an answer begun at one number holds for as long as the number
    /// stands. None where others write too, so that nobody here can tell, and none while the
    /// engine does not serve. Cheap, never blocks.
    fn commit_sequence(&self, schema: &SchemaSnapshot) -> Option<u64>;

    /// The same for one record that is there: a number that rises with every write that changes
    /// or removes it, and may rise with writes to others.
    fn record_sequence(&self, schema: &SchemaSnapshot, id: RecordId) -> Option<u64>;
}

/// Whether an engine serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineState {
    /// It reads and writes.
    Ready,
    /// It is being opened again after a fault.
    Reopening,
    /// It has no room: reads go on, writes are refused.
    Full,
    /// It is closing or closed.
    Closed,
}

/// One figure of an engine for the metrics, such as a queue's length or a file's size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauge {
    /// What is measured, snake case, unit last: `wal_bytes`.
    pub name: &'static str,
    /// The value now.
    pub value: f64,
}

/// How an engine fares.
#[async_trait]
pub trait EngineMonitor: Debug + Send + Sync + 'static {
    /// Its state; cheap, never blocks.
    fn state(&self) -> EngineState;

    /// Its figures now; cheap, never blocks.
    fn gauges(&self) -> Vec<Gauge>;

    /// Proves that it answers, by asking it something.
    async fn probe(&self) -> Result<(), StorageError>;

    /// Takes no new work, finishes what is under way, and closes in good order. Idempotent.
    async fn close(&self);
}

/// Time, so that tests can set it.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// New identities, so that tests can foresee them.
pub trait IdSource: Debug + Send + Sync + 'static {
    /// `count` new ids, each larger than all before.
    fn next_ids(&self, count: usize) -> Vec<RecordId>;
}
