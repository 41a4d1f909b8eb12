//! From the temporary table into the schema's own, with an answer for each record that
//! cannot go there.
//!
//! What the records do is carried out by few statements. Where those meet a taken value the
//! records are carried out one by one, so that each may be refused alone.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use staffa_domain::{
    RecordId, Refusal, RefusalReason, Refusals, SchemaSnapshot, StorageError, WriteMode,
    WriteOptions, WriteReceipt,
};

use super::merge::Merge;
use super::origins::Origins;
use super::stage::{Gives, MISSING, Presence, REFUSED, STAGE};
use crate::options::Distribution;
use crate::pool::Connection;
use crate::sql::names::{self, IndexKind};

const SAVE: &str = "SAVEPOINT merge";
const BACK: &str = "ROLLBACK TO SAVEPOINT merge";

/// Why a session cannot be settled.
#[derive(Debug)]
pub(super) enum Fault {
    /// A record is refused, and the session fails with it; or another write got in the way.
    Refused(StorageError),
    /// Anything else.
    Server(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        Self::Refused(error)
    }
}

/// A session whose records are all in the temporary table.
pub(super) struct Settle<'a> {
    pub(super) schema: &'a SchemaSnapshot,
    pub(super) client: &'a Connection,
    pub(super) options: &'a WriteOptions,
    pub(super) gives: &'a Gives,
    pub(super) origins: &'a Origins,
    /// How many records the temporary table holds.
    pub(super) records: u64,
    pub(super) distribution: Distribution,
}

