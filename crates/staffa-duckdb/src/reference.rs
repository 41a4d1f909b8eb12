//! The raw engine without anything of ours around it: what benchmarks measure Staffa against.
//!
//! Statements given here run as they are, so they may never hold a user's text.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use duckdb::types::Value;
use duckdb::{Config, Connection, params_from_iter};

/// What the raw engine failed at.
#[derive(Debug, thiserror::Error)]
#[error("the reference engine failed: {0}")]
pub struct ReferenceError(String);

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum RawValue {
    /// Text, which the statement casts to what it needs.
    Text(String),
    /// A 64-bit integer.
    Integer(i64),
    /// A double.
    Number(f64),
}

/// Record batches in memory, ready to be appended.
#[derive(Debug)]
pub struct RawBatches(Vec<RecordBatch>);

impl RawBatches {
    /// How many rows they hold.
    pub fn rows(&self) -> usize {
        self.0.iter().map(RecordBatch::num_rows).sum()
    }
}

/// One database file of its own.
pub struct RawEngine {
    connection: Connection,
}

impl fmt::Debug for RawEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawEngine").finish_non_exhaustive()
    }
}

impl RawEngine {
    /// Opens a file, made where it is missing, with the engine's defaults. `threads` is the
    /// machine's number of cores when absent.
    pub fn open(file: &Path, threads: Option<usize>) -> Result<Self, ReferenceError> {
        let mut config = Config::default()
            .with("autoinstall_known_extensions", "false")
            .and_then(|config| config.with("autoload_known_extensions", "false"))
            .and_then(|config| config.with("arrow_lossless_conversion", "true"))
            .map_err(failed)?;
        if let Some(threads) = threads {
            config = config
                .with("threads", threads.to_string())
                .map_err(failed)?;
        }
        let connection = Connection::open_with_flags(file, config).map_err(failed)?;
        Ok(Self { connection })
    }

    /// Runs statements and answers how long they took.
    pub fn run(&self, statements: &str) -> Result<Duration, ReferenceError> {
        let started = Instant::now();
        self.connection.execute_batch(statements).map_err(failed)?;
        Ok(started.elapsed())
    }

    /// Fetches a whole result, prepared once for each text, and answers the time and the rows.
    pub fn fetch(
        &self,
        statement: &str,
        values: &[RawValue],
    ) -> Result<(Duration, usize), ReferenceError> {
        let started = Instant::now();
        let mut prepared = self.connection.prepare_cached(statement).map_err(failed)?;
        let values = values.iter().map(value);
        let result = prepared
            .query_arrow(params_from_iter(values))
            .map_err(failed)?;
        let rows = result.map(|batch| batch.num_rows()).sum();
        Ok((started.elapsed(), rows))
    }

    /// Executes a prepared statement again and again for a time, each execution committed on
    /// its own, and answers what each took.
    pub fn repeat(
        &self,
        statement: &str,
        time: Duration,
        mut values: impl FnMut(u64) -> Vec<RawValue>,
    ) -> Result<Vec<Duration>, ReferenceError> {
        let mut prepared = self.connection.prepare(statement).map_err(failed)?;
        let started = Instant::now();
        let mut taken = Vec::new();
        for index in 0.. {
            if started.elapsed() >= time {
                break;
            }
            let values = values(index);
            let began = Instant::now();
            prepared
                .execute(params_from_iter(values.iter().map(value)))
                .map_err(failed)?;
            taken.push(began.elapsed());
        }
        Ok(taken)
    }

    /// Reads the result of a query into memory.
    pub fn batches(&self, query: &str) -> Result<RawBatches, ReferenceError> {
        let mut prepared = self.connection.prepare(query).map_err(failed)?;
        let batches = prepared.query_arrow([]).map_err(failed)?;
        Ok(RawBatches(batches.collect()))
    }

    /// Appends ready batches to a table in one transaction and answers the time, the commit
    /// included.
    pub fn append(&self, table: &str, batches: &RawBatches) -> Result<Duration, ReferenceError> {
        let started = Instant::now();
        self.connection.execute_batch("BEGIN").map_err(failed)?;
        let mut appender = self.connection.appender(table).map_err(failed)?;
        for batch in &batches.0 {
            appender
                .append_record_batch(batch.clone())
                .map_err(failed)?;
        }
        appender.flush().map_err(failed)?;
        drop(appender);
        self.connection.execute_batch("COMMIT").map_err(failed)?;
        Ok(started.elapsed())
    }
}

fn value(value: &RawValue) -> Value {
    match value {
        RawValue::Text(text) => Value::Text(text.clone()),
        RawValue::Integer(value) => Value::BigInt(*value),
        RawValue::Number(value) => Value::Double(*value),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` wants"
)]
fn failed(error: duckdb::Error) -> ReferenceError {
    ReferenceError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Duration, RawEngine, RawValue};

    #[test]
    fn the_raw_engine_inserts_appends_and_fetches() {
        let folder = tempfile::tempdir().unwrap();
        let engine = RawEngine::open(&folder.path().join("raw.duckdb"), Some(1)).unwrap();
        engine
            .run("CREATE TABLE t (id UUID PRIMARY KEY, n BIGINT, x DOUBLE, j JSON)")
            .unwrap();
        let insert = "INSERT INTO t VALUES (uuidv7(), ?, ?, ?::JSON)";
        let taken = engine.repeat(insert, Duration::from_millis(20), |index| {
            let number = i64::try_from(index).unwrap();
            let object = RawValue::Text("{\"a\":1}".to_owned());
            vec![RawValue::Integer(number), RawValue::Number(0.5), object]
        });
        let inserted = taken.unwrap().len();
        assert!(inserted > 0);
        engine
            .run("CREATE TABLE u AS SELECT * FROM t LIMIT 0")
            .unwrap();
        let batches = engine.batches("SELECT * FROM t").unwrap();
        assert_eq!(batches.rows(), inserted);
        engine.append("u", &batches).unwrap();
        let (_, rows) = engine
            .fetch("SELECT * FROM u WHERE n >= ?", &[RawValue::Integer(0)])
            .unwrap();
        assert_eq!(rows, inserted);
        assert!(engine.run("SELECT * FROM nothing").is_err());
    }
}
