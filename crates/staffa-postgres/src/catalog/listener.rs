//! Hears of other servers' changes of the catalog, on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_postgres::AsyncMessage;

use crate::connector::Connector;
use crate::monitor::Health;

const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// Listens as long as it lives. What happened before a connection listens is missed, so
/// having a new one counts as a change.
#[derive(Debug)]
pub(crate) struct Listener {
    id: String,
    changed: Arc<Notify>,
    task: Mutex<Option<AbortHandle>>,
}

impl Listener {
    pub(crate) fn start(connector: Connector, health: Arc<Health>) -> Arc<Self> {
        let id = uuid::Uuid::new_v4().to_string();
        let changed = Arc::new(Notify::new());
        let task = tokio::spawn(listen(connector, health, Arc::clone(&changed), id.clone()));
        Arc::new(Self {
            id,
            changed,
            task: Mutex::new(Some(task.abort_handle())),
        })
    }

    /// What this server signs its own notes with.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns once for all changes since it last returned.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(crate) fn close(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

async fn listen(connector: Connector, health: Arc<Health>, changed: Arc<Notify>, own: String) {
    let mut pause = RETRY_MIN;
    loop {
        match hear(&connector, &health, &changed, &own).await {
            Ok(()) => pause = RETRY_MIN,
            Err(error) => {
                tracing::warn!(error = %error, "the database cannot be reached");
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
        health.note_lost();
        tokio::time::sleep(pause).await;
    }
}

/// Listens until the connection ends; an error when there never was one.
async fn hear(
    connector: &Connector,
    health: &Health,
    changed: &Notify,
    own: &str,
) -> Result<(), tokio_postgres::Error> {
    let (client, mut messages) = connector.listen().await?;
    let subscribe = client.batch_execute("LISTEN staffa_schemas");
    tokio::pin!(subscribe);
    let mut subscribed = false;
    loop {
        tokio::select! {
            answer = &mut subscribe, if !subscribed => {
                answer?;
                subscribed = true;
                health.note_answer();
                // What changed before this moment was not heard.
                changed.notify_one();
            }
            message = messages.next() => match message {
                Some(Ok(AsyncMessage::Notification(note))) if note.payload() != own => {
                    changed.notify_one();
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(()),
            },
        }
    }
}
