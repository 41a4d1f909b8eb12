//! Proposes a schema from a sample, which is read as it comes in and not kept.

use futures_util::StreamExt as _;
use staffa_codec::decode::{
    Compression, CsvOptions, DecodeError, Decompressor, InputFormat, SampleOptions, Sampler,
};
use staffa_domain::StorageError;
use staffa_domain::infer::Proposal;
use staffa_domain::schema::SchemaProblem;

use crate::body::ByteStream;
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::limits::Limits;
use crate::queries::Queries;

/// How much of a sample is read.
#[derive(Debug, Clone, Copy)]
pub struct SampleSize {
    /// The most rows.
    pub rows_max: u64,
    /// The most bytes, once unpacked; a Parquet file is read whole.
    pub bytes_max: u64,
    /// The most values by which keys are sought: eight bytes each.
    pub prints_max: usize,
}

impl SampleSize {
    /// What a request may ask a server to look at: little enough for many of them.
    pub const REQUEST: Self = Self {
        rows_max: 10_000,
        bytes_max: 16 << 20,
        prints_max: 1 << 20,
    };

    /// All there is, for a process of its own.
    pub const ALL: Self = Self {
        rows_max: u64::MAX,
        bytes_max: u64::MAX,
        prints_max: 16 << 20,
    };
}

/// A sample, and what the schema is to be called.
pub struct InferSchema {
    /// The name; one that no schema can have is changed into one like it.
    pub name: String,
    /// The body's format.
    pub format: InputFormat,
    /// How the body is packed.
    pub compression: Compression,
    /// How its CSV is written.
    pub csv: CsvOptions,
    /// How much of it is read.
    pub size: SampleSize,
    /// The body; what comes after enough of it is left unread.
    pub body: ByteStream,
}

impl std::fmt::Debug for InferSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InferSchema")
            .field("name", &self.name)
            .field("format", &self.format)
            .field("compression", &self.compression)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Queries {
    /// Proposes a schema that accepts the sample, as [`infer_schema`] does.
    pub async fn infer_schema(
        &self,
        ctx: &Context,
        request: InferSchema,
    ) -> Result<Proposal, Error> {
        infer_schema(ctx, self.limits(), request).await
    }
}

/// Proposes a schema that accepts the sample: nothing stored is looked at. A sample without a
/// single property is an error, as is one that is not of its format.
pub async fn infer_schema(
    ctx: &Context,
    limits: &Limits,
    request: InferSchema,
) -> Result<Proposal, Error> {
    let mut decode = limits.decode_options();
    decode.csv = request.csv;
    let options = SampleOptions {
        decode,
        rows_max: request.size.rows_max,
        bytes_max: request.size.bytes_max,
        prints_max: request.size.prints_max,
    };
    let mut sampler = Sampler::new(request.format, options);
    let mut packed = Decompressor::new(request.compression)?;
    let mut body = request.body;
    while !sampler.is_done()
        && let Some(chunk) = body.next().await
    {
        let chunk = chunk?;
        let mut rest = Some(&*chunk);
        while let Some(piece) = rest.filter(|_| !sampler.is_done()) {
            rest = ctx.time(Stage::Decode, || {
                packed.push(piece, |plain| sampler.push(plain))
            })?;
            match rest {
                Some(_) => tokio::task::yield_now().await,
                None => tokio::task::coop::consume_budget().await,
            }
        }
    }
    if !sampler.is_done() {
        let finish = || packed.finish::<DecodeError>(|plain| sampler.push(plain));
        ctx.time(Stage::Decode, finish)?;
    }
    let name = request.name;
    // A file that had to be there whole is read now, and keys are sought.
    let work = move || sampler.finish().map(|sample| sample.propose(&name));
    let done = tokio::task::spawn_blocking(work).await;
    let proposal =
        done.map_err(|error| Error::Storage(StorageError::Internal(Box::new(error))))??;
    if proposal.schema.properties.is_empty() {
        let message = "the sample has no property to make a schema of";
        let problem = SchemaProblem::new("/properties", message);
        return Err(Error::SchemaInvalid(vec![problem]));
    }
    ctx.count_records(usize::try_from(proposal.rows).unwrap_or(usize::MAX));
    Ok(proposal)
}
