//! Changes by key: from the temporary table into the schema's own.
//!
//! The outcome is as if the records had come one after the other. Where a key comes several
//! times, the last one's properties stand, and each one counts as a version.

use std::fmt::Write;

use staffa_domain::{SchemaSnapshot, WriteMode, WriteReceipt};

use super::stage::{GIVEN, Gives, Presence, REFUSED, STAGE};
use crate::options::Distribution;
use crate::pool::Connection;
use crate::sql::names;

/// Where the loop of [`Merge::run_one_by_one`] leaves its numbers.
const INSERTED: &str = "staffa.inserted";
const UPDATED: &str = "staffa.updated";

/// A merge within a session's transaction.
pub(super) struct Merge<'a> {
    pub(super) schema: &'a SchemaSnapshot,
    pub(super) client: &'a Connection,
    pub(super) gives: &'a Gives,
    /// How many records the temporary table holds; each has a match where it must have one.
    pub(super) records: u64,
    pub(super) distribution: Distribution,
}

impl Merge<'_> {
    /// Carries all records out at once. Fails where a value is taken.
    pub(super) async fn run(
        &self,
        mode: &WriteMode,
    ) -> Result<WriteReceipt, tokio_postgres::Error> {
        match mode {
            WriteMode::Insert | WriteMode::Ignore { .. } => Ok(WriteReceipt::default()),
            WriteMode::Upsert { key } => self.upsert(key).await,
            WriteMode::Update { key } => self.update(key).await,
            WriteMode::Delete { key } => self.delete(key).await,
        }
    }

    /// Carries the records out one after the other, and notes those whose values are taken.
    pub(super) async fn run_one_by_one(
        &self,
        mode: &WriteMode,
    ) -> Result<WriteReceipt, tokio_postgres::Error> {
        let columns = names::columns(self.schema).join(", ");
        let table = names::table(self.schema);
        let statement = match mode {
            WriteMode::Upsert { key } => format!(
                "INSERT INTO {table} AS held ({columns}) \
                 SELECT {columns} FROM {STAGE} WHERE place = turn.place {} \
                 RETURNING (xmax = 0) INTO added",
                self.on_conflict(key),
            ),
            WriteMode::Update { key } => format!(
                "UPDATE {table} AS held SET {} \
                 FROM (SELECT *{} FROM {STAGE} WHERE place = turn.place) AS latest \
                 WHERE {}; added := false",
                self.assignments(key),
                self.marks(key, "", ""),
                self.matches(key, "latest"),
            ),
            WriteMode::Insert | WriteMode::Ignore { .. } | WriteMode::Delete { .. } => {
                return Ok(WriteReceipt::default());
            }
        };
        let sql = format!(
            "CREATE UNIQUE INDEX ON {STAGE} (place); \
             DO $loop$ DECLARE turn record; added boolean; broken text; \
             inserted bigint := 0; updated bigint := 0; BEGIN \
             FOR turn IN SELECT place FROM {STAGE} ORDER BY place LOOP BEGIN \
             {statement}; \
             IF added THEN inserted := inserted + 1; ELSE updated := updated + 1; END IF; \
             EXCEPTION WHEN unique_violation THEN \
             GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME; \
             INSERT INTO {REFUSED} (place, why) VALUES (turn.place, broken); \
             END; END LOOP; \
             PERFORM set_config('{INSERTED}', inserted::text, true); \
             PERFORM set_config('{UPDATED}', updated::text, true); \
             END $loop$"
        );
        self.client.batch_execute(&sql).await?;
        let sql = format!(
            "SELECT current_setting('{INSERTED}')::bigint, current_setting('{UPDATED}')::bigint"
        );
        let row = self.client.query_one(&sql, &[]).await?;
        Ok(WriteReceipt {
            inserted: row.try_get::<_, i64>(0)?.unsigned_abs(),
            updated: row.try_get::<_, i64>(1)?.unsigned_abs(),
            ..WriteReceipt::default()
        })
    }

    async fn upsert(&self, key: &[usize]) -> Result<WriteReceipt, tokio_postgres::Error> {
        let columns = names::columns(self.schema).join(", ");
        // A row that no transaction has touched before is new.
        let sql = format!(
            "WITH {latest}, merged AS (INSERT INTO {table} AS held ({columns}) \
             SELECT {columns} FROM latest ORDER BY place {on_conflict} \
             RETURNING (xmax = 0) AS added) \
             SELECT count(*) FILTER (WHERE added) FROM merged",
            latest = self.latest(key),
            table = names::table(self.schema),
            on_conflict = self.on_conflict(key),
        );
        let inserted = self.number(&sql).await?;
        Ok(WriteReceipt {
            inserted,
            updated: self.records - inserted,
            ..WriteReceipt::default()
        })
    }

    fn on_conflict(&self, key: &[usize]) -> String {
        let mut sql = format!(
            "ON CONFLICT ({}) DO UPDATE SET updated_at = excluded.updated_at, \
             version = held.version + excluded.version",
            self.names(key).join(", "),
        );
        for position in self.settable(key) {
            let name = names::property(self.schema, position);
            // Writing to a string cannot fail.
            let _ = write!(sql, ", {name} = excluded.{name}");
        }
        sql
    }

    async fn update(&self, key: &[usize]) -> Result<WriteReceipt, tokio_postgres::Error> {
        let sql = format!(
            "WITH {}, merged AS (UPDATE {} AS held SET {} FROM latest WHERE {} \
             RETURNING latest.version AS records) \
             SELECT coalesce(sum(records), 0)::bigint FROM merged",
            self.latest(key),
            names::table(self.schema),
            self.assignments(key),
            self.matches(key, "latest"),
        );
        Ok(WriteReceipt {
            updated: self.number(&sql).await?,
            ..WriteReceipt::default()
        })
    }

    /// What an update sets: what all records give, and what a record's mark says it gives.
    fn assignments(&self, key: &[usize]) -> String {
        let mut sql =
            "updated_at = latest.updated_at, version = held.version + latest.version".to_owned();
        for position in self.settable(key) {
            let name = names::property(self.schema, position);
            let _ = match self.gives.of(position) {
                Presence::Never => Ok(()),
                Presence::Always => write!(sql, ", {name} = latest.{name}"),
                Presence::Sometimes => write!(
                    sql,
                    ", {name} = CASE latest.mark_{name} WHEN '1' THEN latest.{name} \
                     ELSE held.{name} END"
                ),
            };
        }
        sql
    }

    /// Columns with the marks of what only some records give, as an expression over each.
    fn marks(&self, key: &[usize], before: &str, after: &str) -> String {
        let mut sql = String::new();
        for position in self.settable(key) {
            if self.gives.of(position) == Presence::Sometimes {
                let name = names::property(self.schema, position);
                let mark = mark(position);
                let _ = write!(sql, ", {before}{mark}{after} AS mark_{name}");
            }
        }
        sql
    }

    async fn delete(&self, key: &[usize]) -> Result<WriteReceipt, tokio_postgres::Error> {
        let sql = format!(
            "DELETE FROM {} AS held USING {STAGE} AS given WHERE {}",
            names::table(self.schema),
            self.matches(key, "given"),
        );
        Ok(WriteReceipt {
            deleted: self.client.execute(&sql, &[]).await?,
            ..WriteReceipt::default()
        })
    }

    /// A common table `latest`: of each key the first record's identity, the last one's
    /// properties, and as version how many there are. Of a property that only some records
    /// give it is the last one that does. A null equals nothing, so a record with one in its
    /// key stands alone.
    fn latest(&self, key: &[usize]) -> String {
        let mut parts = self.names(key);
        let nulls: Vec<String> = parts.iter().map(|name| format!("{name} IS NULL")).collect();
        parts.push(format!("CASE WHEN {} THEN place END", nulls.join(" OR ")));
        let group = parts.join(", ");
        let mut properties = String::new();
        let mut given = self.marks(key, "max(", &format!(") OVER (PARTITION BY {group})"));
        for position in 0..self.schema.schema().properties.len() {
            let name = names::property(self.schema, position);
            if self.settable(key).contains(&position)
                && self.gives.of(position) == Presence::Sometimes
            {
                let _ = write!(properties, ", last_{name} AS {name}, mark_{name}");
                let _ = write!(
                    given,
                    ", first_value({name}) OVER (PARTITION BY {group} \
                     ORDER BY {} DESC, place DESC) AS last_{name}",
                    mark(position),
                );
            } else {
                let _ = write!(properties, ", {name}");
            }
        }
        format!(
            "latest AS (SELECT first_id AS id, first_created_at AS created_at, updated_at, \
             records AS version{properties}, first_place AS place FROM (SELECT *, \
             first_value(id) OVER turns AS first_id, \
             first_value(created_at) OVER turns AS first_created_at, \
             first_value(place) OVER turns AS first_place, \
             count(*) OVER (PARTITION BY {group}) AS records, \
             lead(place) OVER turns IS NULL AS is_last{given} \
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
    fn settable(&self, key: &[usize]) -> Vec<usize> {
        let schema = self.schema.schema();
        let fixed = match (self.distribution, &schema.distributed_by) {
            (Distribution::Citus, Some(name)) => schema.position(name.as_str()),
            _ => None,
        };
        let may_be_set = |position: &usize| !key.contains(position) && Some(*position) != fixed;
        (0..schema.properties.len()).filter(may_be_set).collect()
    }

    async fn number(&self, sql: &str) -> Result<u64, tokio_postgres::Error> {
        let row = self.client.query_one(sql, &[]).await?;
        Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
    }
}

/// The mark of one property in what a record gives.
fn mark(position: usize) -> String {
    format!("substr({GIVEN}, {}, 1)", position + 1)
}
