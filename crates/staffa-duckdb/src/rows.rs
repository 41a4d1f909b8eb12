//! Records as rows that a statement reads: a table function that writes record batches of ours
//! straight into the engine's vectors. A statement over it is planned once and then only
//! executed; the engine's appender plans an INSERT at each flush, which costs more than a
//! hundred records, and copies each row once more.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use duckdb::Connection;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vtab::{
    BindInfo, InitInfo, TableFunctionInfo, VTab, record_batch_to_duckdb_data_chunk,
    to_duckdb_logical_type_for_field,
};
use parking_lot::Mutex;
use staffa_domain::SchemaSnapshot;

use crate::error::Fault;
use crate::sql::names;

/// The name of the table function, whose one parameter is the number of a [`Source`].
const FUNCTION: &str = "staffa_rows";
/// How many rows a vector of the engine has.
const VECTOR_ROWS: usize = 2048;
/// For how many schemas a connection keeps its source.
const SOURCES_MAX: usize = 256;

/// What each source offers. The engine calls a table function without any state of ours, hence
/// one table for the process; numbers are never used again.
static OFFERS: Mutex<BTreeMap<i64, Offer>> = Mutex::new(BTreeMap::new());
static NEXT_NUMBER: AtomicI64 = AtomicI64::new(1);

struct Offer {
    layout: SchemaRef,
    rows: Option<RecordBatch>,
}

/// Makes the table function known to an instance.
pub(crate) fn register(connection: &Connection) -> Result<(), Fault> {
    Ok(connection.register_table_function::<Rows>(FUNCTION)?)
}

/// The sources of one connection, one for each schema it appends to.
#[derive(Debug, Default)]
pub(crate) struct Sources(RefCell<HashMap<String, Source>>);

impl Sources {
    /// Appends whole records, in one statement.
    pub(crate) fn append(
        &self,
        connection: &Connection,
        schema: &SchemaSnapshot,
        records: &RecordBatch,
    ) -> Result<(), Fault> {
        if records.num_rows() == 0 {
            return Ok(());
        }
        let mut sources = self.0.borrow_mut();
        if sources.len() > SOURCES_MAX {
            sources.clear();
        }
        let source = sources
            .entry(schema.name().to_owned())
            .and_modify(|source| {
                if !source.is_of(schema) {
                    *source = Source::new(schema);
                }
            })
            .or_insert_with(|| Source::new(schema));
        source.insert(connection, records)
    }
}

/// The rows of one statement, which is planned at its first use.
#[derive(Debug)]
struct Source {
    number: i64,
    /// Of which layout the records are.
    layout: SchemaRef,
    /// The stored columns of a record.
    columns: Vec<usize>,
    statement: String,
}

impl Source {
    fn new(schema: &SchemaSnapshot) -> Self {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let (columns, stored) = names::stored_columns(schema);
        let statement = format!(
            "INSERT INTO {} ({}) SELECT * FROM {FUNCTION}({number})",
            names::table(schema),
            stored.join(", ")
        );
        Self {
            number,
            layout: Arc::clone(schema.record_layout()),
            columns,
            statement,
        }
    }

    fn is_of(&self, schema: &SchemaSnapshot) -> bool {
        Arc::ptr_eq(&self.layout, schema.record_layout())
    }

    fn insert(&self, connection: &Connection, records: &RecordBatch) -> Result<(), Fault> {
        let stored = records.project(&self.columns)?;
        let offer = Offer {
            layout: stored.schema(),
            rows: Some(stored),
        };
        OFFERS.lock().insert(self.number, offer);
        let inserted = connection
            .prepare_cached(&self.statement)
            .and_then(|mut statement| statement.execute([]));
        // Not taken where the statement failed before it read.
        if let Some(offer) = OFFERS.lock().get_mut(&self.number) {
            offer.rows = None;
        }
        let (inserted, given) = (inserted?, records.num_rows());
        if inserted == given {
            return Ok(());
        }
        Err(Fault::bug(format!("{inserted} of {given} records stored")))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        OFFERS.lock().remove(&self.number);
    }
}

/// The table function.
struct Rows;

/// One execution of a statement: what it has still to read.
#[derive(Default)]
struct Scan(Mutex<Rest>);

#[derive(Default)]
struct Rest {
    rows: Option<RecordBatch>,
    read: usize,
}

impl Rest {
    fn next(&mut self, number: i64) -> Option<RecordBatch> {
        if self.rows.is_none() {
            self.rows = OFFERS.lock().get_mut(&number)?.rows.take();
        }
        let rows = self.rows.as_ref()?;
        let count = VECTOR_ROWS.min(rows.num_rows() - self.read);
        let next = rows.slice(self.read, count);
        self.read += count;
        Some(next)
    }
}

impl VTab for Rows {
    type BindData = i64;
    type InitData = Scan;

    fn bind(bind: &BindInfo) -> Result<i64, Box<dyn Error>> {
        let number = bind.get_parameter(0).to_int64();
        let layout = OFFERS
            .lock()
            .get(&number)
            .map(|offer| Arc::clone(&offer.layout))
            .ok_or("nothing is offered")?;
        for field in layout.fields() {
            bind.add_result_column(field.name(), to_duckdb_logical_type_for_field(field)?);
        }
        Ok(number)
    }

    fn init(_: &InitInfo) -> Result<Scan, Box<dyn Error>> {
        Ok(Scan::default())
    }

    fn func(
        function: &TableFunctionInfo<Self>,
        output: &mut DataChunkHandle,
    ) -> Result<(), Box<dyn Error>> {
        let number = *function.get_bind_data();
        match function.get_init_data().0.lock().next(number) {
            Some(rows) => record_batch_to_duckdb_data_chunk(&rows, output),
            None => {
                output.set_len(0);
                Ok(())
            }
        }
    }

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeHandle::from(LogicalTypeId::Bigint)])
    }
}
