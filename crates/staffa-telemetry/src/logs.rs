//! Where log lines go and how they look: standard error, as JSON or for a person.

use std::fmt;
use std::io;

use tracing::Dispatch;
use tracing::dispatcher;
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

/// Sends the logs of the whole process to standard error. Works once a process.
pub fn init(options: &LogOptions) -> Result<(), LogError> {
    let dispatch = dispatch(options, io::stderr)?;
    dispatcher::set_global_default(dispatch).map_err(|_| LogError::AlreadyInstalled)
}

fn dispatch<W>(options: &LogOptions, writer: W) -> Result<Dispatch, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&options.filter).map_err(|e| LogError::Filter {
        filter: options.filter.clone(),
        reason: e.to_string(),
    })?;
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
