//! The embedded engine measured by itself: what the same work costs without a server.

use std::path::Path;
use std::time::Duration;

use staffa_duckdb::reference::{RawBatches, RawEngine, RawValue};
use tempfile::TempDir;
use uuid::Uuid;

use super::data::{INDEXED, PROPERTIES, Row};

/// The columns that the server adds to the properties.
const SYSTEM_VALUES: &str = "uuidv7(), make_timestamp(0), make_timestamp(0), 1";

/// An engine with a file of its own, gone when dropped.
#[derive(Debug)]
pub(crate) struct Raw {
    engine: RawEngine,
    folder: TempDir,
}

/// A file format of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RawFormat {
    /// A JSON value a line.
    NdJson,
    /// With a header.
    Csv,
    /// Compressed columns.
    Parquet,
}

impl Raw {
    /// A new file below `work`.
    pub(crate) fn new(work: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("raw-").tempdir_in(work)?;
        let engine = RawEngine::open(&folder.path().join("raw.duckdb"), None)?;
        Ok(Self { engine, folder })
    }

    /// Makes a table of the server's shape.
    pub(crate) fn table(&self, name: &str, keyed: bool, indexes: usize) -> anyhow::Result<()> {
        let key = if keyed { "PRIMARY KEY" } else { "NOT NULL" };
        let columns = typed_columns().map(|(name, kind)| format!(", {name} {kind}"));
        self.engine.run(&format!(
            "CREATE TABLE {name} (id UUID {key}, created_at TIMESTAMP NOT NULL,
             updated_at TIMESTAMP NOT NULL, version BIGINT NOT NULL{})",
            columns.collect::<String>()
        ))?;
        for property in &INDEXED[..indexes] {
            self.engine.run(&format!(
                "CREATE INDEX {name}_{property} ON {name} ({property})"
            ))?;
        }
        Ok(())
    }

    /// Inserts single rows for a time, each committed on its own.
    pub(crate) fn insert_singles(
        &self,
        table: &str,
        time: Duration,
    ) -> anyhow::Result<Vec<Duration>> {
        let values: Vec<String> = typed_columns()
            .map(|(_, kind)| format!(", ?::{kind}"))
            .collect();
        let values = values.concat();
        let statement = format!("INSERT INTO {table} VALUES ({SYSTEM_VALUES}{values})");
        Ok(self
            .engine
            .repeat(&statement, time, |index| Row::new(index).values())?)
    }

    /// Inserts a file's rows in one statement.
    pub(crate) fn insert_file(
        &self,
        table: &str,
        format: RawFormat,
        file: &Path,
    ) -> anyhow::Result<Duration> {
        let statement = format!("INSERT INTO {table} {}", select_file(format, file, None));
        Ok(self.engine.run(&statement)?)
    }

    /// Stores a file's rows with the ids of [`row_id`], from 1 on in the file's order.
    pub(crate) fn fill(&self, table: &str, file: &Path) -> anyhow::Result<()> {
        let columns = PROPERTIES.map(|(name, _)| name).join(", ");
        self.engine.run(&format!(
            "INSERT INTO {table} SELECT
             ('018f0000-0000-7000-8000-' || printf('%012x', row_number() OVER ()))::UUID,
             make_timestamp(0), make_timestamp(0), 1, {columns} FROM {}",
            read_file(RawFormat::NdJson, file)
        ))?;
        Ok(())
    }

    /// Reads the first rows of a file into memory, with system columns, ready to be appended.
    pub(crate) fn batches(&self, file: &Path, rows: u64) -> anyhow::Result<RawBatches> {
        Ok(self
            .engine
            .batches(&select_file(RawFormat::NdJson, file, Some(rows)))?)
    }

    /// Appends ready batches in one transaction.
    pub(crate) fn append(&self, table: &str, batches: &RawBatches) -> anyhow::Result<Duration> {
        Ok(self.engine.append(table, batches)?)
    }

    /// Writes a table to a file that is gone afterwards.
    pub(crate) fn copy_out(&self, table: &str, format: RawFormat) -> anyhow::Result<Duration> {
        let file = self.folder.path().join("out");
        let form = match format {
            RawFormat::NdJson => "json",
            RawFormat::Csv => "csv",
            RawFormat::Parquet => "parquet",
        };
        let statement = format!("COPY {table} TO '{}' (FORMAT {form})", file.display());
        let taken = self.engine.run(&statement)?;
        std::fs::remove_file(file)?;
        Ok(taken)
    }

    /// Turns NDJSON into Parquet.
    pub(crate) fn make_parquet(&self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let columns = PROPERTIES.map(|(name, _)| name).join(", ");
        self.engine.run(&format!(
            "COPY (SELECT {columns} FROM {}) TO '{}' (FORMAT parquet)",
            read_file(RawFormat::NdJson, from),
            to.display()
        ))?;
        Ok(())
    }

    /// Writes the log's content into the file, so that it is no part of what comes next.
    pub(crate) fn checkpoint(&self) -> anyhow::Result<()> {
        self.engine.run("CHECKPOINT")?;
        Ok(())
    }

    /// Fetches a result again and again and answers what each turn took.
    pub(crate) fn queries(
        &self,
        statement: &str,
        turns: u64,
        mut values: impl FnMut(u64) -> Vec<RawValue>,
    ) -> anyhow::Result<Vec<Duration>> {
        (0..turns)
            .map(|turn| Ok(self.engine.fetch(statement, &values(turn))?.0))
            .collect()
    }
}

