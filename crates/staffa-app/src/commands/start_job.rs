//! Accepts a bulk write that ends after its request, whose body is kept first; and what any job
//! has in common when it is accepted.

use futures_util::StreamExt;
use staffa_codec::question::QuestionProblem;
use staffa_domain::error::Unavailable;
use staffa_domain::ports::{SchemaChange, SpoolPart};
use staffa_domain::{Operation, StorageError};

use crate::body::ByteStream;
use crate::commands::{Commands, IngestRecords, Return};
use crate::context::{Context, Stage};
use crate::error::Error;
use crate::jobs::{Head, IngestRequest, Job, JobRequest, Launch, Place};
use crate::once::Done;

impl Commands {
    /// Receives the whole body, and answers once it and the job are durable: from then on the
    /// job is run to its end, also by the next process. What can be known to be wrong before a
    /// record is read is refused.
    pub async fn start_job(&self, ctx: &Context, mut request: IngestRecords) -> Result<Job, Error> {
        let schema = self.catalog.get(&request.schema)?;
        let on_conflict = request.on_conflict.as_deref();
        request.mode.resolve(&schema, on_conflict)?;
        if request.returning != Return::None {
            let message = "a job tells no ids; leave return out, or set it to none";
            return Err(QuestionProblem::invalid("/return", message).into());
        }
        let place = self.place_job().await?;
        let body = std::mem::replace(&mut request.body, futures_util::stream::empty().boxed());
        ctx.time_async(Stage::Decode, self.keep_body(&place, body))
            .await?;
        let asked = IngestRequest::of(&request, place.bytes());
        self.accept_job(ctx, place, (JobRequest::Ingest(asked), None))
            .await
    }

    /// Takes the place of a job that is about to be accepted.
    pub(super) async fn place_job(&self) -> Result<Place, Error> {
        let id = self.ids.next_ids(1).first().copied();
        let id = id.ok_or_else(|| StorageError::internal("no id"))?;
        let place = self.jobs.take_place(id)?;
        self.prepare_jobs().await?;
        Ok(place)
    }

    /// Stores a job, which runs from then on; with what it does to a schema.
    pub(super) async fn accept_job(
        &self,
        ctx: &Context,
        place: Place,
        (asked, change): (JobRequest, Option<SchemaChange>),
    ) -> Result<Job, Error> {
        let spool = self.jobs.spool_name().await?;
        let head = Head::new((place.id(), self.clock.now()), spool, asked);
        let (job, record) = (head.job(None), head.write()?);
        // However this goes on, and also where nobody waits for it any more, the launch sees to
        // it that the job is run where its record is stored.
        let launch = Launch::new(self, place, (head, change));
        let create = vec![Operation::Create(record)];
        match self.execute(ctx, create, Done::Accepted(&job)).await {
            Ok(_) => launch.go(),
            Err(error @ StorageError::Unavailable(Unavailable::CommitUnknown)) => {
                return Err(error.into());
            }
            Err(error) => {
                launch.call_off().await;
                return Err(error.into());
            }
        }
        Ok(job)
    }

    async fn keep_body(&self, place: &Place, mut body: ByteStream) -> Result<(), Error> {
        let mut file = self.jobs.create(place.id(), SpoolPart::Body).await?;
        while let Some(piece) = body.next().await {
            let piece = piece?;
            place.take(piece.len() as u64)?;
            file.write(&piece).await?;
        }
        Ok(file.finish().await?)
    }
}
