//! Use cases over an engine in memory, with time and ids that a test can foresee.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value as Json;

use staffa_app::{
    BodyError, BulkMode, ByteStream, Catalog, CommandPorts, Commands, Context, CursorKey, Error,
    Failure, IngestRecords, Jobs, Limits, OnError, Queries, RecordView, Return, StreamRecords,
};
use staffa_codec::decode::{Compression, CsvOptions, InputFormat};
use staffa_codec::encode::{JsonRecordEncoder, Shape};
use staffa_domain::ports::{Clock as _, RecordWriter, Storage};
use staffa_domain::{RecordId, Schema, SchemaSnapshot, Timestamp};
use staffa_testkit::builders::CREATED;
use staffa_testkit::{ChangeGate, FixedClock, MemoryEngine, MemorySpool, SequenceIds, schemas};

static NEXT_SERVER: AtomicU64 = AtomicU64::new(1);

pub(crate) struct App {
    pub(crate) storage: Storage,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) commands: Commands,
    pub(crate) queries: Queries,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) spool: MemorySpool,
}

pub(crate) fn limits() -> Limits {
    Limits {
        bulk_records_max: 5,
        page_size_max: 100,
        page_offset_max: 20,
        page_bytes_max: 1 << 20,
        retries_max: 3,
        returned_ids_max: 5,
        affected_max: 50,
        operations_max: 20,
        jobs_running_max: 1,
        jobs_queued_max: 1,
        spool_bytes_max: 1 << 20,
        ..Limits::default()
    }
}

impl App {
    pub(crate) async fn new() -> Self {
        Self::over(MemoryEngine::open()).await
    }

    /// With another writer around the engine's own.
    pub(crate) async fn with_writer<W: RecordWriter>(
        wrap: impl FnOnce(Arc<dyn RecordWriter>) -> W,
    ) -> Self {
        let mut storage = MemoryEngine::open();
        storage.writer = Arc::new(wrap(storage.writer));
        Self::over(storage).await
    }

    /// Over an engine whose changes of schemas a test can hold up.
    pub(crate) async fn with_gate() -> (Self, ChangeGate) {
        let mut storage = MemoryEngine::open();
        let (gate, catalog) = ChangeGate::before(storage.catalog);
        storage.catalog = catalog;
        (Self::over(storage).await, gate)
    }

    /// With another writer around the engine's own, over this spool.
    pub(crate) async fn with_writer_over<W: RecordWriter>(
        spool: MemorySpool,
        wrap: impl FnOnce(Arc<dyn RecordWriter>) -> W,
    ) -> Self {
        let mut storage = MemoryEngine::open();
        storage.writer = Arc::new(wrap(storage.writer));
        Self::at(storage, spool, (CREATED, 1)).await
    }

    async fn over(storage: Storage) -> Self {
        Self::at(storage, MemorySpool::default(), (CREATED, 1)).await
    }

    /// Another process over the same engine and files, at the same time.
    pub(crate) async fn restarted(&self) -> Self {
        self.beside(self.spool.clone()).await
    }

    /// A server more over the same engine.
    pub(crate) async fn beside(&self, spool: MemorySpool) -> Self {
        // Its ids must be others.
        let first = NEXT_SERVER.fetch_add(1, Ordering::Relaxed) << 32;
        Self::at(self.storage.clone(), spool, (self.clock.now(), first)).await
    }

