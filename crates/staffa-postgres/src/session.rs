//! Bulk writes: one transaction on a connection of its own, fed by binary COPY.
//!
//! New records go straight into their table. Where records may meet others of the same key, or
//! some may be left out, they go into a temporary table first, and are merged at the commit.

mod merge;
mod origins;
mod settle;
mod stage;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;

use staffa_domain::error::Unavailable;
use staffa_domain::ports::WriteSession;
use staffa_domain::record::system;
use staffa_domain::{
    OnRefusal, SchemaSnapshot, StampedBatch, StorageError, WriteOptions, WriteReceipt,
};

use crate::copy::encode::{Column, put_row};
use crate::copy::{CodecError, HEADER, TRAILER};
use crate::error;
use crate::monitor::Health;
use crate::options::Distribution;
use crate::pool::Pool;
use crate::sql::names;
use crate::transaction::{Transaction, Versions, check_versions};
use origins::Origins;
use stage::Gives;

/// How many bytes of records travel together.
const CHUNK: usize = 256 * 1024;
/// How long a commit may take: a standby that must have it first has all of the bulk to take.
const COMMIT_PATIENCE: Duration = Duration::from_secs(600);

/// Opens a session on a connection of the pool, on another one where that is lost.
pub(crate) async fn begin(
    pool: &Pool,
    (schema, options): (&Arc<SchemaSnapshot>, WriteOptions),
    (health, distribution): (Arc<Health>, Distribution),
) -> Result<Box<dyn WriteSession>, StorageError> {
    let mut again = 0;
    let (transaction, stored) = loop {
        let transaction =
            Transaction::new(pool.get_within(options.turn_within).await?, distribution);
        match start(&transaction, schema).await {
            Ok(stored) => break (transaction, stored),
            // After a restart of the server every connection of the pool may be a dead one.
            Err(error) if error::is_lost(&error) && again <= pool.size() => again += 1,
            Err(error) => return Err(error::plain(error)),
        }
    };
    let wanted = vec![(schema.name().to_owned(), schema.version())];
    if let Err(error) = check_versions(&wanted, &stored) {
        transaction.roll_back().await;
        return Err(error);
    }
    Ok(Box::new(Session {
        schema: Arc::clone(schema),
        options,
        transaction,
        copy: None,
        buffer: BytesMut::new(),
        origins: Origins::default(),
        gives: Gives::default(),
        failed: false,
        settled: None,
        health,
        distribution,
    }))
}

async fn start(
    transaction: &Transaction,
    schema: &SchemaSnapshot,
) -> Result<Versions, tokio_postgres::Error> {
    let names = [schema.name()];
    let begin = transaction.begin(false);
    let (begun, stored) = tokio::join!(begin, transaction.stored_versions(&names));
    begun.and(stored)
}

struct Session {
    schema: Arc<SchemaSnapshot>,
    options: WriteOptions,
    transaction: Transaction,
    copy: Option<Pin<Box<CopyInSink<Bytes>>>>,
    buffer: BytesMut,
    /// Where each record sent stood in the request.
    origins: Origins,
    gives: Gives,
    failed: bool,
    /// What the session did, once that is known.
    settled: Option<WriteReceipt>,
    health: Arc<Health>,
    distribution: Distribution,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("schema", &self.schema.name())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl WriteSession for Session {
    async fn append(&mut self, batch: StampedBatch) -> Result<(), StorageError> {
        self.check_usable()?;
        if self.settled.is_some() {
            return Err(StorageError::internal("the session is settled"));
        }
        let answer = self.take(&batch).await;
        self.note(answer)
    }

    async fn settle(&mut self) -> Result<WriteReceipt, StorageError> {
        self.check_usable()?;
        if let Some(settled) = &self.settled {
            return Ok(settled.clone());
        }
        let answer = self.write().await;
        let receipt = self.note(answer)?;
        self.settled = Some(receipt.clone());
        Ok(receipt)
    }

    async fn commit(
        mut self: Box<Self>,
        also: Vec<StampedBatch>,
    ) -> Result<WriteReceipt, StorageError> {
        let mut receipt = self.settle().await?;
        if receipt.refused > 0 && matches!(self.options.on_refusal, OnRefusal::Undo { .. }) {
            self.transaction.roll_back().await;
            return Ok(receipt);
        }
        let answer = self.complete(&also).await;
        self.note(answer)?;
        let Self {
            transaction,
            health,
            ..
        } = *self;
        match transaction.commit(COMMIT_PATIENCE).await {
            Ok(commit) => {
                receipt.commit = health.note_commit(commit);
                Ok(receipt)
            }
            Err(error) => {
                let error = error.into();
                health.note_error(&error);
                Err(error)
            }
        }
    }
}

impl Session {
    fn check_usable(&self) -> Result<(), StorageError> {
        if self.failed {
            return Err(StorageError::internal("the session has failed before"));
        }
        Ok(())
    }

    fn note<T>(&mut self, answer: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(error) = &answer {
            self.failed = true;
            self.transaction.poison();
            self.health.note_error(error);
        }
        answer
    }

