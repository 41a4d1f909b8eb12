//! What an operator may set of the embedded engine, with defaults that suit one machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Settings of one embedded engine. Everything is bounded; the defaults are for a small
/// machine that runs nothing else.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the database file. Made where it is missing, for this user alone.
    pub data_dir: PathBuf,
    /// Bytes that the engine may use before it spills; its own default (80 % of the
    /// machine's memory) when absent.
    pub memory_limit: Option<u64>,
    /// Threads that work on queries.
    pub threads: usize,
    /// Where large queries spill; a folder below the data folder when absent.
    pub temp_directory: Option<PathBuf>,
    /// Bytes that spilling may use on disk.
    pub max_temp_bytes: u64,
    /// Pages, counts and aggregations that run at once.
    pub read_threads: usize,
    /// Streams that may be open at once.
    pub stream_threads: usize,
    /// Bulk sessions that may be open at once; further ones wait.
    pub bulk_sessions_max: usize,
    /// Writes that may wait for the lane; more are refused.
    pub write_queue_max: usize,
    /// Reads that may wait for a thread; more are refused.
    pub read_queue_max: usize,
    /// How long a stream waits for its reader before it is cut.
    pub stream_idle_timeout: Duration,
    /// How long a stream waits for its reader before the rest of it is written to a file in the
    /// folder for spilling, so that its snapshot can end.
    pub stream_patience: Duration,
    /// Bytes that such a file may have; a stream of more is cut.
    pub spool_bytes_max: u64,
    /// How long a page, a count or an aggregation may take.
    pub query_timeout: Duration,
    /// Bytes of write-ahead log after which a checkpoint is made.
    pub checkpoint_wal_bytes: u64,
    /// How long the engine must be without a write before it checkpoints a small log.
    pub checkpoint_idle: Duration,
    /// How long closing waits for open streams and bulk sessions.
    pub close_grace: Duration,
}

impl Options {
    /// The defaults, for a data folder.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            ..Self::default()
        }
    }
}

impl Options {
    /// Where large queries spill, for a database file.
    pub(crate) fn temp_folder(&self, database: &Path) -> PathBuf {
        let own = || database.with_file_name("tmp");
        self.temp_directory.clone().unwrap_or_else(own)
    }
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            data_dir: PathBuf::from("data"),
            memory_limit: None,
            threads: cores,
            temp_directory: None,
            max_temp_bytes: 10 << 30,
            read_threads: cores.max(2),
            stream_threads: 8,
            bulk_sessions_max: 2,
            write_queue_max: 4096,
            read_queue_max: 1024,
            stream_idle_timeout: Duration::from_secs(30),
            stream_patience: Duration::from_secs(2),
            spool_bytes_max: 10 << 30,
            query_timeout: Duration::from_secs(30),
            checkpoint_wal_bytes: 64 << 20,
            checkpoint_idle: Duration::from_secs(5),
            close_grace: Duration::from_secs(10),
        }
    }
}
