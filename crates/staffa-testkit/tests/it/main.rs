//! The memory engine keeps every promise that it is the reference for.

mod faults;
mod spool;
mod wrong_answers;

use staffa_domain::ports::Storage;
use staffa_testkit::MemoryEngine;

async fn open() -> Storage {
    MemoryEngine::open()
}

staffa_testkit::storage_conformance!(open);
