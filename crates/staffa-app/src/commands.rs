//! The write side: every use case that changes something, one file each.

mod affected;
mod bulk_mode;
mod cancel_job;
mod copy_records;
mod create_record;
mod create_records;
mod delete_record;
mod delete_records;
mod drop_schema;
mod evolve_schema;
mod follow_changes;
mod ingest_records;
mod patch_record;
mod patch_records;
mod read_modify_write;
mod replace_record;
mod run_transaction;
mod sink;
mod start_change;
mod start_job;

use std::sync::Arc;

use staffa_domain::ports::{Clock, IdSource, RecordReader, RecordWriter};

pub use affected::Affected;
pub use bulk_mode::BulkMode;
pub use create_records::{CreateRecords, CreatedRecords, Return};
pub use evolve_schema::{EvolveSchema, EvolvedSchema};
pub use ingest_records::{IngestRecords, IngestReport, OnError};
pub use read_modify_write::Precondition;
pub use run_transaction::StepResult;

use crate::catalog::Catalog;
use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::once::Claims;

/// Everything that can change records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Commands {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) writer: Arc<dyn RecordWriter>,
    pub(crate) reader: Arc<dyn RecordReader>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) jobs: Arc<Jobs>,
}

/// What [`Commands::new`] puts together.
#[derive(Debug)]
pub struct CommandPorts {
    /// The write side of the engine.
    pub writer: Arc<dyn RecordWriter>,
    /// The read side, for changes that depend on what is there.
    pub reader: Arc<dyn RecordReader>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identity.
    pub ids: Arc<dyn IdSource>,
    /// The jobs of this process.
    pub jobs: Arc<Jobs>,
}

impl Commands {
    /// Puts the write side together.
    pub fn new(catalog: Arc<Catalog>, ports: CommandPorts, limits: Arc<Limits>) -> Self {
        let CommandPorts {
            writer,
            reader,
            clock,
            ids,
            jobs,
        } = ports;
        Self {
            catalog,
            writer,
            reader,
            clock,
            ids,
            limits,
            claims: Arc::default(),
            jobs,
        }
    }

    /// The schemas.
    pub const fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The jobs of this process.
    pub fn jobs(&self) -> Arc<Jobs> {
        Arc::clone(&self.jobs)
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}
