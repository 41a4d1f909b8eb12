//! Where log lines go and how they look: standard error, as JSON or for a person.
//!
//! A thread of its own writes them, many at a time, so that a request does not wait for its line.

use std::fmt;
use std::io::{self, BufWriter};
use std::sync::OnceLock;

use tracing::Dispatch;
use tracing::dispatcher;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, the event's fields beside `timestamp` and `level`.
    Json,
    /// One line of text for a person.
    Human,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// How a line looks.
    pub format: LogFormat,
    /// Which events are written, as `level` or `target=level` separated by commas.
    pub filter: String,
    /// Whether lines for a person are coloured; JSON never is.
    pub color: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            format: LogFormat::Human,
            filter: "info".to_owned(),
            color: false,
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogError {
    /// The filter cannot be read.
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something in this process already receives the logs.
    AlreadyInstalled,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter { filter, reason } => {
                write!(f, "the log filter {filter:?} is not valid: {reason}")
            }
            Self::AlreadyInstalled => f.write_str("logging is already set up"),
        }
    }
}

impl std::error::Error for LogError {}

/// How many lines may wait to be written. Beyond that lines are dropped and counted: a reader of
/// the log that stands still must not stop the server, nor fill its memory.
const LINES_WAITING_MAX: usize = 1 << 16;
/// How much is written at once.
const BUFFER_BYTES: usize = 1 << 16;

/// Counts the lines that were dropped, once there is a log.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Keeps the log going. Dropping it writes what waits, for at most a second.
#[derive(Debug)]
pub struct Logs {
    _writer: WorkerGuard,
}

/// How many lines of this process were dropped because too many waited.
pub(crate) fn dropped_lines() -> usize {
    DROPPED.get().map_or(0, ErrorCounter::dropped_lines)
}

/// Sends the logs of the whole process to standard error for as long as the answer is kept. Works
/// once a process.
pub fn init(options: &LogOptions) -> Result<Logs, LogError> {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_WAITING_MAX)
        .thread_name("staffa-log")
        .finish(BufWriter::with_capacity(BUFFER_BYTES, io::stderr()));
    let dropped = writer.error_counter();
    let dispatch = dispatch(options, writer)?;
    dispatcher::set_global_default(dispatch).map_err(|_| LogError::AlreadyInstalled)?;
    DROPPED.get_or_init(|| dropped);
    Ok(Logs { _writer: guard })
}

/// Whether a text says which events are written.
pub fn check_filter(filter: &str) -> Result<(), LogError> {
    read_filter(filter).map(drop)
}

fn read_filter(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(filter).map_err(|e| LogError::Filter {
        filter: filter.to_owned(),
        reason: e.to_string(),
    })
}

fn dispatch<W>(options: &LogOptions, writer: W) -> Result<Dispatch, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = read_filter(&options.filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(options.color && options.format == LogFormat::Human)
        // They would be printed on standard error, and printing panics when that is closed.
        .log_internal_errors(false);
    Ok(match options.format {
        LogFormat::Human => Dispatch::new(lines.finish()),
        LogFormat::Json => Dispatch::new(
            lines
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .finish(),
        ),
    })
}

#[cfg(test)]
mod tests;
