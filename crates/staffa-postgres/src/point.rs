//! Reads by id: those that wait at the same time share one query a schema.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use staffa_domain::batch::record_id;
use staffa_domain::error::Unavailable;
use staffa_domain::{RecordId, SchemaSnapshot, StorageError};

use crate::copy::decode::BatchBuilder;
use crate::copy::references;
use crate::error;
use crate::pool::{Connection, Pool};
use crate::sql;

/// How many ids one query takes before the next is begun.
const IDS_MAX: usize = 256;

/// One caller's question.
#[derive(Debug)]
struct Question {
    schema: Arc<SchemaSnapshot>,
    ids: Vec<RecordId>,
    answer: oneshot::Sender<Result<RecordBatch, StorageError>>,
}

/// The tasks that answer, and the queue to them.
#[derive(Debug)]
pub(crate) struct Points {
    queue: Mutex<Option<mpsc::Sender<Question>>>,
}

impl Points {
    /// Starts one task for each connection that the pool may have.
    pub(crate) fn start(pool: &Arc<Pool>, queue: usize) -> Self {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        for _ in 0..pool.size() {
            tokio::spawn(keep_answering(Arc::clone(&receiver), Arc::clone(pool)));
        }
        Self {
            queue: Mutex::new(Some(sender)),
        }
    }

    pub(crate) async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            schema: Arc::clone(schema),
            ids: ids.to_vec(),
            answer,
        };
        let draining = StorageError::Unavailable(Unavailable::Draining);
        let Some(queue) = self.queue.lock().clone() else {
            return Err(draining);
        };
        queue.try_send(question).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                StorageError::Unavailable(Unavailable::Overloaded)
            }
            mpsc::error::TrySendError::Closed(_) => {
                StorageError::Unavailable(Unavailable::Draining)
            }
        })?;
        drop(queue);
        answered.await.unwrap_or(Err(draining))
    }

    /// Takes no more; what waits is still answered.
    pub(crate) fn close(&self) {
        self.queue.lock().take();
    }
}

type Queue = Arc<tokio::sync::Mutex<mpsc::Receiver<Question>>>;

/// Answers until the queue is closed; a bug that a question brings out costs its group.
async fn keep_answering(queue: Queue, pool: Arc<Pool>) {
    let start = || tokio::spawn(answer_all(Arc::clone(&queue), Arc::clone(&pool)));
    while let Err(error) = start().await {
        if error.is_cancelled() {
            return;
        }
        tracing::error!(error = %error, "a task that reads by id died and is started again");
    }
}

async fn answer_all(queue: Queue, pool: Arc<Pool>) {
    loop {
        let mut questions = Vec::new();
        {
            let mut queue = queue.lock().await;
            let Some(first) = queue.recv().await else {
                return;
            };
            let mut ids = first.ids.len();
            questions.push(first);
            while ids < IDS_MAX
                && let Ok(next) = queue.try_recv()
            {
                ids += next.ids.len();
                questions.push(next);
            }
        }
        // A caller that left needs no answer.
        questions.retain(|question| !question.answer.is_closed());
        answer_some(questions, &pool).await;
    }
}

async fn answer_some(questions: Vec<Question>, pool: &Pool) {
    let mut groups: HashMap<(String, u32), Vec<Question>> = HashMap::new();
    for question in questions {
        let key = (question.schema.name().to_owned(), question.schema.version());
        groups.entry(key).or_default().push(question);
    }
    let mut groups: Vec<Vec<Question>> = groups.into_values().collect();
    // After a restart of the server every connection that the pool kept may be a dead one.
    let mut why = Unavailable::Reopening;
    for _ in 0..=pool.size() {
        let client = match pool.get().await {
            Ok(client) => client,
            Err(StorageError::Unavailable(other)) => {
                why = other;
                break;
            }
            Err(_) => break,
        };
        // Sent one after the other without waiting, so the groups cost one round trip.
        let work = groups.into_iter().map(|group| answer_group(group, &client));
        groups = join_all(work).await.into_iter().flatten().collect();
        if groups.is_empty() {
            return;
        }
        client.discard();
    }
    for question in groups.into_iter().flatten() {
        let _ = question.answer.send(Err(StorageError::Unavailable(why)));
    }
}

/// Answers questions on one schema; gives them back when the connection was lost.
async fn answer_group(group: Vec<Question>, client: &Connection) -> Option<Vec<Question>> {
    let schema = Arc::clone(&group.first()?.schema);
    let ids: Vec<RecordId> = group
        .iter()
        .flat_map(|question| &question.ids)
        .copied()
        .collect();
    match fetch(&schema, &ids, client).await {
        Ok(found) => divide(group, found),
        Err(StorageError::Unavailable(Unavailable::Reopening)) => return Some(group),
        Err(error) => tell(group, error, client).await,
    }
    None
}

/// Tells an error to the only caller; several ask again, each by itself.
async fn tell(mut group: Vec<Question>, error: StorageError, client: &Connection) {
    if group.len() > 1 {
        for question in group {
            let found = fetch(&question.schema, &question.ids, client).await;
            let _ = question.answer.send(found);
        }
    } else if let Some(question) = group.pop() {
        let _ = question.answer.send(Err(error));
    }
}

/// Gives each caller the records it asked for.
fn divide(mut group: Vec<Question>, found: RecordBatch) {
    if group.len() == 1 {
        if let Some(question) = group.pop() {
            let _ = question.answer.send(Ok(found));
        }
        return;
    }
    let places: HashMap<RecordId, u32> = (0..found.num_rows())
        .filter_map(|row| Some((record_id(&found, row)?, u32::try_from(row).ok()?)))
        .collect();
    for question in group {
        let mut wanted = question.ids;
        wanted.sort_unstable();
        wanted.dedup();
        let rows = wanted.iter().filter_map(|id| places.get(id).copied());
        let rows = UInt32Array::from_iter_values(rows);
        let part = take_record_batch(&found, &rows).map_err(StorageError::internal);
        let _ = question.answer.send(part);
    }
}

async fn fetch(
    schema: &SchemaSnapshot,
    ids: &[RecordId],
    client: &Connection,
) -> Result<RecordBatch, StorageError> {
    let query = sql::get(schema, ids);
    let params = references(&query.params);
    let mut retried = false;
    let rows = loop {
        let rows = match client.prepare_cached(&query.sql).await {
            Ok(statement) => client.query(&statement, &params).await,
            Err(error) => Err(error),
        };
        match rows {
            Err(error) if error::is_stale_statement(&error) && !retried => {
                client.statement_cache.clear();
                retried = true;
            }
            rows => break rows,
        }
    };
    let rows = rows.map_err(|error| error::of_schema(error, schema))?;
    let mut builder = BatchBuilder::new(query.layout)?;
    for row in &rows {
        builder.push(row)?;
    }
    Ok(builder.finish()?)
}