    async fn at(storage: Storage, spool: MemorySpool, (now, first_id): (Timestamp, u64)) -> Self {
        let catalog = Catalog::open(Arc::clone(&storage.catalog)).await.unwrap();
        let declared = [schemas::orders(), schemas::readings()];
        // An earlier server may have changed them since.
        let is_new = |schema: &Schema| catalog.get(schema.name.as_str()).is_err();
        let declared = declared.map(|snapshot| snapshot.schema().clone());
        let declared = declared.into_iter().filter(is_new).collect();
        catalog.declare(declared).await.unwrap();
        let (catalog, limits) = (Arc::new(catalog), Arc::new(limits()));
        let clock = Arc::new(FixedClock::new(now));
        let tell = |error: Error| Failure {
            code: "told".to_owned(),
            detail: error.to_string(),
            errors: None,
        };
        let jobs = Jobs::new(Arc::new(spool.clone()), tell, &limits);
        let ports = CommandPorts {
            writer: Arc::clone(&storage.writer),
            reader: Arc::clone(&storage.reader),
            clock: Arc::<FixedClock>::clone(&clock),
            ids: Arc::new(SequenceIds::starting_at(first_id)),
            jobs: Arc::clone(&jobs),
        };
        let key = CursorKey::from_secret(b"test");
        let (reader, known) = (Arc::clone(&storage.reader), Arc::clone(&catalog));
        Self {
            commands: Commands::new(Arc::clone(&catalog), ports, Arc::clone(&limits)),
            queries: Queries::new(known, reader, key, limits).with_jobs(jobs),
            storage,
            catalog,
            clock,
            spool,
        }
    }

    pub(crate) fn orders(&self) -> Arc<SchemaSnapshot> {
        self.catalog.get("orders").unwrap()
    }

    /// Creates an order and answers its id.
    pub(crate) async fn create(&self, json: &str) -> RecordId {
        let body = Bytes::copy_from_slice(json.as_bytes());
        let created = self.commands.create_record(&ctx(), "orders", &body).await;
        created.unwrap().id().unwrap()
    }

    /// The order with this id as JSON.
    pub(crate) async fn order(&self, id: RecordId) -> Json {
        let found = self.queries.get_record(&ctx(), "orders", id).await;
        json_of(&found.unwrap())
    }

    /// All records of a schema as JSON, by their ids.
    pub(crate) async fn all(&self, schema: &str) -> Vec<Json> {
        let mut text = Vec::new();
        let snapshot = self.catalog.get(schema).unwrap();
        let mut encoder = JsonRecordEncoder::new(&snapshot, None, Shape::Record);
        for batch in self.batches(schema).await {
            encoder.encode_lines(&batch, &mut text).unwrap();
        }
        let lines = std::str::from_utf8(&text).unwrap().lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// How many records a schema has, counted one by one.
    pub(crate) async fn count(&self, schema: &str) -> usize {
        let batches = self.batches(schema).await;
        batches.iter().map(RecordBatch::num_rows).sum()
    }

    async fn batches(&self, schema: &str) -> Vec<RecordBatch> {
        let request = StreamRecords {
            schema: self.catalog.get(schema).unwrap(),
            filter: None,
            sort: Vec::new(),
            select: None,
            limit: None,
        };
        let view = self.queries.stream_records(&ctx(), request).await.unwrap();
        view.batches.try_collect().await.unwrap()
    }
}

pub(crate) fn ctx() -> Context {
    Context::new("test")
}

/// The first record of a view as JSON.
pub(crate) fn json_of(view: &RecordView) -> Json {
    let mut text = Vec::new();
    JsonRecordEncoder::new(&view.schema, None, Shape::Record)
        .encode_row(&view.records, 0, &mut text)
        .unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// A body that comes in pieces of a few bytes.
pub(crate) fn body(text: &str) -> ByteStream {
    let pieces: Vec<_> = text
        .as_bytes()
        .chunks(7)
        .map(Bytes::copy_from_slice)
        .collect();
    stream::iter(pieces).map(Ok).boxed()
}

/// A body that breaks off.
pub(crate) fn cut_body(text: &str) -> ByteStream {
    let start = Bytes::copy_from_slice(text.as_bytes());
    stream::iter([Ok(start), Err(BodyError::Disconnected)]).boxed()
}

/// A bulk write of new orders, a record a line.
pub(crate) fn ingest(body: ByteStream, on_error: OnError) -> IngestRecords {
    IngestRecords {
        schema: "orders".to_owned(),
        format: InputFormat::NdJson,
        compression: Compression::None,
        csv: CsvOptions::default(),
        mode: BulkMode::Insert,
        on_conflict: None,
        on_error,
        errors_max: 10,
        body_bytes_max: None,
        returning: Return::None,
        body,
    }
}

/// Runs the asynchronous part of a property test.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(work)
}
