//! Where records come from: a COPY, or the rows of a query that has parameters.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio_postgres::types::Type;
use tokio_postgres::{CopyOutStream, RowStream};

use staffa_domain::StorageError;

use crate::copy::Param;
use crate::copy::decode::{BatchBuilder, CopyDecoder};
use crate::pool::Connection;
use crate::sql::Query;

/// Why no more records come.
pub(crate) enum Fault {
    /// The server says so, or is gone.
    Server(tokio_postgres::Error),
    /// What came cannot be read.
    Codec(StorageError),
}

/// A query under way.
pub(crate) enum Source {
    /// Binary COPY: the cheapest way out, but it takes no parameters.
    Copy(Pin<Box<CopyOutStream>>, CopyDecoder),
    /// Result rows.
    Rows(Pin<Box<RowStream>>),
}

impl Source {
    /// Sends a query with its parameters in one go. It is not prepared: the planner is to see
    /// the values, and questions differ too much to keep.
    pub(crate) async fn rows(
        client: &Connection,
        query: &Query,
    ) -> Result<Self, tokio_postgres::Error> {
        let params = query.params.iter();
        let params: Vec<(&Param, Type)> =
            params.map(|param| (param, param.kind().clone())).collect();
        let rows = client.query_typed_raw(&query.sql, params).await?;
        Ok(Self::Rows(Box::pin(rows)))
    }

    /// Begins a query with a long answer.
    pub(crate) async fn long(
        client: &Connection,
        query: &Query,
    ) -> Result<Self, tokio_postgres::Error> {
        if !query.params.is_empty() {
            return Self::rows(client, query).await;
        }
        let sql = format!("COPY ({}) TO STDOUT (FORMAT binary)", query.sql);
        let copy: CopyOutStream = client.copy_out(&sql).await?;
        Ok(Self::Copy(Box::pin(copy), CopyDecoder::default()))
    }

    /// Adds what comes next to a batch; false at the end.
    pub(crate) async fn pull(&mut self, batch: &mut BatchBuilder) -> Result<bool, Fault> {
        let codec = |error: crate::copy::CodecError| Fault::Codec(error.into());
        match self {
            Self::Rows(rows) => match rows.try_next().await.map_err(Fault::Server)? {
                Some(row) => batch.push(&row).map_err(codec)?,
                None => return Ok(false),
            },
            Self::Copy(copy, decoder) => {
                let chunk: Option<Bytes> = copy.try_next().await.map_err(Fault::Server)?;
                match chunk {
                    Some(chunk) => decoder.push(&chunk, batch).map_err(codec)?,
                    None => return Ok(false),
                }
            }
        }
        Ok(true)
    }
}
