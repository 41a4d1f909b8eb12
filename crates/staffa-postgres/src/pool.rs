//! Connections: how they are kept, lent and given up.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object, PoolError, TimeoutType, Timeouts};

use staffa_domain::StorageError;
use staffa_domain::error::Unavailable;

use crate::connector::{Connector, Limits};
use crate::error::{self, OpenError};
use crate::monitor::Health;

/// How many prepared statements a connection keeps; each takes memory on both sides.
const STATEMENTS_MAX: usize = 256;

/// How a pool lends its connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How many connections there are at most; none is made before it is needed.
    pub(crate) size: usize,
    /// How many may wait for one.
    pub(crate) queue: usize,
    /// How long they wait; none: as long as it takes.
    pub(crate) patience: Option<Duration>,
}

/// A pool with a bounded number of those who wait for it.
#[expect(clippy::struct_field_names, reason = "it wraps the pool of the driver")]
#[derive(Debug)]
pub(crate) struct Pool {
    pool: deadpool_postgres::Pool,
    health: Arc<Health>,
    /// Those who wait for a connection and those who have one.
    callers: Arc<AtomicUsize>,
    terms: Terms,
    connect: Duration,
}

impl Pool {
    pub(crate) fn new(
        connector: &Connector,
        limits: Limits,
        terms: Terms,
        health: Arc<Health>,
    ) -> Result<Self, OpenError> {
        let pool = deadpool_postgres::Pool::builder(connector.manager(limits))
            .max_size(terms.size.max(1))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|error| OpenError::Setup(Box::new(error)))?;
        Ok(Self {
            pool,
            health,
            callers: Arc::default(),
            terms,
            connect: connector.patience(),
        })
    }

    /// A connection of one's own until it is dropped.
    pub(crate) async fn get(&self) -> Result<Connection, StorageError> {
        self.get_within(None).await
    }

    /// The same, for who waits no longer than that.
    pub(crate) async fn get_within(
        &self,
        patience: Option<Duration>,
    ) -> Result<Connection, StorageError> {
        let place = Place::take(&self.callers);
        if place.number >= self.terms.queue.saturating_add(self.size()) {
            return Err(StorageError::Unavailable(Unavailable::Overloaded));
        }
        let timeouts = Timeouts {
            wait: patience.or(self.terms.patience),
            create: Some(self.connect),
            recycle: None,
        };
        match self.pool.timeout_get(&timeouts).await {
            Ok(object) => {
                self.health.note_answer();
                if object.statement_cache.size() > STATEMENTS_MAX {
                    object.statement_cache.clear();
                }
                Ok(Connection {
                    object,
                    _place: place,
                })
            }
            Err(PoolError::Closed) => Err(StorageError::Unavailable(Unavailable::Draining)),
            Err(PoolError::Timeout(TimeoutType::Create)) => {
                self.health.note_lost();
                Err(StorageError::Unavailable(Unavailable::Reopening))
            }
            Err(PoolError::Timeout(_)) => Err(StorageError::Unavailable(Unavailable::Overloaded)),
            Err(PoolError::Backend(error)) => {
                if error::is_lost(&error) {
                    self.health.note_lost();
                }
                Err(error::plain(error))
            }
            Err(other) => Err(StorageError::internal(other)),
        }
    }

    /// How many connections there are at most.
    pub(crate) fn size(&self) -> usize {
        self.terms.size.max(1)
    }

    /// How many connections are at work.
    pub(crate) fn busy(&self) -> usize {
        let status = self.pool.status();
        status.size.saturating_sub(status.available)
    }

    /// How many wait for a connection.
    pub(crate) fn waiting(&self) -> usize {
        self.pool.status().waiting
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

/// A connection on loan; it goes back when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    object: Object,
    _place: Place,
}

impl Connection {
    /// Closes it instead of giving it back: what it was doing is not known.
    pub(crate) fn discard(self) {
        drop(Object::take(self.object));
    }

    /// Gives it back, or closes it where the error says that it is no good any more: it, or
    /// the server behind it, which may still answer and yet not be the one that takes writes.
    pub(crate) fn give_back_after(self, error: &tokio_postgres::Error) {
        if error::is_lost(error) {
            self.discard();
        }
    }
}

impl Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.object
    }
}

/// A place among the callers of a pool.
#[derive(Debug)]
struct Place {
    callers: Arc<AtomicUsize>,
    number: usize,
}

impl Place {
    fn take(callers: &Arc<AtomicUsize>) -> Self {
        let number = callers.fetch_add(1, Ordering::Relaxed);
        Self {
            callers: Arc::clone(callers),
            number,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.callers.fetch_sub(1, Ordering::Relaxed);
    }
}
