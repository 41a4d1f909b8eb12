//! Single records that are kept: the newest that were asked for, each until a write changes it.
//!
//! A record lies here with the sequence that it had before it was read. It is given out only
//! while that sequence stands, so one read before a write is never found after the write was
//! acknowledged, whoever put it here and however late.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use staffa_domain::ports::Gauge;
use staffa_domain::{RecordId, SchemaSnapshot, StorageError};

use super::gauge;

/// How many records are expected, for a start.
const RECORDS_EXPECTED: usize = 4_096;
/// Bytes of the cache's own that a record costs.
const OVERHEAD_BYTES: usize = 128;

/// A record of one version of a schema. Snapshots are shared, so that their addresses tell
/// them apart; the key keeps its own alive, so that the address is given to no other.
#[derive(Debug, Clone)]
struct Key {
    schema: Arc<SchemaSnapshot>,
    id: RecordId,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && Arc::ptr_eq(&self.schema, &other.schema)
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        Arc::as_ptr(&self.schema).hash(state);
    }
}

#[derive(Debug, Clone)]
struct Kept {
    record: RecordBatch,
    number: u64,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Key, Kept> for Bytes {
    fn weight(&self, _: &Key, kept: &Kept) -> u64 {
        (kept.bytes + OVERHEAD_BYTES) as u64
    }
}

/// All records that are kept.
#[derive(Debug)]
pub(super) struct Records {
    kept: Cache<Key, Kept, Bytes>,
    found: AtomicU64,
    missed: AtomicU64,
}

impl Records {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            kept: Cache::with_weighter(RECORDS_EXPECTED, bytes_max, Bytes),
            found: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }

    /// The record, if it is here and still has this number.
    pub(super) fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        id: RecordId,
        number: u64,
    ) -> Option<RecordBatch> {
        let key = Key {
            schema: Arc::clone(schema),
            id,
        };
        let kept = self.kept.get(&key).filter(|kept| kept.number == number);
        let counter = if kept.is_some() {
            &self.found
        } else {
            &self.missed
        };
        counter.fetch_add(1, Ordering::Relaxed);
        kept.map(|kept| kept.record)
    }

    /// Keeps what was found, which had this number before it was asked for. A record that is
    /// not there is not kept: nothing would tell of its coming.
    pub(super) fn keep(
        &self,
        schema: &Arc<SchemaSnapshot>,
        id: RecordId,
        number: u64,
        found: &RecordBatch,
    ) -> Result<(), StorageError> {
        if found.num_rows() != 1 || self.kept.capacity() == 0 {
            return Ok(());
        }
        // A copy of its own: the engine's arrays may be the corner of a larger answer.
        let record = take_record_batch(found, &UInt32Array::from(vec![0]))
            .map_err(StorageError::internal)?;
        let bytes = record.get_array_memory_size();
        let key = Key {
            schema: Arc::clone(schema),
            id,
        };
        let kept = Kept {
            record,
            number,
            bytes,
        };
        self.kept.insert(key, kept);
        Ok(())
    }

    pub(super) fn gauges(&self) -> [Gauge; 3] {
        [
            gauge("records_reused_total", self.found.load(Ordering::Relaxed)),
            gauge("records_fetched_total", self.missed.load(Ordering::Relaxed)),
            gauge("records_bytes", self.kept.weight()),
        ]
    }
}
