//! How jobs lie in the engine: as records of two internal schemas.

use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use staffa_domain::batch::{record_created_at, record_id, record_version};
use staffa_domain::ports::RecordReader;
use staffa_domain::record::system;
use staffa_domain::{
    PropertyType, RecordId, SchemaSnapshot, StampedBatch, StorageError, Timestamp,
};

use super::{Failure, Job, JobRequest, JobState, Tally};
use crate::catalog::{Catalog, internal_record, internal_schema};

/// What was asked for, by whom it is done, and how far that was when last told.
pub(super) static JOBS: LazyLock<Arc<SchemaSnapshot>> = LazyLock::new(|| {
    let text = |name| (name, PropertyType::String, true);
    internal_schema("_jobs", &[text("spool"), text("request"), text("started")])
});

/// How jobs ended. The id is that of the job, the time is that of the end.
pub(super) static ENDS: LazyLock<Arc<SchemaSnapshot>> =
    LazyLock::new(|| internal_schema("_job_ends", &[("end", PropertyType::String, true)]));

/// A job as it was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) id: RecordId,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(super) version: i64,
    /// The spool that has its body.
    pub(super) spool: String,
    pub(crate) request: JobRequest,
    pub(super) started: Started,
}

/// How far a job was when its server last told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Started {
    /// In microseconds; none while it waits.
    pub(super) at: Option<i64>,
    pub(super) bytes_read: u64,
    pub(super) received: u64,
    pub(super) failed: u64,
}

impl Started {
    pub(super) fn new(at: Option<Timestamp>) -> Self {
        Self {
            at: at.map(Timestamp::as_micros),
            ..Self::default()
        }
    }

    pub(super) fn at(&self) -> Option<Timestamp> {
        self.at.map(Timestamp::from_micros)
    }

    /// What is known of the records while nothing is stored.
    pub(super) fn tally(&self) -> Tally {
        Tally {
            received: self.received,
            failed: self.failed,
            ..Tally::default()
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct End {
    pub(super) state: JobState,
    pub(super) started: Started,
    pub(super) tally: Tally,
    /// The version that a schema has by it.
    #[serde(default)]
    pub(super) schema_version: Option<u32>,
    pub(super) failure: Option<Failure>,
    /// Whether records and what is wrong with them are kept by the server that ran the job.
    pub(crate) has_errors: bool,
    #[serde(skip)]
    pub(super) finished_at: Option<i64>,
}

impl Head {
    pub(crate) fn new((id, at): (RecordId, Timestamp), spool: String, request: JobRequest) -> Self {
        Self {
            id,
            created_at: at,
            updated_at: at,
            version: 1,
            spool,
            request,
            started: Started::default(),
        }
    }

    /// Its record, in the version that it has.
    pub(crate) fn write(&self) -> Result<StampedBatch, StorageError> {
        let properties = vec![
            text(self.spool.clone()),
            json(&self.request)?,
            json(&self.started)?,
        ];
        let record = internal_record(&JOBS, properties)?;
        let (created, updated) = (self.created_at, self.updated_at);
        Ok(record.stamp_next(self.id, created, updated, self.version))
    }

    pub(super) fn read(batch: &RecordBatch, row: usize) -> Result<Self, StorageError> {
        let broken = || StorageError::internal("a job that cannot be read");
        let updated = batch.column(system::UPDATED_AT);
        let updated = updated.as_primitive_opt::<arrow_array::types::TimestampMicrosecondType>();
        Ok(Self {
            id: record_id(batch, row).ok_or_else(broken)?,
            created_at: record_created_at(batch, row).ok_or_else(broken)?,
            updated_at: Timestamp::from_micros(updated.ok_or_else(broken)?.value(row)),
            version: record_version(batch, row).ok_or_else(broken)?,
            spool: cell(batch, 0, row).to_owned(),
            request: parse(cell(batch, 1, row))?,
            started: parse(cell(batch, 2, row))?,
        })
    }

    /// The job, as far as it is known here.
    pub(crate) fn job(&self, end: Option<&End>) -> Job {
        let started = end.map_or(&self.started, |end| &end.started);
        let state = match (end, started.at) {
            (Some(end), _) => end.state,
            (None, Some(_)) => JobState::Running,
            (None, None) => JobState::Queued,
        };
        let finished_at = end.and_then(|end| end.finished_at);
        let finished_at = finished_at.map(Timestamp::from_micros);
        Job {
            id: self.id,
            kind: self.request.kind(),
            schema: self.request.schema().to_owned(),
            state,
            created_at: self.created_at,
            updated_at: finished_at.unwrap_or(self.updated_at),
            started_at: started.at(),
            finished_at,
            bytes: self.request.bytes(),
            bytes_read: started.bytes_read,
            tally: end.map_or_else(|| started.tally(), |end| end.tally),
            schema_version: end.and_then(|end| end.schema_version),
            failure: end.and_then(|end| end.failure.clone()),
        }
    }
}

impl End {
    pub(super) const fn new(state: JobState, started: Started, tally: Tally) -> Self {
        Self {
            state,
            started,
            tally,
            schema_version: None,
            failure: None,
            has_errors: false,
            finished_at: None,
        }
    }

    pub(super) fn write(
        &self,
        (id, at): (RecordId, Timestamp),
    ) -> Result<StampedBatch, StorageError> {
        let record = internal_record(&ENDS, vec![json(self)?])?;
        Ok(record.stamp(&[id], at))
    }

    pub(super) fn read(batch: &RecordBatch, row: usize) -> Result<Self, StorageError> {
        let end: Self = parse(cell(batch, 0, row))?;
        Ok(Self {
            finished_at: record_created_at(batch, row).map(Timestamp::as_micros),
            ..end
        })
    }
}

/// A job and, if it has ended, how.
pub(crate) async fn find(
    catalog: &Catalog,
    reader: &dyn RecordReader,
    id: RecordId,
) -> Result<Option<(Head, Option<End>)>, StorageError> {
    if !catalog.has_internal(&JOBS) || !catalog.has_internal(&ENDS) {
        // Nobody has started a job yet.
        return Ok(None);
    }
    // The end first: it is stored after the beginning, and removed after it.
    let ends = reader.get(&ENDS, &[id]).await?;
    let heads = reader.get(&JOBS, &[id]).await?;
    if heads.num_rows() == 0 {
        return Ok(None);
    }
    let end = (ends.num_rows() > 0).then(|| End::read(&ends, 0));
    Ok(Some((Head::read(&heads, 0)?, end.transpose()?)))
}

fn text(text: String) -> ArrayRef {
    Arc::new(StringArray::from(vec![text]))
}

fn json(value: &impl Serialize) -> Result<ArrayRef, StorageError> {
    serde_json::to_string(value)
        .map(text)
        .map_err(StorageError::internal)
}

fn cell(batch: &RecordBatch, property: usize, row: usize) -> &str {
    let texts = batch.column(system::COUNT + property).as_string::<i32>();
    texts.value(row)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, StorageError> {
    serde_json::from_str(text).map_err(StorageError::internal)
}
