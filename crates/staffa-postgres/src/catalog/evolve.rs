//! A schema's next version: looked at first, then carried out in the transaction of the
//! catalog's own entry.

use std::sync::Arc;
use std::time::Instant;

use staffa_domain::batch::record_id;
use staffa_domain::change::{EXAMPLES_MAX, Incompatible, UniqueQuestion};
use staffa_domain::ports::{COUNTED_BELOW, ChangeLog};
use staffa_domain::{PropertyType, RecordQuery, SchemaSnapshot, StorageError, Transition};

use super::ddl;
use super::literal::literal;
use crate::copy::decode::BatchBuilder;
use crate::error;
use crate::options::Distribution;
use crate::pool::Connection;
use crate::reader;
use crate::reader::source::{Fault, Source};
use crate::sql::{Query, names, select};
use crate::types;

/// How many records are looked at together.
const BATCH_RECORDS: usize = 8_192;

/// The way from one version to the next in one database.
pub(super) struct Evolution {
    transition: Transition,
    distribution: Distribution,
}

impl Evolution {
    pub(super) fn new(
        from: &Arc<SchemaSnapshot>,
        to: &Arc<SchemaSnapshot>,
        distribution: Distribution,
    ) -> Self {
        Self {
            transition: Transition::between(from, to),
            distribution,
        }
    }

    /// Waits for writes under way and keeps others off, looks at the records, and changes the
    /// storage. What was under way is checked against the stored version before it commits.
    pub(super) async fn carry_out(
        &self,
        client: &Connection,
        steps: &str,
    ) -> Result<ChangeLog, StorageError> {
        let started = Instant::now();
        let (from, to) = (self.transition.from(), self.transition.to());
        self.check_distribution()?;
        // A lock that is raised later may meet one that waits for it.
        let mode = match self.transition.changes_layout() {
            true => "ACCESS EXCLUSIVE",
            false => "SHARE ROW EXCLUSIVE",
        };
        let table = names::table(from);
        self.run(client, &format!("LOCK TABLE {table} IN {mode} MODE"))
            .await?;
        let findings = self.look(client).await?;
        if !findings.is_empty() {
            return Err(StorageError::Incompatible(Box::new(findings)));
        }
        let records = self.count(client).await?;
        let cast = |before, after| self.cast(before, after);
        let default = |after: usize| {
            let property = &to.schema().properties[after];
            let value = property.default.as_ref()?;
            Some(literal(value, &property.property_type))
        };
        for statement in ddl::alter(&self.transition, cast, default) {
            self.run(client, &statement).await?;
        }
        let micros = u64::try_from(started.elapsed().as_micros());
        Ok(ChangeLog {
            steps: steps.to_owned(),
            records,
            duration_micros: micros.unwrap_or(u64::MAX),
        })
    }

    /// What is spread stays so: neither may its key change, nor what is unique leave it out.
    fn check_distribution(&self) -> Result<(), StorageError> {
        if self.distribution == Distribution::None {
            return Ok(());
        }
        ddl::distribution_of(self.transition.to())?;
        if self.transition.changes_append_only() {
            let message = "whether records of a distributed schema can be changed is fixed";
            return Err(StorageError::Unsupported(message.to_owned()));
        }
        Ok(())
    }

    /// How many records there are; about, where counting them would hold writers up for long.
    async fn count(&self, client: &Connection) -> Result<u64, StorageError> {
        let schema = self.transition.from();
        let estimate = reader::estimate(client, self.distribution, schema).await?;
        if let Some(estimate) = estimate.filter(|estimate| *estimate >= COUNTED_BELOW) {
            return Ok(estimate);
        }
        let sql = format!("SELECT count(*) FROM {}", names::table(schema));
        let counted = client.query_one(&sql, &[]).await;
        let records: i64 = counted
            .and_then(|row| row.try_get(0))
            .map_err(|error| error::of_schema(error, schema))?;
        Ok(records.unsigned_abs())
    }

