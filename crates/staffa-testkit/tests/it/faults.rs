//! An engine that goes wrong late keeps every promise until then.

use std::sync::Arc;

use staffa_domain::ports::Storage;
use staffa_testkit::{FaultyScans, MemoryEngine, ScanFault};

async fn open() -> Storage {
    let mut storage = MemoryEngine::open();
    storage.reader = Arc::new(FaultyScans::new(
        storage.reader,
        usize::MAX,
        ScanFault::Fails,
    ));
    storage
}

staffa_testkit::storage_conformance!(open);
