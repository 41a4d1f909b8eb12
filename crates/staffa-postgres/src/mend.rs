//! Notices by itself that a fault is over: no request has to come and fail for it, and none
//! has to come at all, since a server in trouble is sent none.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::error;
use crate::monitor::Health;
use crate::pool::Pool;

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Takes a megabyte where records lie, writes it to the log, and gives it back.
const ROOM: &str = "BEGIN; \
     CREATE TABLE staffa.room AS SELECT repeat('x', 1000) AS filler FROM generate_series(1, 1000); \
     ROLLBACK";

/// Asks the database, from trouble to trouble, until each is over.
#[derive(Debug)]
pub(crate) struct Mender(AbortHandle);

impl Mender {
    /// Asks through the connections that write: they are what must work.
    pub(crate) fn start(health: Arc<Health>, writes: Arc<Pool>) -> Self {
        Self(tokio::spawn(mend_all(health, writes)).abort_handle())
    }

    pub(crate) fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Mender {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn mend_all(health: Arc<Health>, writes: Arc<Pool>) {
    let mut pause = PAUSE_MIN;
    loop {
        if !health.is_troubled() {
            health.trouble().await;
            pause = PAUSE_MIN;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        ask(&health, &writes).await;
    }
}

async fn ask(health: &Health, writes: &Pool) {
    let full = health.is_full();
    let Ok(client) = writes.get().await else {
        return;
    };
    let asked = client.batch_execute(if full { ROOM } else { "SELECT 1" });
    match asked.await {
        Ok(()) if full => {
            tracing::info!("the database has room again");
            health.note_room();
        }
        Ok(()) => health.note_answer(),
        Err(error) => {
            tracing::debug!(error = %error, "the database is still in trouble");
            if !error::is_lost(&error) {
                health.note_answer();
                if !error::is_full(&error) {
                    // It cannot be told this way, so requests must find out.
                    health.note_room();
                }
            }
            // Its transaction may be open.
            client.discard();
        }
    }
}
