//! Records with keys: from the temporary table into the schema's own.
//!
//! The outcome is as if the records had come one after the other. Where a key comes several
//! times, the last one's properties stand, and each one counts as a version.

use std::fmt::Write;

use staffa_domain::{SchemaSnapshot, WriteMode, WriteReceipt};

use crate::error;
use crate::options::Distribution;
use crate::pool::Connection;
use crate::sql::names;

/// The temporary table; `place` numbers its records from one.
pub(super) const STAGE: &str = "pg_temp.staffa_stage";

const SAVE: &str = "SAVEPOINT merge";
const BACK: &str = "ROLLBACK TO SAVEPOINT merge";

/// The statement that makes the temporary table.
pub(super) fn stage(schema: &SchemaSnapshot) -> String {
    format!(
        "CREATE TEMPORARY TABLE staffa_stage (LIKE {}, place bigint GENERATED ALWAYS AS IDENTITY) \
         ON COMMIT DROP",
        names::table(schema)
    )
}

/// Why a merge failed. Records are numbered from zero as they were sent.
#[derive(Debug)]
pub(super) enum Fault {
    /// A record has no match.
    Missing(Option<u64>),
    /// A unique value is taken.
    Taken(Vec<String>, Option<u64>),
    /// Anything else.
    Server(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

/// A merge within a session's transaction.
pub(super) struct Merge<'a> {
    pub(super) schema: &'a SchemaSnapshot,
    pub(super) client: &'a Connection,
    /// How many records the temporary table holds.
    pub(super) records: u64,
    pub(super) distribution: Distribution,
}

impl Merge<'_> {
    pub(super) async fn run(&self, mode: &WriteMode) -> Result<WriteReceipt, Fault> {
        self.client
            .batch_execute(&format!("ANALYZE {STAGE}; {SAVE}"))
            .await?;
        let answer = match mode {
            WriteMode::Insert => return Ok(WriteReceipt::default()),
            WriteMode::Upsert { key } => self.upsert(key).await,
            WriteMode::Ignore { key } => self.ignore(key).await,
            WriteMode::Update { key, set } => self.update(key, set).await,
            WriteMode::Delete { key } => self.delete(key).await,
        };
        match answer {
            Err(Fault::Server(error)) => Err(self.explain(error, mode).await),
            answer => answer,
        }
    }

    async fn upsert(&self, key: &[usize]) -> Result<WriteReceipt, Fault> {
        let all: Vec<usize> = (0..self.schema.schema().properties.len()).collect();
        let columns = names::columns(self.schema).join(", ");
        let mut sql = format!(
            "WITH {latest}, merged AS (INSERT INTO {table} AS held ({columns}) \
             SELECT {columns} FROM latest ORDER BY place \
             ON CONFLICT ({key}) DO UPDATE SET updated_at = excluded.updated_at, \
             version = held.version + excluded.version",
            latest = self.latest(key),
            table = names::table(self.schema),
            key = self.names(key).join(", "),
        );
        for position in self.settable(&all, key) {
            let name = names::property(self.schema, position);
            // Writing to a string cannot fail.
            let _ = write!(sql, ", {name} = excluded.{name}");
        }
        // A row that no transaction has touched before is new.
        sql.push_str(
            " RETURNING (xmax = 0) AS added) \
             SELECT count(*) FILTER (WHERE added) FROM merged",
        );
        let inserted = self.number(&sql).await?;
        Ok(WriteReceipt {
            inserted,
            updated: self.records - inserted,
            ..WriteReceipt::default()
        })
    }

    async fn ignore(&self, key: &[usize]) -> Result<WriteReceipt, Fault> {
        let columns = names::columns(self.schema).join(", ");
        // The rows that are added are counted, not those that the server says it inserted:
        // for a cluster these are all that it looked at.
        let sql = format!(
            "WITH first AS (SELECT * FROM (SELECT *, row_number() OVER \
             (PARTITION BY {group} ORDER BY place) AS turn FROM {STAGE}) AS given \
             WHERE turn = 1), added AS (INSERT INTO {table} ({columns}) \
             SELECT {columns} FROM first ORDER BY place ON CONFLICT ({key}) DO NOTHING \
             RETURNING 1) SELECT count(*) FROM added",
            group = self.group(key),
            table = names::table(self.schema),
            key = self.names(key).join(", "),
        );
        let inserted = self.number(&sql).await?;
        Ok(WriteReceipt {
            inserted,
            ignored: self.records - inserted,
            ..WriteReceipt::default()
        })
    }

    async fn update(&self, key: &[usize], set: &[usize]) -> Result<WriteReceipt, Fault> {
        let mut sql = format!(
            "WITH {}, merged AS (UPDATE {} AS held SET updated_at = latest.updated_at, \
             version = held.version + latest.version",
            self.latest(key),
            names::table(self.schema),
        );
        for position in self.settable(set, key) {
            let name = names::property(self.schema, position);
            let _ = write!(sql, ", {name} = latest.{name}");
        }
        let _ = write!(
            sql,
            " FROM latest WHERE {} RETURNING latest.version AS records) \
             SELECT coalesce(sum(records), 0)::bigint FROM merged",
            self.matches(key, "latest"),
        );
        let updated = self.number(&sql).await?;
        if updated < self.records {
            return Err(Fault::Missing(self.first_missing(key, false).await?));
        }
        Ok(WriteReceipt {
            updated,
            ..WriteReceipt::default()
        })
    }

    async fn delete(&self, key: &[usize]) -> Result<WriteReceipt, Fault> {
        let sql = format!(
            "DELETE FROM {} AS held USING {STAGE} AS given WHERE {}",
            names::table(self.schema),
            self.matches(key, "given"),
        );
        let deleted = self.client.execute(&sql, &[]).await?;
        if deleted < self.records {
            // Gone are also those that were found: look at them as they were.
            self.client.batch_execute(BACK).await?;
            return Err(Fault::Missing(self.first_missing(key, true).await?));
        }
        Ok(WriteReceipt {
            deleted,
            ..WriteReceipt::default()
        })
    }

