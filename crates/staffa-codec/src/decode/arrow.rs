//! Arrow and Parquet: columns by name, each made the type that its property has.

mod convert;
mod mapping;
mod parquet;
mod stream;

pub use parquet::ParquetBatches;
pub(super) use parquet::ParquetDecoder;
pub(super) use stream::ArrowDecoder;
