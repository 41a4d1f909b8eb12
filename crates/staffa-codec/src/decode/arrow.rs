//! Arrow and Parquet: columns by name, each made the type that its property has.

mod convert;
mod expand;
mod gate;
mod list;
mod mapping;
mod pages;
mod parquet;
mod stream;

pub use parquet::ParquetBatches;
pub(super) use parquet::ParquetDecoder;
pub(super) use stream::ArrowDecoder;

use super::{DecodeError, DecodeErrorCode};

fn malformed(why: &str) -> DecodeError {
    DecodeError::new(DecodeErrorCode::MalformedArrow, why)
}
