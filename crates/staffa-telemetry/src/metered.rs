//! Measures an engine: each port wrapped in one of the same kind that times every operation
//! and counts the records that pass. Nothing else changes; errors come through as they are.

mod catalog;
mod ending;
mod monitor;
mod operation;
mod reader;
mod session;
mod stream;
mod writer;

use std::sync::Arc;

use staffa_domain::ports::Storage;

use crate::metrics::{Metrics, Registry};

use catalog::MeteredCatalog;
use monitor::MeteredMonitor;
use reader::MeteredReader;
use writer::MeteredWriter;

/// The same engine, measured by the metrics of this process.
pub fn metered(storage: Storage) -> Storage {
    metered_in(storage, Metrics::install().registry())
}

fn metered_in(storage: Storage, registry: &Registry) -> Storage {
    Storage {
        catalog: Arc::new(MeteredCatalog::new(storage.catalog, registry)),
        writer: Arc::new(MeteredWriter::new(storage.writer, registry)),
        reader: Arc::new(MeteredReader::new(storage.reader, registry)),
        monitor: Arc::new(MeteredMonitor::new(storage.monitor, registry)),
    }
}

#[cfg(test)]
mod tests;
