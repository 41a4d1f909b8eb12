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
use crate::copy::{HEADER, TRAILER};
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
        let transaction = Transaction::new(pool.get().await?, distribution);
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
        let answer = self.take(&batch).await;
        self.note(answer)
    }

    async fn commit(mut self: Box<Self>) -> Result<WriteReceipt, StorageError> {
        self.check_usable()?;
        let answer = self.write().await;
        let mut receipt = self.note(answer)?;
        let Self {
            options,
            transaction,
            health,
            ..
        } = *self;
        if receipt.refused > 0 && matches!(options.on_refusal, OnRefusal::Undo { .. }) {
            transaction.roll_back().await;
            return Ok(receipt);
        }
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
        let records = batch.records();
        let append_only = self.schema.schema().append_only;
        let given = stage::has_given(&self.options.mode).then(|| self.gives.note(batch));
        let mut columns = records
            .columns()
            .iter()
            .enumerate()
            .filter(|(index, _)| {
                !(append_only && [system::UPDATED_AT, system::VERSION].contains(index))
            })
            .map(|(_, array)| Column::new(&**array))
            .collect::<Result<Vec<_>, _>>()?;
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
                receipt = self.settle(copied).await?;
            } else {
                receipt.inserted = copied;
            }
        }
        let stored = self
            .transaction
            .stored_versions(&[self.schema.name()])
            .await;
        let stored = stored.map_err(|e| self.map(e))?;
        let wanted = vec![(self.schema.name().to_owned(), self.schema.version())];
        check_versions(&wanted, &stored)?;
        Ok(receipt)
    }

    async fn settle(&self, records: u64) -> Result<WriteReceipt, StorageError> {
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
