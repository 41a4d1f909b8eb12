//! Logs and metrics of a Staffa process, and the decorators that feed them.
//!
//! Nothing here decides what to log or when: the transport and the use cases do.
#![doc = include_str!("../README.md")]

pub mod logs;
pub mod metrics;

pub mod metered;

pub use logs::{LogError, LogFormat, LogOptions, Logs};
pub use metered::metered;
pub use metrics::{Metrics, RequestFigures};
