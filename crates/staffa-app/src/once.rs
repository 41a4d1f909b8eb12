//! Requests that are carried out once, however often they are sent: the answer to the first is
//! kept under its key, in the transaction of what it stored, and told again to the others.

mod body;
mod keep;
mod record;

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use staffa_domain::RecordId;

pub use body::{BodyPacker, KeptBody, KeptPieces};

use crate::commands::{CreatedRecords, IngestReport, Return, StepResult};
use crate::error::Error;
use crate::jobs::{Job, Live};
use crate::queries::RecordView;

/// What a use case is about to make durable, for who writes its answer.
#[derive(Debug, Clone, Copy)]
pub enum Done<'a> {
    /// A new record.
    Created {
        /// The record.
        view: &'a RecordView,
        /// Whether the request was an envelope that names the schema.
        enveloped: bool,
    },
    /// The records of an envelope, of which the answer repeats so much.
    CreatedMany(&'a CreatedRecords, Return),
    /// A streamed bulk, of which the answer repeats so much.
    Ingested(&'a IngestReport, Return),
    /// A job that will write a streamed bulk.
    Accepted(&'a Job),
    /// A record as a change left it.
    Changed(&'a RecordView),
    /// A record is gone.
    Deleted,
    /// So many records were changed or removed by a filter.
    Affected(u64),
    /// The operations of a transaction.
    Steps(&'a [StepResult]),
}

/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its status, as the transport numbers them.
    pub status: u16,
    /// Its headers, but for those that every answer has anew.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: KeptBody,
}

/// Writes the answers that are kept: the transport's part.
#[async_trait]
pub trait Teller: Debug + Send + Sync {
    /// The answer to a request that did this.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where it is too long to be kept: the request is refused then, since it
    /// could not be told again.
    async fn tell(&self, done: Done<'_>) -> Result<Told, Error>;
}

/// What a request says, in short: equal for equal requests, and for no others.
#[derive(Debug, Clone)]
pub struct Fingerprint(Arc<Mutex<blake3::Hasher>>);

impl Fingerprint {
    /// Begins with the parts of the request's head that matter.
    pub fn new<'a>(head: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in head {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(Arc::new(Mutex::new(hasher)))
    }

    /// Goes on with a piece of the body. Where that is cut does not matter.
    pub fn feed(&self, piece: &[u8]) {
        let mut hasher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hasher.update(piece);
    }

    fn text(&self) -> String {
        let hasher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hasher.finalize().to_hex().to_string()
    }
}

/// A request with a key or a job, under way: part of its [`Context`](crate::Context).
#[derive(Debug)]
pub struct Once {
    id: RecordId,
    keeps: Keeps,
    end: OnceLock<End>,
}

/// What is kept of it.
#[derive(Debug)]
enum Keeps {
    /// The answer to a request.
    Answer(Fingerprint, Arc<dyn Teller>),
    /// How a job ended.
    Job(Arc<Live>),
}

/// How it ended.
#[derive(Debug)]
enum End {
    /// What it did is stored, and this is the answer, where there is one to tell again.
    Stored(Option<Told>),
    /// Another request with the key was quicker.
    Taken,
    /// Nothing is stored, since the answer would be too long to be kept.
    TooLong(String),
}

impl Once {
    /// Begins.
    pub fn new(claim: &Claim, fingerprint: Fingerprint, teller: Arc<dyn Teller>) -> Self {
        Self {
            id: claim.id,
            keeps: Keeps::Answer(fingerprint, teller),
            end: OnceLock::new(),
        }
    }

    /// Begins one run of a job, whose end is stored under its id.
    pub(crate) const fn of_job(id: RecordId, live: Arc<Live>) -> Self {
        Self {
            id,
            keeps: Keeps::Job(live),
            end: OnceLock::new(),
        }
    }

    /// The answer, where what the request did is stored with it.
    pub fn told(&self) -> Option<&Told> {
        match self.end.get()? {
            End::Stored(told) => told.as_ref(),
            End::Taken | End::TooLong(_) => None,
        }
    }

    /// Whether the work was tried to its commit, and nothing of it is open any more: it is
    /// stored, or it was stored before.
    pub(crate) fn is_over(&self) -> bool {
        self.end.get().is_some()
    }

    /// Why nothing is stored, where that is since the answer would be too long to be kept.
    pub fn too_long(&self) -> Option<&str> {
        match self.end.get()? {
            End::TooLong(message) => Some(message),
            End::Stored(_) | End::Taken => None,
        }
    }

    /// Whether another request had stored its answer under the key first, as on another server.
    pub fn is_taken(&self) -> bool {
        matches!(self.end.get(), Some(End::Taken))
    }
}

/// The keys of the requests that this process carries out now.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<RecordId>>);

/// A key, held for one request until dropped.
#[derive(Debug)]
pub struct Claim {
    id: RecordId,
    claims: Arc<Claims>,
}

impl Claims {
    fn take(self: &Arc<Self>, id: RecordId) -> Result<Claim, Error> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.insert(id) {
            return Err(Error::KeyInProgress);
        }
        let claims = Arc::clone(self);
        Ok(Claim { id, claims })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let held = self.claims.0.lock();
        held.unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

/// An answer that is kept, and of which request it is.
#[derive(Debug)]
pub struct Kept {
    fingerprint: String,
    told: Told,
}

impl Kept {
    /// The answer, for the same request; another one may not have the key.
    pub fn answer(self, fingerprint: &Fingerprint) -> Result<Told, Error> {
        if self.fingerprint == fingerprint.text() {
            Ok(self.told)
        } else {
            Err(Error::KeyMismatch)
        }
    }
}
