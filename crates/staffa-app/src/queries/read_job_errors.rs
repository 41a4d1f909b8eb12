//! Reads the error file of a job.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt};
use staffa_domain::ports::SpoolPart;
use staffa_domain::{RecordId, StorageError};

use crate::context::{Context, Stage};
use crate::error::Error;
use crate::jobs::find;
use crate::queries::Queries;

/// How long is waited for the records of a job that has just ended to be looked up.
const PATIENCE: Duration = Duration::from_secs(20);

/// The lines of an error file, as bytes.
pub struct ErrorLines {
    /// How many bytes there are.
    pub bytes: u64,
    /// They, in pieces. After an error nothing follows.
    pub pieces: Pin<Box<dyn Stream<Item = Result<Bytes, StorageError>> + Send>>,
}

impl fmt::Debug for ErrorLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorLines")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Queries {
    /// What is wrong with the records of a job that has ended: a JSON object a line, with the
    /// record's index, its line where the format has lines, pointer, code, message, and the
    /// record as it was given. No lines where nothing is wrong.
    pub async fn read_job_errors(&self, ctx: &Context, id: RecordId) -> Result<ErrorLines, Error> {
        let jobs = self.jobs.as_ref().ok_or(Error::JobNotFound)?;
        if let Some(live) = jobs.find(id) {
            if !live.has_ended() {
                return Err(Error::JobUnderWay);
            }
            let looked_up = tokio::time::timeout(PATIENCE, live.wait()).await;
            looked_up.map_err(|_| Error::JobUnderWay)?;
        }
        let found = find(&self.catalog, &*self.reader, id);
        let found = ctx.time_async(Stage::Engine, found).await?;
        let (_, end) = found.ok_or(Error::JobNotFound)?;
        let end = end.ok_or(Error::JobUnderWay)?;
        // The records may not have been looked up yet, after a restart.
        for part in [SpoolPart::Errors, SpoolPart::Causes] {
            if let Some(file) = jobs.open(id, part).await? {
                return Ok(ErrorLines {
                    bytes: file.bytes,
                    pieces: file.pieces.map_ok(Bytes::from).boxed(),
                });
            }
        }
        if end.has_errors {
            return Err(Error::JobErrorsElsewhere);
        }
        Ok(ErrorLines {
            bytes: 0,
            pieces: futures_util::stream::empty().boxed(),
        })
    }
}
