//! Faults of the engine, made by its own switches: nothing acknowledged is lost, and it serves
//! again by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use staffa_domain::error::Unavailable;
use staffa_domain::ports::{EngineState, Storage};
use staffa_domain::{
    Operation, PropertyType, RecordQuery, SchemaSnapshot, StorageError, WriteMode,
};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{all, create_with, execute};
use staffa_testkit::row;
use staffa_testkit::schemas::SchemaBuilder;
use tempfile::TempDir;

use crate::engine::Engine;
use crate::open::{assemble, open_engine};
use crate::options::Options;

/// An engine whose upkeep makes no checkpoints of its own.
struct Bed {
    engine: Arc<Engine>,
    storage: Storage,
    schema: Arc<SchemaSnapshot>,
    written: u64,
    _folder: TempDir,
}

impl Bed {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut options = Options::new(folder.path());
        options.checkpoint_idle = Duration::from_secs(3_600);
        let engine = open_engine(options).unwrap();
        let storage = assemble(&engine).unwrap();
        let schema = SchemaBuilder::new("orders")
            .unique("reference", PropertyType::String)
            .snapshot();
        create_with(&storage, batch(&schema, 0, vec![row! { reference: "R-0" }])).await;
        Self {
            engine,
            storage,
            schema,
            written: 1,
            _folder: folder,
        }
    }

    /// Writes one record; it is counted where it was acknowledged.
    async fn write(&mut self) -> Result<(), StorageError> {
        let index = self.written;
        let reference = format!("R-{index}");
        let record = batch(
            &self.schema,
            index,
            vec![row! { reference: reference.as_str() }],
        );
        execute(&self.storage, vec![Operation::Create(record)]).await?;
        self.written += 1;
        Ok(())
    }

    fn set(&self, statement: &str) {
        let link = self.engine.connect().unwrap();
        link.execute_batch(statement).unwrap();
    }

    /// Makes a checkpoint now, as the upkeep does.
    fn checkpoint(&self) {
        let link = self.engine.connect().unwrap();
        if let Err(error) = link.execute_batch("CHECKPOINT") {
            self.engine.note(error.into(), "no checkpoint");
        }
    }

    /// Waits until the engine serves; a test that waits too long fails.
    async fn wait_until_ready(&self) {
        let started = Instant::now();
        while self.storage.monitor.state() != EngineState::Ready {
            assert!(started.elapsed() < Duration::from_secs(30), "not ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.storage.monitor.probe().await.unwrap();
    }

    async fn check(&mut self) {
        self.wait_until_ready().await;
        let found = all(&self.storage, &self.schema).await;
        assert_eq!(found.len() as u64, self.written);
        self.write().await.unwrap();
        let found = all(&self.storage, &self.schema).await;
        assert_eq!(found.len() as u64, self.written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_aborted_checkpoint_the_engine_serves_again() {
    let mut fatal = 0;
    for point in [
        "before_wal_flush",
        "before_header",
        "before_header_non_fatal",
        "after_free_list_write",
        "before_truncate",
        "before_wal_finish",
        "before_moving_recovery",
        "before_deleting_checkpoint_wal",
    ] {
        let mut bed = Bed::new().await;
        bed.write().await.unwrap();
        bed.set(&format!("SET GLOBAL debug_checkpoint_abort = '{point}'"));
        bed.checkpoint();
        let was_lost = bed.engine.is_lost();
        fatal += u32::from(was_lost);
        if !was_lost {
            bed.set("SET GLOBAL debug_checkpoint_abort = 'none'");
        }
        println!("{point}: {}", if was_lost { "fatal" } else { "survived" });
        bed.check().await;
        bed.storage.monitor.close().await;
    }
    assert!(fatal > 0, "no point of the checkpoint was fatal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_the_engine_refuses_is_known_not_to_stand() {
    let mut bed = Bed::new().await;
    bed.set("SET GLOBAL debug_force_commit_failure = true");
    bed.write().await.unwrap_err();
    if !bed.engine.is_lost() {
        bed.set("SET GLOBAL debug_force_commit_failure = false");
    }
    bed.check().await;
    bed.storage.monitor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_sessions_let_go_of_a_lost_engine() {
    let mut bed = Bed::new().await;
    let mut session = bed
        .storage
        .writer
        .begin(&bed.schema, WriteMode::Insert.into())
        .await
        .unwrap();
    let half = batch(&bed.schema, 100, vec![row! { reference: "half" }]);
    session.append(half).await.unwrap();
    let query = RecordQuery::all(Arc::clone(&bed.schema));
    let mut stream = bed.storage.reader.scan(query).await.unwrap();
    bed.engine.mark_lost();
    bed.wait_until_ready().await;
    let refused = session.commit(Vec::new()).await;
    let reopening = StorageError::Unavailable(Unavailable::Reopening);
    assert_eq!(
        refused.unwrap_err().to_string(),
        reopening.to_string(),
        "the half of a write went with its connection"
    );
    bed.check().await;
    // What was read before may still come, but not the end of a whole stream after an error.
    while let Some(batch) = stream.next().await {
        if batch.is_err() {
            break;
        }
    }
    bed.storage.monitor.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_answers_reads() {
    let mut bed = Bed::new().await;
    bed.engine.set_full(true);
    assert_eq!(bed.storage.monitor.state(), EngineState::Full);
    let refused = bed.write().await;
    assert!(
        matches!(refused, Err(StorageError::StorageFull)),
        "{refused:?}"
    );
    assert_eq!(all(&bed.storage, &bed.schema).await.len(), 1);
    // The disk of this test has room, which the upkeep notices.
    bed.check().await;
    bed.storage.monitor.close().await;
}
