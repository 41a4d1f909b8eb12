//! Writes a body of any length and format, decoding while it comes in, in one atomic write.

use std::sync::Arc;

use futures_util::StreamExt;
use staffa_codec::decode::{
    BatchDecoder, Compression, CsvOptions, Decompressor, InputFormat, decoder, piece_bytes,
};
use staffa_domain::{RecordError, RecordId, WriteReceipt};

use crate::body::{BodyError, ByteStream};
use crate::commands::follow_changes::ShortBody;
use crate::commands::sink::{Sink, SinkOptions};
use crate::commands::{BulkMode, Commands, Return};
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::memory::Share;

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
    /// Bytes of the body at most, once unpacked; any when absent.
    pub body_bytes_max: Option<u64>,
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
#[derive(Debug, Clone, Default)]
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
        mut request: IngestRecords,
    ) -> Result<IngestReport, Error> {
        let kept = ShortBody::of(&mut request.body);
        let mut changes = self.changes();
        loop {
            let done = self.ingest(ctx, &mut request).await;
            let again = changes
                .concern(&done, Error::is_moved)
                .then(|| kept.again())
                .flatten();
            match again {
                Some(body) => request.body = body,
                None => return done,
            }
            changes.catch_up().await?;
        }
    }

    async fn ingest(
        &self,
        ctx: &Context,
        request: &mut IngestRecords,
    ) -> Result<IngestReport, Error> {
        let schema = self.catalog.get(&request.schema)?;
        let mode = request
            .mode
            .resolve(&schema, request.on_conflict.as_deref())?;
        let mut options = self.limits.decode_options();
        options.csv = request.csv.clone();
        options.parts = mode.takes_parts();
        let mut intake = Intake {
            decompressor: Decompressor::new(request.compression)?,
            piece_bytes: piece_bytes(&schema, options.parts),
            unpacked: Unpacked {
                bytes: Vec::new(),
                read: 0,
                total: 0,
                max: request.body_bytes_max.unwrap_or(u64::MAX),
            },
            decoder: decoder(request.format, Arc::clone(&schema), options),
            share: ctx.share(),
        };
        let options = SinkOptions {
            mode,
            on_error: request.on_error,
            errors_max: request.errors_max,
            returning: request.returning,
            enveloped: false,
        };
        let mut sink = Sink::new(self, ctx, schema, options);
        while let Some(chunk) = request.body.next().await {
            let chunk = chunk?;
            let mut rest = Some(&*chunk);
            while let Some(packed) = rest {
                rest = ctx.time(Stage::Decode, || intake.push(packed))?;
                while ctx.time(Stage::Decode, || intake.read_on())? {
                    drain(intake.decoder.as_mut(), &mut sink).await?;
                    tokio::task::coop::consume_budget().await;
                }
                match rest {
                    // A few bytes may unpack to gigabytes: others get their turn meanwhile.
                    Some(_) => tokio::task::yield_now().await,
                    None => tokio::task::coop::consume_budget().await,
                }
            }
        }
        intake.unpack_last()?;
        while ctx.time(Stage::Decode, || intake.read_on())? {
            drain(intake.decoder.as_mut(), &mut sink).await?;
        }
        ctx.time(Stage::Decode, || intake.finish())?;
        drain(intake.decoder.as_mut(), &mut sink).await?;
        // Some formats are read as they are taken, so that only now all is known to be there.
        intake.decoder.finish()?;
        drop(intake);
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

/// Unpacks and decodes, as much at a time as the records of a piece may come to.
struct Intake<'c> {
    decompressor: Decompressor,
    unpacked: Unpacked,
    decoder: Box<dyn BatchDecoder>,
    piece_bytes: usize,
    /// What the decoder holds.
    share: Share<'c>,
}

impl Intake<'_> {
    /// Unpacks a piece, to be read; answers what is left of the chunk, as the decompressor does.
    fn push<'c>(&mut self, packed: &'c [u8]) -> Result<Option<&'c [u8]>, Error> {
        self.decompressor
            .push(packed, |piece| self.unpacked.push(piece))
    }

    /// Unpacks what was held back, to be read.
    fn unpack_last(&mut self) -> Result<(), Error> {
        self.decompressor.finish(|piece| self.unpacked.push(piece))
    }

    /// Reads on in what was unpacked; false where nothing of it is left.
    fn read_on(&mut self) -> Result<bool, Error> {
        let Some(piece) = self.unpacked.next(self.piece_bytes) else {
            return Ok(false);
        };
        self.decoder.push(piece)?;
        self.share.set(self.decoder.held_bytes())?;
        Ok(true)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.decoder.finish()?;
        Ok(self.share.set(self.decoder.held_bytes())?)
    }
}

/// What was unpacked and not read yet, and how much of it there may be in all.
struct Unpacked {
    bytes: Vec<u8>,
    read: usize,
    total: u64,
    max: u64,
}

impl Unpacked {
    fn push(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.total += piece.len() as u64;
        if self.total > self.max {
            let max_bytes = self.max;
            return Err(BodyError::TooLarge { max_bytes }.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn next(&mut self, most: usize) -> Option<&[u8]> {
        if self.read == self.bytes.len() {
            self.bytes.clear();
            self.read = 0;
            return None;
        }
        let start = self.read;
        self.read = self.bytes.len().min(start.saturating_add(most));
        Some(&self.bytes[start..self.read])
    }
}