    async fn run(&self, client: &Connection, statement: &str) -> Result<(), StorageError> {
        let done = client.batch_execute(statement).await;
        done.map_err(|error| error::of_schema(error, self.transition.from()))
    }

    async fn look(&self, client: &Connection) -> Result<Incompatible, StorageError> {
        let mut findings = Incompatible::default();
        if let Some(question) = self.transition.question() {
            self.examine(client, &question, &mut findings).await?;
        }
        for question in self.transition.new_unique_groups() {
            let query = self.duplicates(&question);
            let mut builder = BatchBuilder::new(Arc::clone(&query.layout))?;
            let mut source = self.ask(client, &query).await?;
            while self.pull(&mut source, &mut builder).await? {}
            let found = builder.finish()?;
            let ids = (0..found.num_rows()).filter_map(|row| record_id(&found, row));
            ids.for_each(|id| findings.note(self.transition.duplicate(&question, id)));
        }
        Ok(findings)
    }

    async fn examine(
        &self,
        client: &Connection,
        question: &RecordQuery,
        findings: &mut Incompatible,
    ) -> Result<(), StorageError> {
        let query = select::scan(question);
        let mut builder = BatchBuilder::new(Arc::clone(&query.layout))?;
        let mut source = self.ask(client, &query).await?;
        // Read to its end whatever is found: the connection is needed after it.
        while self.pull(&mut source, &mut builder).await? {
            if builder.len() >= BATCH_RECORDS {
                let batch = builder.finish()?;
                if !findings.is_full() {
                    self.transition.examine(&batch, findings);
                }
            }
        }
        if builder.len() > 0 && !findings.is_full() {
            self.transition.examine(&builder.finish()?, findings);
        }
        Ok(())
    }

    async fn ask(&self, client: &Connection, query: &Query) -> Result<Source, StorageError> {
        let source = Source::long(client, query).await;
        source.map_err(|error| error::of_schema(error, self.transition.from()))
    }

    async fn pull(
        &self,
        source: &mut Source,
        builder: &mut BatchBuilder,
    ) -> Result<bool, StorageError> {
        source.pull(builder).await.map_err(|fault| match fault {
            Fault::Server(error) => error::of_schema(error, self.transition.from()),
            Fault::Codec(error) => error,
        })
    }

    /// The ids of records that share their values with others.
    fn duplicates(&self, question: &UniqueQuestion) -> Query {
        let schema = self.transition.from();
        let table = names::table(schema);
        let limit = EXAMPLES_MAX + 1;
        let positions = question.positions.iter();
        let columns: Vec<String> = positions.map(|at| names::property(schema, *at)).collect();
        let sql = if columns.is_empty() {
            format!(
                "SELECT id FROM {table} WHERE (SELECT count(*) FROM {table}) > 1 \
                 ORDER BY id LIMIT {limit}"
            )
        } else {
            let present = columns.iter().map(|column| format!("{column} IS NOT NULL"));
            let present = present.collect::<Vec<_>>().join(" AND ");
            let columns = columns.join(", ");
            format!(
                "SELECT kept.id FROM {table} AS kept JOIN (SELECT {columns} FROM {table} \
                 WHERE {present} GROUP BY {columns} HAVING count(*) > 1) AS twice \
                 USING ({columns}) ORDER BY kept.id LIMIT {limit}"
            )
        };
        select::ids(schema, sql)
    }

    /// The expression that reads a column as its next type, of values that were looked at.
    fn cast(&self, before: usize, after: usize) -> String {
        let (from, to) = (self.transition.from(), self.transition.to());
        let column = names::property(from, before);
        let before = &from.schema().properties[before].property_type;
        let after = &to.schema().properties[after].property_type;
        match (before, after) {
            (PropertyType::Date, PropertyType::Datetime) => {
                format!("({column}::timestamp AT TIME ZONE 'UTC')")
            }
            (PropertyType::Datetime, PropertyType::Date) => {
                format!("({column} AT TIME ZONE 'UTC')::date")
            }
            (_, after) => format!("{column}::{}", types::cast_type(after)),
        }
    }
}
