//! Writes a body of any length and format, decoding while it comes in, in one atomic write.

use std::sync::Arc;

use futures_util::StreamExt;
use staffa_codec::decode::{
    BatchDecoder, Compression, CsvOptions, DecodeError, Decompressor, InputFormat, decoder,
};
use staffa_domain::{RecordError, RecordId, WriteReceipt};

use crate::body::{ByteStream, SLICE_BYTES, slices};
use crate::commands::sink::{Sink, SinkOptions, decode_options};
use crate::commands::{BulkMode, Commands, Return};
use crate::context::{Context, Stage};
use crate::error::Error;

/// How much of a packed body is unpacked in one go. A few bytes can unpack to a hundred
/// kilobytes each, so this bounds what one step may produce to some megabytes.
const PACKED_SLICE_BYTES: usize = 1 << 10;

/// What one failed record does to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Nothing is stored unless all is.
    #[default]
    Abort,
    /// The good ones are stored.
    Continue,
}

/// What to write, and how.
pub struct IngestRecords {
    /// The schema's name.
    pub schema: String,
    /// The body's format.
    pub format: InputFormat,
    /// How the body is packed.
    pub compression: Compression,
    /// How its CSV is written.
    pub csv: CsvOptions,
    /// What happens to each record.
    pub mode: BulkMode,
    /// The properties by which others are found, where the mode looks for others; by default
    /// the primary key, or the only unique property.
    pub on_conflict: Option<Vec<String>>,
    /// What a failed record does to the others.
    pub on_error: OnError,
    /// How many errors are reported at most.
    pub errors_max: usize,
    /// Whether the report tells ids; the records themselves are not kept.
    pub returning: Return,
    /// The body.
    pub body: ByteStream,
}

impl std::fmt::Debug for IngestRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngestRecords")
            .field("schema", &self.schema)
            .field("format", &self.format)
            .field("compression", &self.compression)
            .field("mode", &self.mode)
            .field("on_error", &self.on_error)
            .finish_non_exhaustive()
    }
}

/// What became of the records.
#[derive(Debug, Default)]
pub struct IngestReport {
    /// Records in the body.
    pub received: u64,
    /// Records that broke a rule, or that the engine refused.
    pub failed: u64,
    /// What is wrong with them, up to the limit, in their order.
    pub errors: Vec<RecordError>,
    /// Whether there were more errors than reported.
    pub errors_truncated: bool,
    /// What was stored.
    pub receipt: WriteReceipt,
    /// Where asked for: of each record that did not fail, in their order, the id of the one
    /// that it became, changed, removed or left alone.
    pub ids: Vec<RecordId>,
}

impl Commands {
    /// Writes every record of the body. With [`OnError::Abort`] a report with failures means
    /// that nothing was stored; the whole body is read all the same, to report every error.
    /// Unique values that are taken are then an error of their own.
    pub async fn ingest_records(
        &self,
        ctx: &Context,
        request: IngestRecords,
    ) -> Result<IngestReport, Error> {
        let schema = self.catalog.get(&request.schema)?;
        let mode = request
            .mode
            .resolve(&schema, request.on_conflict.as_deref())?;
        let mut options = decode_options(&self.limits);
        options.csv = request.csv.clone();
        options.parts = mode.takes_parts();
        let mut intake = Intake {
            decoder: decoder(request.format, Arc::clone(&schema), options),
            decompressor: Decompressor::new(request.compression)?,
        };
        let options = SinkOptions {
            mode,
            on_error: request.on_error,
            errors_max: request.errors_max,
            returning: request.returning,
        };
        let mut sink = Sink::new(self, ctx, schema, options);
        let slice_bytes = match request.compression {
            Compression::None => SLICE_BYTES,
            Compression::Gzip | Compression::Zstd => PACKED_SLICE_BYTES,
        };
        let mut body = request.body;
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            for slice in slices(&chunk, slice_bytes) {
                ctx.time(Stage::Decode, || intake.push(&slice))?;
                drain(intake.decoder.as_mut(), &mut sink).await?;
                tokio::task::coop::consume_budget().await;
            }
        }
        ctx.time(Stage::Decode, || intake.finish())?;
        drain(intake.decoder.as_mut(), &mut sink).await?;
        // Some formats are read as they are taken, so that only now all is known to be there.
        intake.decoder.finish()?;
        let (report, _) = sink.finish().await?;
        Ok(report)
    }
}

async fn drain(decoder: &mut dyn BatchDecoder, sink: &mut Sink<'_>) -> Result<(), Error> {
    while let Some(batch) = decoder.take() {
        sink.put(batch).await?;
    }
    Ok(())
}

/// Unpacks and decodes.
struct Intake {
    decoder: Box<dyn BatchDecoder>,
    decompressor: Decompressor,
}

impl Intake {
    fn push(&mut self, packed: &[u8]) -> Result<(), DecodeError> {
        let decoder = self.decoder.as_mut();
        self.decompressor.push(packed, |plain| decoder.push(plain))
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        let decoder = self.decoder.as_mut();
        self.decompressor.finish(|plain| decoder.push(plain))?;
        self.decoder.finish()
    }
}