    /// The first record without a match; one that comes again has none where `once`.
    async fn first_missing(&self, key: &[usize], once: bool) -> Result<Option<u64>, Fault> {
        let again = if once { "turn > 1 OR " } else { "" };
        let keys = self.names(key).join(", ");
        // Joins of common tables, which Citus can run where it cannot correlate.
        let sql = format!(
            "WITH given AS MATERIALIZED (SELECT {keys}, place, \
             row_number() OVER (PARTITION BY {keys} ORDER BY place) AS turn FROM {STAGE}), \
             known AS (SELECT given.place FROM {} AS held JOIN given ON {}) \
             SELECT min(place) - 1 FROM given \
             WHERE {again}place NOT IN (SELECT place FROM known)",
            names::table(self.schema),
            self.matches(key, "given"),
        );
        self.place(&sql).await
    }

    /// Finds the record that took a unique value twice: a record of another key has it.
    async fn explain(&self, error: tokio_postgres::Error, mode: &WriteMode) -> Fault {
        let properties = error::unique_properties(&error, self.schema);
        let (Some(properties), Some(key)) = (properties, super::key_of(mode)) else {
            return Fault::Server(error);
        };
        if self.client.batch_execute(BACK).await.is_err() {
            return Fault::Server(error);
        }
        let place = self.first_taken(&properties, key).await.unwrap_or(None);
        Fault::Taken(properties, place)
    }

    async fn first_taken(
        &self,
        properties: &[String],
        key: &[usize],
    ) -> Result<Option<u64>, Fault> {
        let same = |left: &str, right: &str| -> String {
            let pairs = properties.iter().map(|name| {
                let name = match self.schema.position(name) {
                    Some(position) => names::property(self.schema, position),
                    None => "id".to_owned(),
                };
                format!("{left}.{name} = {right}.{name}")
            });
            pairs.collect::<Vec<_>>().join(" AND ")
        };
        let other = |left: &str, right: &str| -> String {
            let pairs = self.names(key).into_iter();
            let pairs = pairs.map(|name| format!("{left}.{name} IS DISTINCT FROM {right}.{name}"));
            pairs.collect::<Vec<_>>().join(" OR ")
        };
        let sql = format!(
            "WITH given AS MATERIALIZED (SELECT * FROM {STAGE}), \
             taken AS (SELECT given.place FROM {} AS held JOIN given ON {} WHERE {} \
             UNION ALL SELECT given.place FROM given JOIN given AS earlier \
             ON earlier.place < given.place AND {} WHERE {}) \
             SELECT min(place) - 1 FROM taken",
            names::table(self.schema),
            same("held", "given"),
            other("held", "given"),
            same("earlier", "given"),
            other("earlier", "given"),
        );
        self.place(&sql).await
    }

    /// What records of one key have in common. A null equals nothing, so a record with one in
    /// its key stands alone.
    fn group(&self, key: &[usize]) -> String {
        let mut parts = self.names(key);
        let nulls: Vec<String> = parts.iter().map(|name| format!("{name} IS NULL")).collect();
        parts.push(format!("CASE WHEN {} THEN place END", nulls.join(" OR ")));
        parts.join(", ")
    }

    /// A common table `latest`: of each key the first record's identity, the last one's
    /// properties, and as version how many there are.
    fn latest(&self, key: &[usize]) -> String {
        let group = self.group(key);
        let properties: Vec<String> = (0..self.schema.schema().properties.len())
            .map(|position| format!(", {}", names::property(self.schema, position)))
            .collect();
        let properties = properties.concat();
        format!(
            "latest AS (SELECT first_id AS id, first_created_at AS created_at, updated_at, \
             records AS version{properties}, first_place AS place FROM (SELECT *, \
             first_value(id) OVER turns AS first_id, \
             first_value(created_at) OVER turns AS first_created_at, \
             first_value(place) OVER turns AS first_place, \
             count(*) OVER (PARTITION BY {group}) AS records, \
             lead(place) OVER turns IS NULL AS is_last \
             FROM {STAGE} WINDOW turns AS (PARTITION BY {group} ORDER BY place)) AS given \
             WHERE is_last)"
        )
    }

    fn names(&self, positions: &[usize]) -> Vec<String> {
        positions
            .iter()
            .map(|position| names::property(self.schema, *position))
            .collect()
    }

    fn matches(&self, key: &[usize], other: &str) -> String {
        let pairs = self.names(key).into_iter();
        pairs
            .map(|name| format!("held.{name} = {other}.{name}"))
            .collect::<Vec<_>>()
            .join(" AND ")
    }

    /// What an update may set: the key stays as it is, and so does what distributes.
    fn settable(&self, positions: &[usize], key: &[usize]) -> Vec<usize> {
        let schema = self.schema.schema();
        let fixed = match (self.distribution, &schema.distributed_by) {
            (Distribution::Citus, Some(name)) => schema.position(name.as_str()),
            _ => None,
        };
        let mut positions = positions.to_vec();
        positions.retain(|position| !key.contains(position) && Some(*position) != fixed);
        positions
    }

    async fn number(&self, sql: &str) -> Result<u64, Fault> {
        let row = self.client.query_one(sql, &[]).await?;
        Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
    }

    async fn place(&self, sql: &str) -> Result<Option<u64>, Fault> {
        let row = self.client.query_one(sql, &[]).await?;
        let place: Option<i64> = row.try_get(0)?;
        Ok(place.map(i64::unsigned_abs))
    }
}
