//! The read side: every use case that only looks, one file each.

mod aggregate_records;
mod checksum_records;
mod count_records;
mod get_job;
mod get_record;
mod infer_schema;
mod list_records;
mod list_schemas;
mod list_versions;
mod read_job_errors;
mod stream_records;

use std::sync::Arc;

use arrow_array::RecordBatch;
use staffa_domain::batch::{record_id, record_version};
use staffa_domain::ports::RecordReader;
use staffa_domain::{RecordId, SchemaSnapshot};

pub use aggregate_records::GroupView;
pub use checksum_records::Checksum;
pub use infer_schema::{InferSchema, SampleSize, infer_schema};
pub use list_records::{CountMode, ListRecords, RecordPage, StartAt};
pub use list_schemas::SchemaView;
pub(crate) use list_schemas::told_count;
pub use list_versions::VersionView;
pub use read_job_errors::ErrorLines;
pub use stream_records::{StreamRecords, StreamView};

use crate::catalog::Catalog;
use crate::changes::Changes;
use crate::cursor::CursorKey;
use crate::error::Error;
use crate::jobs::Jobs;
use crate::limits::Limits;

/// Everything that can read records and nothing that can write. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) reader: Arc<dyn RecordReader>,
    cursor_key: Arc<CursorKey>,
    limits: Arc<Limits>,
    jobs: Option<Arc<Jobs>>,
}

impl Queries {
    /// Puts the read side together.
    pub fn new(
        catalog: Arc<Catalog>,
        reader: Arc<dyn RecordReader>,
        cursor_key: CursorKey,
        limits: Arc<Limits>,
    ) -> Self {
        Self {
            catalog,
            reader,
            cursor_key: Arc::new(cursor_key),
            limits,
            jobs: None,
        }
    }

    /// With the jobs of this process, of which more is known than what is stored.
    #[must_use]
    pub fn with_jobs(mut self, jobs: Arc<Jobs>) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// The current version of a schema, for reading a question by.
    pub fn schema(&self, name: &str) -> Result<Arc<SchemaSnapshot>, Error> {
        self.catalog.get(name)
    }

    /// Watches the schemas from now on, for a read that is about to begin: with the reading of its
    /// question, whose fields may lie elsewhere in another version.
    pub fn changes(&self) -> Changes<'_> {
        Changes::new(&self.catalog, self.limits.retries_max)
    }

    /// The schemas.
    pub const fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// Records and the schema version they are laid out by.
#[derive(Debug, Clone)]
pub struct RecordView {
    /// The schema.
    pub schema: Arc<SchemaSnapshot>,
    /// The records: system fields, then every property.
    pub records: RecordBatch,
}

impl RecordView {
    /// Records of a schema.
    pub fn new(schema: &Arc<SchemaSnapshot>, records: RecordBatch) -> Self {
        Self {
            schema: Arc::clone(schema),
            records,
        }
    }

    /// The id of the first record.
    pub fn id(&self) -> Option<RecordId> {
        record_id(&self.records, 0)
    }

    /// The version of the first record.
    pub fn version(&self) -> Option<i64> {
        record_version(&self.records, 0)
    }
}
