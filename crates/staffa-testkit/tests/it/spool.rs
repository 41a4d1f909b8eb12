//! The spool in memory keeps the promises of its port.

use staffa_testkit::MemorySpool;
use staffa_testkit::spool::check_spool;

#[tokio::test]
async fn the_spool_in_memory_keeps_the_promises() {
    check_spool(&MemorySpool::default()).await;
}
