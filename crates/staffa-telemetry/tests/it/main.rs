//! A measured engine keeps every promise of the ports.

use staffa_domain::ports::Storage;
use staffa_telemetry::metered;
use staffa_testkit::MemoryEngine;

async fn open() -> Storage {
    metered(MemoryEngine::open())
}

staffa_testkit::storage_conformance!(open);