    async fn take(&mut self, batch: &StampedBatch) -> Result<(), StorageError> {
        self.options.mode.check_batch(&self.schema, batch)?;
        if self.copy.is_none() {
            self.start_copy().await?;
        }
        let given = stage::has_given(&self.options.mode).then(|| self.gives.note(batch));
        let mut columns = stored_columns(batch)?;
        if let Some(given) = &given {
            columns.push(Column::new(given)?);
        }
        for row in 0..batch.len() {
            self.origins.push(batch.origin(row));
            put_row(&columns, row, &mut self.buffer);
            if self.buffer.len() >= CHUNK {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn start_copy(&mut self) -> Result<(), StorageError> {
        let mut columns = names::columns(&self.schema);
        let target = if stage::is_needed(&self.schema, &self.options) {
            let sql = stage::create(&self.schema);
            let made = self.transaction.client().batch_execute(&sql).await;
            made.map_err(|e| self.map(e))?;
            if stage::has_given(&self.options.mode) {
                columns.push(stage::GIVEN.to_owned());
            }
            stage::STAGE.to_owned()
        } else {
            names::table(&self.schema)
        };
        let columns = columns.join(", ");
        let sql = format!("COPY {target} ({columns}) FROM STDIN (FORMAT binary)");
        let copy = self
            .transaction
            .client()
            .copy_in(&sql)
            .await
            .map_err(|e| self.map(e))?;
        self.copy = Some(Box::pin(copy));
        self.buffer.extend_from_slice(HEADER);
        Ok(())
    }

    /// Hands the buffer to the connection; waits while that is full.
    async fn send(&mut self) -> Result<(), StorageError> {
        let chunk = self.buffer.split().freeze();
        let Some(copy) = &mut self.copy else {
            return Ok(());
        };
        match copy.feed(chunk).await {
            Ok(()) => Ok(()),
            // The connection is gone; what the server said last, if anything, says why.
            Err(closed) => {
                let said = copy.as_mut().finish().await.err();
                Err(self.map(said.unwrap_or(closed)))
            }
        }
    }

    /// Ends the COPY and carries out what the mode asks for, up to the commit.
    async fn write(&mut self) -> Result<WriteReceipt, StorageError> {
        let mut receipt = WriteReceipt::default();
        if self.copy.is_some() {
            self.buffer.extend_from_slice(TRAILER);
            self.send().await?;
        }
        if let Some(mut copy) = self.copy.take() {
            let copied = copy.as_mut().finish().await.map_err(|e| self.map(e))?;
            if stage::is_needed(&self.schema, &self.options) {
                receipt = self.merge(copied).await?;
            } else {
                receipt.inserted = copied;
            }
        }
        Ok(receipt)
    }

    /// Adds what belongs to the same commit, and makes sure that no schema has moved.
    async fn complete(&self, also: &[StampedBatch]) -> Result<(), StorageError> {
        let mut wanted = vec![(self.schema.name().to_owned(), self.schema.version())];
        for batch in also {
            let schema = batch.schema();
            self.add(batch).await.map_err(|fault| match fault {
                AddFault::Codec(error) => error.into(),
                AddFault::Server(error) if error::is_lost(&error) => {
                    StorageError::Unavailable(Unavailable::Reopening)
                }
                AddFault::Server(error) => error::of_schema(error, schema),
            })?;
            wanted.push((schema.name().to_owned(), schema.version()));
        }
        let names: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let stored = self.transaction.stored_versions(&names).await;
        check_versions(&wanted, &stored.map_err(|e| self.map(e))?)
    }

    async fn add(&self, batch: &StampedBatch) -> Result<(), AddFault> {
        let schema = batch.schema();
        let columns = names::columns(schema).join(", ");
        let table = names::table(schema);
        let sql = format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)");
        let columns = stored_columns(batch)?;
        let mut rows = BytesMut::from(HEADER);
        for row in 0..batch.len() {
            put_row(&columns, row, &mut rows);
        }
        rows.extend_from_slice(TRAILER);
        let copy = self.transaction.client().copy_in(&sql).await?;
        let mut copy: Pin<Box<CopyInSink<Bytes>>> = Box::pin(copy);
        let fed = copy.feed(rows.freeze()).await;
        // What the server said last, if anything, says why it takes no more.
        copy.as_mut().finish().await?;
        Ok(fed?)
    }

    async fn merge(&self, records: u64) -> Result<WriteReceipt, StorageError> {
        let settle = settle::Settle {
            schema: &self.schema,
            client: self.transaction.client(),
            options: &self.options,
            gives: &self.gives,
            origins: &self.origins,
            records,
            distribution: self.distribution,
        };
        match settle.run().await {
            Ok(receipt) => Ok(receipt),
            Err(settle::Fault::Refused(error)) => Err(error),
            Err(settle::Fault::Server(error)) => Err(self.map(error)),
        }
    }

    fn map(&self, error: tokio_postgres::Error) -> StorageError {
        if error::is_lost(&error) {
            return StorageError::Unavailable(Unavailable::Reopening);
        }
        let row = error::copy_line(&error).and_then(|line| line.checked_sub(1));
        match error::of_schema(error, &self.schema) {
            StorageError::UniqueViolation { mut violation } => {
                if let Some((index, line)) = row.and_then(|row| self.origins.get(row)) {
                    violation.index = Some(index);
                    violation.line = line;
                }
                StorageError::UniqueViolation { violation }
            }
            other => other,
        }
    }
}

/// Why further records were not added.
enum AddFault {
    Codec(CodecError),
    Server(tokio_postgres::Error),
}

impl From<CodecError> for AddFault {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl From<tokio_postgres::Error> for AddFault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

/// The arrays of the columns that the table of the batch's schema has.
fn stored_columns(batch: &StampedBatch) -> Result<Vec<Column<'_>>, CodecError> {
    let append_only = batch.schema().schema().append_only;
    let arrays = batch.records().columns().iter().enumerate();
    arrays
        .filter(|(index, _)| {
            !(append_only && [system::UPDATED_AT, system::VERSION].contains(index))
        })
        .map(|(_, array)| Column::new(&**array))
        .collect()
}
