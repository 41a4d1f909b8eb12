//! Bulk writes: one transaction on a connection of its own, fed by binary COPY.
//!
//! New records go straight into their table. Where records may meet others of the same key
//! they go into a temporary table first, and are merged at the commit.

mod merge;
mod origins;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;

use staffa_domain::error::{Unavailable, UniqueViolation};
use staffa_domain::ports::WriteSession;
use staffa_domain::record::system;
use staffa_domain::{SchemaSnapshot, StampedBatch, StorageError, WriteMode, WriteReceipt};

use crate::copy::encode::{Column, put_row};
use crate::copy::{HEADER, TRAILER};
use crate::error;
use crate::monitor::Health;
use crate::options::Distribution;
use crate::pool::Pool;
use crate::sql::names;
use crate::transaction::{Transaction, Versions, check_versions};
use origins::Origins;

/// How many bytes of records travel together.
const CHUNK: usize = 256 * 1024;
/// How long a commit may take: a standby that must have it first has all of the bulk to take.
const COMMIT_PATIENCE: Duration = Duration::from_secs(600);

/// Refuses a mode that the schema cannot have.
pub(crate) fn check_mode(schema: &SchemaSnapshot, mode: &WriteMode) -> Result<(), StorageError> {
    let Some(key) = key_of(mode) else {
        return Ok(());
    };
    if schema.schema().append_only {
        let message = "an append_only schema takes new records only";
        return Err(StorageError::Unsupported(message.to_owned()));
    }
    let sorted = |positions: &[usize]| {
        let mut positions = positions.to_vec();
        positions.sort_unstable();
        positions
    };
    let groups = schema.schema().unique_groups();
    if key.is_empty() || !groups.iter().any(|group| sorted(group) == sorted(key)) {
        let message = "a key must be the primary key or a unique property";
        return Err(StorageError::Unsupported(message.to_owned()));
    }
    Ok(())
}

fn key_of(mode: &WriteMode) -> Option<&[usize]> {
    match mode {
        WriteMode::Insert => None,
        WriteMode::Upsert { key }
        | WriteMode::Ignore { key }
        | WriteMode::Update { key, .. }
        | WriteMode::Delete { key } => Some(key),
    }
}

/// Opens a session on a connection of the pool, on another one where that is lost.
pub(crate) async fn begin(
    pool: &Pool,
    (schema, mode): (&Arc<SchemaSnapshot>, WriteMode),
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
        mode,
        transaction,
        copy: None,
        buffer: BytesMut::new(),
        origins: Origins::default(),
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
    mode: WriteMode,
    transaction: Transaction,
    copy: Option<Pin<Box<CopyInSink<Bytes>>>>,
    buffer: BytesMut,
    /// The index in the request of each record sent.
    origins: Origins,
    failed: bool,
    health: Arc<Health>,
    distribution: Distribution,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("schema", &self.schema.name())
            .field("mode", &self.mode)
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
        if batch.schema().version() != self.schema.version() {
            let schema = self.schema.name().to_owned();
            return Err(StorageError::SchemaMoved { schema });
        }
        if self.copy.is_none() {
            self.start_copy().await?;
        }
        let records = batch.records();
        let append_only = self.schema.schema().append_only;
        let columns = records
            .columns()
            .iter()
            .enumerate()
            .filter(|(index, _)| {
                !(append_only && [system::UPDATED_AT, system::VERSION].contains(index))
            })
            .map(|(_, array)| Column::new(&**array))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.len() {
            self.origins.push(batch.origin(row).0);
            put_row(&columns, row, &mut self.buffer);
            if self.buffer.len() >= CHUNK {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn start_copy(&mut self) -> Result<(), StorageError> {
        let target = match &self.mode {
            WriteMode::Insert => names::table(&self.schema),
            _ => {
                let sql = merge::stage(&self.schema);
                self.transaction
                    .client()
                    .batch_execute(&sql)
                    .await
                    .map_err(|e| self.map(e))?;
                merge::STAGE.to_owned()
            }
        };
        let columns = names::columns(&self.schema).join(", ");
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
            match key_of(&self.mode) {
                None => receipt.inserted = copied,
                Some(_) => receipt = self.merge(copied).await?,
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

    async fn merge(&self, copied: u64) -> Result<WriteReceipt, StorageError> {
        let merge = merge::Merge {
            schema: &self.schema,
            client: self.transaction.client(),
            records: copied,
            distribution: self.distribution,
        };
        match merge.run(&self.mode).await {
            Ok(receipt) => Ok(receipt),
            Err(merge::Fault::Missing(row)) => {
                let index = row
                    .and_then(|row| self.origins.get(row))
                    .unwrap_or(u64::MAX);
                let operation = usize::try_from(index).unwrap_or(usize::MAX);
                Err(StorageError::RecordNotFound { operation })
            }
            Err(merge::Fault::Taken(properties, row)) => Err(StorageError::UniqueViolation {
                violation: UniqueViolation {
                    index: row.and_then(|row| self.origins.get(row)),
                    properties,
                },
            }),
            Err(merge::Fault::Server(error)) => Err(self.map(error)),
        }
    }

    fn map(&self, error: tokio_postgres::Error) -> StorageError {
        if error::is_lost(&error) {
            return StorageError::Unavailable(Unavailable::Reopening);
        }
        let row = error::copy_line(&error).and_then(|line| line.checked_sub(1));
        match error::of_schema(error, &self.schema) {
            StorageError::UniqueViolation { mut violation } => {
                violation.index = row.and_then(|row| self.origins.get(row));
                StorageError::UniqueViolation { violation }
            }
            other => other,
        }
    }
}
