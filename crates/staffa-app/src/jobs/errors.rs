//! The error file of a job: a line for each thing wrong, with the record that it is about.
//!
//! What is wrong is written before the job ends, the records are looked up in the body after.

use std::collections::VecDeque;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use staffa_codec::decode::{Decompressor, RawRecords};
use staffa_domain::ports::{SpoolPart, SpoolWriter};
use staffa_domain::{RecordError, RecordId, StorageError};

use super::IngestRequest;
use crate::commands::{Commands, IngestRecords};
use crate::error::{Error, value_json};

/// Lines that are written at once.
const PIECE_BYTES: usize = 64 << 10;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
struct Failed {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    pointer: String,
    code: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    /// The record; absent until it is looked up, null where it could not be found.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<Box<RawValue>>,
}

impl From<&RecordError> for Failed {
    fn from(error: &RecordError) -> Self {
        Self {
            index: error.index,
            line: error.line,
            pointer: error.pointer.clone(),
            code: error.code.as_str().to_owned(),
            message: error.message.clone(),
            value: error.value.as_deref().and_then(value_json),
            row: None,
        }
    }
}

impl Commands {
    /// Keeps what is wrong with the records of a job that is about to end.
    pub(super) async fn write_causes(
        &self,
        job: RecordId,
        errors: &[RecordError],
    ) -> Result<(), StorageError> {
        if errors.is_empty() {
            return self.jobs.spool.remove(job, SpoolPart::Causes).await;
        }
        let mut out = Lines::new(self.jobs.spool.create(job, SpoolPart::Causes).await?);
        for error in errors {
            out.put(&Failed::from(error)).await?;
        }
        out.finish().await
    }

    /// Completes the error file of a job that has ended, and removes what only a run needs.
    pub(super) async fn clear_up(&self, job: RecordId, request: &IngestRequest) {
        if let Err(error) = self.look_up_records(job, request).await {
            tracing::warn!(%job, %error, "failed records could not be looked up");
        }
        self.remove_file(job, SpoolPart::Body).await;
    }

    /// Removes everything that is kept of a job.
    pub(crate) async fn forget_files(&self, job: RecordId) {
        for part in SpoolPart::ALL {
            self.remove_file(job, part).await;
        }
    }

    async fn remove_file(&self, job: RecordId, part: SpoolPart) {
        if let Err(error) = self.jobs.spool.remove(job, part).await {
            tracing::warn!(%job, ?part, %error, "a file of a job could not be removed");
        }
    }

    async fn look_up_records(&self, job: RecordId, request: &IngestRequest) -> Result<(), Error> {
        let spool = &self.jobs.spool;
        let Some(causes) = spool.open(job, SpoolPart::Causes).await? else {
            return Ok(());
        };
        let Some(body) = spool.open(job, SpoolPart::Body).await? else {
            return Ok(());
        };
        let causes: Vec<Vec<u8>> = causes.pieces.try_collect().await?;
        let lines = causes.concat();
        let lines = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let lines: Result<VecDeque<Failed>, _> = lines.map(serde_json::from_slice).collect();
        let lines = lines.map_err(StorageError::internal)?;
        let body = body.pieces.map_ok(Bytes::from).err_into::<Error>();
        let out = spool.create(job, SpoolPart::Errors).await?;
        self.look_up(request, (lines, body.boxed()), out).await?;
        self.remove_file(job, SpoolPart::Causes).await;
        Ok(())
    }

    /// Writes what is wrong with the records of a bulk write: a JSON object a line, with the
    /// records as they stand in the body of `request`, which is read once more.
    pub async fn write_errors(
        &self,
        request: IngestRecords,
        errors: &[RecordError],
        out: Box<dyn SpoolWriter>,
    ) -> Result<(), Error> {
        let asked = IngestRequest::of(&request, 0);
        let lines = errors.iter().map(Failed::from).collect();
        let body = request.body.err_into::<Error>();
        self.look_up(&asked, (lines, body.boxed()), out).await
    }

    /// Writes lines with their records, which are looked up in a body.
    async fn look_up(
        &self,
        request: &IngestRequest,
        (mut lines, mut body): (VecDeque<Failed>, BoxStream<'_, Result<Bytes, Error>>),
        out: Box<dyn SpoolWriter>,
    ) -> Result<(), Error> {
        let mut wanted: Vec<u64> = lines.iter().map(|line| line.index).collect();
        wanted.dedup();
        let schema = self.catalog.get(&request.schema)?;
        let options = request.options(&self.limits);
        let mut records = RawRecords::new(request.format()?, schema, options, wanted);
        let mut unpack = Decompressor::new(request.compression()?)?;
        let mut out = Lines::new(out);
        while !records.is_done()
            && let Some(piece) = body.next().await
        {
            let piece = piece?;
            let mut rest = Some(&*piece);
            while let Some(packed) = rest {
                let Ok(left) = unpack.push(packed, |piece| records.push(piece)) else {
                    break;
                };
                rest = left;
                out.put_found(&mut records, &mut lines).await?;
                tokio::task::coop::consume_budget().await;
            }
        }
        // What cannot be read to its end was told so before.
        let _ = unpack.finish(|piece| records.push(piece));
        let _ = records.finish();
        out.put_found(&mut records, &mut lines).await?;
        for mut line in lines {
            line.row = Some(RawValue::NULL.to_owned());
            out.put(&line).await?;
        }
        Ok(out.finish().await?)
    }
}

/// A file of lines in the making.
struct Lines {
    file: Box<dyn SpoolWriter>,
    held: Vec<u8>,
}

impl Lines {
    fn new(file: Box<dyn SpoolWriter>) -> Self {
        Self {
            file,
            held: Vec::new(),
        }
    }

    async fn put(&mut self, line: &Failed) -> Result<(), StorageError> {
        serde_json::to_writer(&mut self.held, line).map_err(StorageError::internal)?;
        self.held.push(b'\n');
        if self.held.len() >= PIECE_BYTES {
            self.file.write(&self.held).await?;
            self.held.clear();
        }
        Ok(())
    }

    /// Writes the lines of the records that were found, and those before that were not.
    async fn put_found(
        &mut self,
        records: &mut RawRecords,
        lines: &mut VecDeque<Failed>,
    ) -> Result<(), StorageError> {
        while let Some((index, json)) = records.take() {
            let row = RawValue::from_string(json).map_err(StorageError::internal)?;
            while let Some(mut line) = lines.pop_front_if(|line| line.index <= index) {
                let is_found = line.index == index;
                line.row = Some(if is_found {
                    row.clone()
                } else {
                    RawValue::NULL.to_owned()
                });
                self.put(&line).await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(), StorageError> {
        if !self.held.is_empty() {
            self.file.write(&self.held).await?;
        }
        self.file.finish().await
    }
}
