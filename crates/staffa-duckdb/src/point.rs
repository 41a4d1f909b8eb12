//! Records by id. Calls that wait at the same moment for one schema share one statement,
//! since planning it costs more than finding a hundred ids.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use staffa_domain::batch::record_id;
use staffa_domain::{RecordId, SchemaSnapshot, StorageError};
use tokio::sync::oneshot;

use crate::engine::{Engine, Link, draining, moved};
use crate::error::Fault;
use crate::inbox::{Feed, Inbox, Pause, Worker};
use crate::priority::Priority;
use crate::sql::select;
use crate::types::conform;

/// How many ids one statement asks for.
const IDS_MAX: usize = 256;

/// How many statements run at a time: while one is carried out, the next gathers company.
const THREADS: usize = 2;

struct Call {
    schema: Arc<SchemaSnapshot>,
    ids: Vec<RecordId>,
    answer: oneshot::Sender<Result<RecordBatch, StorageError>>,
}

/// The sending side of the point lane.
#[derive(Debug)]
pub(crate) struct Points(Inbox<Call>);

impl Points {
    /// Starts the threads.
    pub(crate) fn start(engine: &Arc<Engine>) -> Result<Self, StorageError> {
        let capacity = engine.options.read_queue_max;
        let threads = (0..THREADS).map(|_| Lookup::default()).collect();
        Inbox::start(engine, ("point", Priority::Prompt), capacity, threads).map(Self)
    }

    /// The records with these ids, whole.
    pub(crate) async fn get(
        &self,
        schema: &Arc<SchemaSnapshot>,
        ids: &[RecordId],
    ) -> Result<RecordBatch, StorageError> {
        let (answer, outcome) = oneshot::channel();
        let call = Call {
            schema: Arc::clone(schema),
            ids: ids.to_vec(),
            answer,
        };
        self.0.send(call)?;
        outcome.await.map_err(|_| draining())?
    }

    /// How many calls wait.
    pub(crate) fn queued(&self) -> usize {
        self.0.queued()
    }

    /// Takes no new calls, and gives out the threads to wait for.
    pub(crate) fn close(&self) -> Vec<JoinHandle<()>> {
        self.0.close()
    }
}

/// A thread: calls that did not fit the last statement wait here.
#[derive(Default)]
struct Lookup {
    waiting: VecDeque<Call>,
}

impl Worker<Call> for Lookup {
    fn work(&mut self, engine: &Engine, link: &Link, feed: &Feed<'_, Call>) -> Pause {
        loop {
            if self.waiting.is_empty() {
                match feed.next() {
                    Ok(call) => self.waiting.push_back(call),
                    Err(pause) => return pause,
                }
            } else if engine.is_lost() {
                return Pause::Lost;
            }
            // No more than one statement takes: what is left must count against the queue's
            // limit.
            while self.waiting.len() < IDS_MAX
                && let Some(call) = feed.queued()
            {
                self.waiting.push_back(call);
            }
            let (group, rest) = split(std::mem::take(&mut self.waiting));
            self.waiting = rest;
            answer(engine, link, group);
        }
    }
}

/// The first call and all that can share its statement; then the rest, in order. A call
/// whose caller has gone is left out.
fn split(calls: VecDeque<Call>) -> (Vec<Call>, VecDeque<Call>) {
    let mut group: Vec<Call> = Vec::new();
    let mut rest = VecDeque::new();
    let mut ids = 0;
    for call in calls.into_iter().filter(|call| !call.answer.is_closed()) {
        let joins = group.first().is_none_or(|first| {
            Arc::ptr_eq(&first.schema, &call.schema) && ids + call.ids.len() <= IDS_MAX
        });
        if joins {
            ids += call.ids.len();
            group.push(call);
        } else {
            rest.push_back(call);
        }
    }
    (group, rest)
}

fn answer(engine: &Engine, link: &Link, mut group: Vec<Call>) {
    let Some(schema) = group.first().map(|call| Arc::clone(&call.schema)) else {
        return;
    };
    let ids: HashSet<RecordId> = group
        .iter()
        .flat_map(|call| call.ids.iter().copied())
        .collect();
    let found = fetch(link, &schema, &ids);
    if engine.check_layout(&schema).is_err() {
        for call in group {
            let _ = call.answer.send(Err(moved(schema.name())));
        }
        return;
    }
    if let [call] = group.as_slice()
        && !call.answer.is_closed()
    {
        if let Some(call) = group.pop() {
            let _ = call
                .answer
                .send(found.map_err(|fault| engine.answer(fault, &schema)));
        }
        return;
    }
    match found {
        Ok(found) => {
            let rows = rows_by_id(&found);
            for call in group {
                let _ = call.answer.send(share(&found, &rows, &call.ids));
            }
        }
        Err(fault) => {
            for call in group {
                let _ = call.answer.send(Err(engine.answer(fault.clone(), &schema)));
            }
        }
    }
}

fn fetch(
    link: &Link,
    schema: &SchemaSnapshot,
    ids: &HashSet<RecordId>,
) -> Result<RecordBatch, Fault> {
    if ids.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema.record_layout())));
    }
    let layout = schema.record_layout();
    let batches = select::by_ids(schema, ids.iter().copied()).fetch(link)?;
    let batches = batches
        .iter()
        .map(|batch| conform(batch, layout))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(layout, &batches)?)
}

fn rows_by_id(batch: &RecordBatch) -> HashMap<RecordId, u32> {
    (0..batch.num_rows())
        .filter_map(|row| Some((record_id(batch, row)?, u32::try_from(row).ok()?)))
        .collect()
}

fn share(
    found: &RecordBatch,
    rows: &HashMap<RecordId, u32>,
    ids: &[RecordId],
) -> Result<RecordBatch, StorageError> {
    let mut given = HashSet::new();
    let rows: Vec<u32> = ids
        .iter()
        .filter(|id| given.insert(**id))
        .filter_map(|id| rows.get(id).copied())
        .collect();
    take_record_batch(found, &UInt32Array::from(rows)).map_err(StorageError::internal)
}