impl Settle<'_> {
    /// Carries the session out, up to its commit.
    pub(super) async fn run(&self) -> Result<WriteReceipt, Fault> {
        self.client
            .batch_execute(&format!("ANALYZE {STAGE}"))
            .await?;
        let mut receipt = match &self.options.mode {
            WriteMode::Insert => self.add(None).await?,
            WriteMode::Ignore { key } => self.add(Some(key)).await?,
            WriteMode::Upsert { .. } => self.change().await?,
            WriteMode::Update { key } | WriteMode::Delete { key } => {
                self.note_missing(key).await?;
                self.change().await?
            }
        };
        let mut refusals = Refusals::new(self.options.on_refusal);
        let refused = self.tell_refused(&mut refusals).await?;
        if matches!(self.options.mode, WriteMode::Ignore { .. }) {
            receipt.ignored = self.records - receipt.inserted - refused;
        }
        if self.options.tells_ids && receipt.ids.is_empty() {
            receipt.ids = self.ids().await?;
        }
        Ok(refusals.complete(receipt))
    }

    /// Adds what can be added. The server takes the records in their order, so one stays out
    /// if what was stored or came before it has one of its values.
    async fn add(&self, key: Option<&[usize]>) -> Result<WriteReceipt, Fault> {
        let columns = names::columns(self.schema).join(", ");
        let sql = format!(
            "INSERT INTO {} ({columns}) SELECT {columns} FROM {STAGE} ORDER BY place \
             ON CONFLICT DO NOTHING",
            names::table(self.schema),
        );
        let told = self.client.execute(&sql, &[]).await?;
        let inserted = match self.distribution {
            Distribution::None => told,
            // Citus tells how many it was given.
            Distribution::Citus => self.added().await?,
        };
        if inserted < self.records {
            let sql = self.left_out(key);
            self.client.batch_execute(&sql).await?;
        }
        Ok(WriteReceipt {
            inserted,
            ..WriteReceipt::default()
        })
    }

    /// How many of the records are stored: their ids are new.
    async fn added(&self) -> Result<u64, Fault> {
        let sql = format!(
            "WITH given AS MATERIALIZED (SELECT id FROM {STAGE}) \
             SELECT count(*) FROM {} AS held JOIN given ON held.id = given.id",
            names::table(self.schema),
        );
        let count: i64 = self.client.query_one(&sql, &[]).await?.try_get(0)?;
        Ok(count.unsigned_abs())
    }

    /// The statement that notes why records were not added. One that met its `key` is not
    /// refused. Joins of common tables, which Citus can run where it cannot correlate.
    fn left_out(&self, key: Option<&[usize]>) -> String {
        let groups = self.schema.schema().unique_groups();
        let table = names::table(self.schema);
        let mut taken = Vec::new();
        let mut indexes = Vec::new();
        let mut met = "false".to_owned();
        for (label, group) in groups.iter().enumerate() {
            let same = self.same(group, "held", "spare");
            taken.push(format!(
                "SELECT spare.place, {label} AS label FROM {table} AS held JOIN spare ON {same} \
                 LEFT JOIN kept ON kept.id = held.id \
                 WHERE kept.place IS NULL OR kept.place < spare.place"
            ));
            let index = names::index(self.schema, IndexKind::Unique, group);
            indexes.push(format!("'{index}'"));
            let is_key = |key: &[usize]| {
                key.len() == group.len() && group.iter().all(|position| key.contains(position))
            };
            if key.is_some_and(is_key) {
                met = format!("coalesce(bool_or(taken.label = {label}), true)");
            }
        }
        format!(
            "INSERT INTO {REFUSED} (place, why) \
             WITH given AS MATERIALIZED (SELECT * FROM {STAGE}), \
             kept AS MATERIALIZED (SELECT given.id, given.place FROM {table} AS held \
             JOIN given ON held.id = given.id), \
             spare AS MATERIALIZED (SELECT * FROM given WHERE id NOT IN (SELECT id FROM kept)), \
             taken AS ({}), \
             judged AS (SELECT spare.place, coalesce(min(taken.label), 0) AS label, \
             {met} AS met FROM spare LEFT JOIN taken ON taken.place = spare.place \
             GROUP BY spare.place) \
             SELECT place, (ARRAY[{}])[label + 1] FROM judged WHERE NOT met",
            taken.join(" UNION ALL "),
            indexes.join(", "),
        )
    }

    /// Takes records without a match out of the temporary table; of a delete also those that
    /// come again, since the first one leaves no match.
    async fn note_missing(&self, key: &[usize]) -> Result<(), Fault> {
        let is_delete = matches!(self.options.mode, WriteMode::Delete { .. });
        let again = if is_delete { "turn > 1 OR " } else { "" };
        let keys = self.names(key).join(", ");
        let sql = format!(
            "INSERT INTO {REFUSED} (place, why) \
             WITH given AS MATERIALIZED (SELECT {keys}, place, \
             row_number() OVER (PARTITION BY {keys} ORDER BY place) AS turn FROM {STAGE}), \
             known AS (SELECT given.place FROM {} AS held JOIN given ON {}) \
             SELECT place, '{MISSING}' FROM given \
             WHERE {again}place NOT IN (SELECT place FROM known); \
             DELETE FROM {STAGE} WHERE place IN (SELECT place FROM {REFUSED})",
            names::table(self.schema),
            self.same(key, "held", "given"),
        );
        Ok(self.client.batch_execute(&sql).await?)
    }

    /// Changes what is there by few statements, or one by one where those fail.
    async fn change(&self) -> Result<WriteReceipt, Fault> {
        let mode = &self.options.mode;
        let staged = format!("SELECT count(*) FROM {STAGE}");
        let staged: i64 = self.client.query_one(&staged, &[]).await?.try_get(0)?;
        let mut ids = Vec::new();
        if self.options.tells_ids && matches!(mode, WriteMode::Delete { .. }) {
            ids = self.ids().await?;
        }
        let merge = Merge {
            schema: self.schema,
            client: self.client,
            gives: self.gives,
            records: staged.unsigned_abs(),
            distribution: self.distribution,
        };
        if self.sets_unique_values() {
            let changed = merge.run_one_by_one(mode).await?;
            return Ok(WriteReceipt { ids, ..changed });
        }
        self.client.batch_execute(SAVE).await?;
        let changed = match merge.run(mode).await {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                self.client.batch_execute(BACK).await?;
                merge.run_one_by_one(mode).await?
            }
            Err(error) => return Err(error.into()),
            Ok(changed) => {
                let done = changed.inserted + changed.updated + changed.deleted;
                if done < merge.records {
                    // What was found has gone meanwhile.
                    return Err(StorageError::Conflict.into());
                }
                changed
            }
        };
        Ok(WriteReceipt { ids, ..changed })
    }

    /// Whether an update gives unique properties besides its key: one statement takes records
    /// in any order, and so may let one take a value that a later one frees.
    fn sets_unique_values(&self) -> bool {
        let WriteMode::Update { key } = &self.options.mode else {
            return false;
        };
        let groups = self.schema.schema().unique_groups();
        let mut positions = groups.iter().flatten();
        positions.any(|at| !key.contains(at) && self.gives.of(*at) != Presence::Never)
    }

    /// Notes the refused records in their order; answers how many there are.
    async fn tell_refused(&self, refusals: &mut Refusals) -> Result<u64, Fault> {
        let room = refusals.room();
        let sql = format!(
            "SELECT place - 1, why, count(*) OVER () FROM {REFUSED} ORDER BY place LIMIT {}",
            room.max(1),
        );
        let rows = self.client.query(&sql, &[]).await?;
        let Some(first) = rows.first() else {
            return Ok(0);
        };
        let total = first.try_get::<_, i64>(2)?.unsigned_abs();
        let mut told = 0;
        for row in rows.iter().take(room) {
            if let Some(refusal) = self.refusal(row)? {
                refusals.note(refusal)?;
                told += 1;
            }
        }
        refusals.note_more(total - told);
        Ok(total)
    }

    fn refusal(&self, row: &Row) -> Result<Option<Refusal>, Fault> {
        let place: i64 = row.try_get(0)?;
        let why: &str = row.try_get(1)?;
        let reason = if why == MISSING {
            RefusalReason::Missing
        } else {
            RefusalReason::Taken(names::index_properties(self.schema, why).unwrap_or_default())
        };
        let origin = self.origins.get(place.unsigned_abs());
        Ok(origin.map(|(index, line)| Refusal {
            index,
            line,
            reason,
        }))
    }

    /// The ids of the records that the accepted ones are, or met.
    async fn ids(&self) -> Result<Vec<RecordId>, Fault> {
        let accepted =
            format!("SELECT * FROM {STAGE} WHERE place NOT IN (SELECT place FROM {REFUSED})");
        let told = match self.options.mode.key() {
            None => "SELECT place, id FROM given".to_owned(),
            Some(key) => {
                let nulls = self.names(key).into_iter();
                let nulls = nulls.map(|name| format!("{name} IS NULL"));
                // A null in a key meets nothing: such a record is its own.
                format!(
                    "SELECT given.place, held.id FROM {} AS held JOIN given ON {} \
                     UNION ALL SELECT place, id FROM given WHERE {}",
                    names::table(self.schema),
                    self.same(key, "held", "given"),
                    nulls.collect::<Vec<_>>().join(" OR "),
                )
            }
        };
        let sql = format!(
            "WITH given AS MATERIALIZED ({accepted}), told AS ({told}) \
             SELECT id FROM told ORDER BY place"
        );
        let rows = self.client.query(&sql, &[]).await?;
        let id = |row: &Row| row.try_get::<_, uuid::Uuid>(0).map(RecordId::from);
        Ok(rows.iter().map(id).collect::<Result<_, _>>()?)
    }

    fn names(&self, positions: &[usize]) -> Vec<String> {
        positions
            .iter()
            .map(|position| names::property(self.schema, *position))
            .collect()
    }

    fn same(&self, positions: &[usize], left: &str, right: &str) -> String {
        let pairs = self.names(positions).into_iter();
        pairs
            .map(|name| format!("{left}.{name} = {right}.{name}"))
            .collect::<Vec<_>>()
            .join(" AND ")
    }
}
