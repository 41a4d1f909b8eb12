//! Jobs: bulk writes whose request is answered once their body is safe, and changes of schemas
//! whose request is answered once they are accepted; both end later.
//!
//! A job has two records of internal schemas. The first, made before the request is answered,
//! says what was asked for. The second, made with its end, has the id of the job as well; where
//! a bulk write stored anything it is part of that commit. Whoever stores it first decides how the
//! job ended, so that a job stores once at most, however often it is run. What became of a change
//! is told by the versions of its schema, where nobody was there to store its end.

mod change;
mod errors;
mod keep;
mod live;
mod record;
mod request;
mod run;

use serde::{Deserialize, Serialize};
use staffa_domain::{RecordId, Timestamp};

pub(crate) use change::ChangeRequest;
pub(crate) use keep::cancelled;
pub use live::Jobs;
pub(crate) use live::{Live, Place};
pub(crate) use record::{End, Head, Started, find};
pub(crate) use request::{IngestRequest, JobRequest};
pub(crate) use run::Launch;

use crate::commands::IngestReport;
use crate::error::Error;

/// What a job does: the use case that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// A bulk write.
    IngestRecords,
    /// A schema is made, or brought to its next version.
    EvolveSchema,
    /// A schema is removed with its records.
    DropSchema,
}

impl JobKind {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IngestRecords => "ingest_records",
            Self::EvolveSchema => "evolve_schema",
            Self::DropSchema => "drop_schema",
        }
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for others.
    Queued,
    /// It is under way; nothing of it is stored.
    Running,
    /// Every record is stored.
    Succeeded,
    /// Some records are stored, the others failed.
    Partial,
    /// Nothing is stored.
    Failed,
    /// It was cancelled, and nothing is stored.
    Cancelled,
    /// It was cut off and cannot be run again; nothing is stored.
    Interrupted,
}

impl JobState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether nothing more will come of it.
    pub const fn is_end(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What became of the records of a job so far. Until it ends, nothing is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Records that were read.
    pub received: u64,
    /// Records added.
    pub inserted: u64,
    /// Records changed.
    pub updated: u64,
    /// Records left alone because their key was taken.
    pub ignored: u64,
    /// Records removed.
    pub deleted: u64,
    /// Records that failed.
    pub failed: u64,
    /// Whether there were more errors than are told.
    pub errors_truncated: bool,
}

impl Tally {
    /// What became of the records of a bulk write.
    pub fn of(report: &IngestReport) -> Self {
        Self {
            received: report.received,
            inserted: report.receipt.inserted,
            updated: report.receipt.updated,
            ignored: report.receipt.ignored,
            deleted: report.receipt.deleted,
            failed: report.failed,
            errors_truncated: report.errors_truncated,
        }
    }

    /// What a bulk write has come to: whether all of its records went well, some, or none. One
    /// that was left alone because its key is taken, as was asked for, went well too.
    pub const fn state(&self) -> JobState {
        let went_well = self.inserted + self.updated + self.ignored + self.deleted;
        match (self.failed, went_well) {
            (0, _) => JobState::Succeeded,
            (_, 0) => JobState::Failed,
            _ => JobState::Partial,
        }
    }
}

/// Why a job failed as a whole, in the words of the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub code: String,
    /// Why, for a person.
    pub detail: String,
    /// The single causes as a list of JSON, where no error file has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<String>,
}

/// Names an error as the transport does: its table of codes is the only one.
pub type TellFailure = fn(Error) -> Failure;

/// A job as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its identity.
    pub id: RecordId,
    /// What it does.
    pub kind: JobKind,
    /// The schema that it writes to, or changes.
    pub schema: String,
    /// How far it is.
    pub state: JobState,
    /// When its request was accepted.
    pub created_at: Timestamp,
    /// When anything was last known of it.
    pub updated_at: Timestamp,
    /// When its last run began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The length of its body, as it was sent.
    pub bytes: u64,
    /// How much of that was read.
    pub bytes_read: u64,
    /// What became of the records.
    pub tally: Tally,
    /// The version that the schema has by it.
    pub schema_version: Option<u32>,
    /// Why it failed as a whole.
    pub failure: Option<Failure>,
}