/// The id of a row that [`Raw::fill`] stored.
pub(crate) const fn row_id(number: u64) -> Uuid {
    Uuid::from_u64_pair(0x018f_0000_0000_7000, 0x8000_0000_0000_0000 | number)
}

fn typed_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROPERTIES.into_iter().map(|(name, kind)| {
        let kind = match kind {
            "integer" => "BIGINT",
            "number" => "DOUBLE",
            "datetime" => "TIMESTAMP",
            "object" => "JSON",
            _ => "VARCHAR",
        };
        (name, kind)
    })
}

fn read_file(format: RawFormat, file: &Path) -> String {
    let columns: Vec<String> = typed_columns()
        .map(|(name, kind)| format!("'{name}': '{kind}'"))
        .collect();
    let columns = columns.join(", ");
    let file = file.display();
    match format {
        RawFormat::NdJson => format!("read_ndjson('{file}', columns = {{{columns}}})"),
        RawFormat::Csv => format!("read_csv('{file}', header = true, columns = {{{columns}}})"),
        RawFormat::Parquet => format!("read_parquet('{file}')"),
    }
}

fn select_file(format: RawFormat, file: &Path, limit: Option<u64>) -> String {
    let columns = PROPERTIES.map(|(name, _)| name).join(", ");
    let limit = limit.map_or_else(String::new, |rows| format!(" LIMIT {rows}"));
    let source = read_file(format, file);
    format!(
        "SELECT uuidv7() AS id, make_timestamp(0) AS created_at, make_timestamp(0) AS updated_at,
         1::BIGINT AS version, {columns} FROM {source}{limit}"
    )
}

#[cfg(test)]
mod tests {
    use super::super::data::{write_csv, write_ndjson};
    use super::{Duration, Raw, RawFormat, RawValue, Row, row_id};

    #[test]
    fn every_way_in_stores_every_row() {
        let work = tempfile::tempdir().unwrap();
        let raw = Raw::new(work.path()).unwrap();
        let file = |name: &str| work.path().join(name);
        write_ndjson(&file("a.ndjson"), (0..100).map(Row::new)).unwrap();
        write_csv(&file("a.csv"), (0..100).map(Row::new)).unwrap();
        raw.make_parquet(&file("a.ndjson"), &file("a.parquet"))
            .unwrap();
        raw.table("t", true, 3).unwrap();
        raw.insert_file("t", RawFormat::NdJson, &file("a.ndjson"))
            .unwrap();
        raw.insert_file("t", RawFormat::Csv, &file("a.csv"))
            .unwrap();
        raw.insert_file("t", RawFormat::Parquet, &file("a.parquet"))
            .unwrap();
        let batches = raw.batches(&file("a.ndjson"), 50).unwrap();
        raw.append("t", &batches).unwrap();
        let singles = raw
            .insert_singles("t", Duration::from_millis(10))
            .unwrap()
            .len();
        let (_, rows) = raw.engine.fetch("SELECT * FROM t", &[]).unwrap();
        assert_eq!(rows, 350 + singles);
        // However a row came in, it is the same row.
        let (_, distinct) = raw
            .engine
            .fetch("SELECT DISTINCT * EXCLUDE (id, source_data) FROM t WHERE source_data->>'test' = 'data_7'", &[])
            .unwrap();
        assert_eq!(distinct, 1);
        for format in [RawFormat::NdJson, RawFormat::Csv, RawFormat::Parquet] {
            raw.copy_out("t", format).unwrap();
        }
    }

    #[test]
    fn rows_that_were_filled_in_are_found_by_id() {
        let work = tempfile::tempdir().unwrap();
        let raw = Raw::new(work.path()).unwrap();
        let file = work.path().join("a.ndjson");
        write_ndjson(&file, (0..100).map(Row::new)).unwrap();
        raw.table("t", true, 0).unwrap();
        raw.fill("t", &file).unwrap();
        raw.checkpoint().unwrap();
        let statement = "SELECT * FROM t WHERE id = ?::UUID AND source_data->>'test' = 'data_99'";
        let id = RawValue::Text(row_id(100).to_string());
        assert_eq!(raw.engine.fetch(statement, &[id]).unwrap().1, 1);
    }
}
