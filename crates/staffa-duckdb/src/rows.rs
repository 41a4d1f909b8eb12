//! Records as rows that a statement reads: functions that write record batches of ours straight
//! into the engine's vectors. The engine's appender plans an INSERT at each flush, which costs
//! more than a hundred records, and copies each row once more.
//!
//! There are two, since the engine plans a statement over a table function of the C interface
//! again at each execution (`CTableBindData::SupportStatementCache` in its source). So the few
//! records of a short write come as a list of structs from a scalar function, whose plan is kept:
//! that saves two fifths of what a commit of one record costs. A list is one value, which would
//! hold a large batch twice; large batches come by the table function, a vector at a time.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque, hash_map};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, SchemaRef};
use duckdb::Connection;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vscalar::{ScalarFunctionSignature, VScalar};
use duckdb::vtab::arrow::{WritableVector, write_arrow_array_to_vector};
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
    batches: VecDeque<RecordBatch>,
}

/// Makes the table function known to an instance.
pub(crate) fn register(connection: &Connection) -> Result<(), Fault> {
    Ok(connection.register_table_function::<Rows>(FUNCTION)?)
}

/// What one connection appends from.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// One for each schema.
    sources: RefCell<HashMap<String, Source>>,
    /// One for each sequence of types. They stay as long as the instance is open.
    lists: RefCell<HashMap<Fields, List>>,
}

impl Sources {
    /// Prepares for short appends to a schema. Not within a transaction, whose end could undo it.
    pub(crate) fn prepare(
        &self,
        connection: &Connection,
        schema: &SchemaSnapshot,
    ) -> Result<(), Fault> {
        let is_ready = |source: &Source| source.is_of(schema) && source.few.is_some();
        let mut sources = self.sources.borrow_mut();
        if sources.get(schema.name()).is_some_and(is_ready) {
            return Ok(());
        }
        let (columns, _) = names::stored_columns(schema);
        let types = types_of(&schema.record_layout().project(&columns)?);
        if let hash_map::Entry::Vacant(entry) = self.lists.borrow_mut().entry(types) {
            let list = List::register(connection, entry.key())?;
            entry.insert(list);
        }
        // It may have a source without it.
        sources.remove(schema.name());
        Ok(())
    }

    /// Appends batches of whole records, in one statement.
    pub(crate) fn append<'r>(
        &self,
        connection: &Connection,
        schema: &SchemaSnapshot,
        batches: impl IntoIterator<Item = &'r RecordBatch>,
    ) -> Result<(), Fault> {
        let batches = batches.into_iter().filter(|batch| batch.num_rows() > 0);
        let batches: Vec<&RecordBatch> = batches.collect();
        if batches.is_empty() {
            return Ok(());
        }
        let mut sources = self.sources.borrow_mut();
        if sources.len() > SOURCES_MAX {
            sources.clear();
        }
        let make = || Source::new(schema, &self.lists.borrow());
        let source = match sources.entry(schema.name().to_owned()) {
            hash_map::Entry::Occupied(mut entry) => {
                if !entry.get().is_of(schema) {
                    entry.insert(make()?);
                }
                entry.into_mut()
            }
            hash_map::Entry::Vacant(entry) => entry.insert(make()?),
        };
        source.insert(connection, &batches)
    }
}

/// The rows of the statements that append to one schema.
#[derive(Debug)]
struct Source {
    number: i64,
    /// Of which layout the records are.
    layout: SchemaRef,
    /// The stored columns of a record.
    columns: Vec<usize>,
    /// The statement for any number of rows.
    many: String,
    /// What takes no more rows than a vector has, and the statement over it.
    few: Option<(List, String)>,
}

impl Source {
    fn new(schema: &SchemaSnapshot, lists: &HashMap<Fields, List>) -> Result<Self, Fault> {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let (columns, stored) = names::stored_columns(schema);
        let into = format!(
            "INSERT INTO {} ({})",
            names::table(schema),
            stored.join(", ")
        );
        let types = types_of(&schema.record_layout().project(&columns)?);
        let few = lists.get(&types).map(|list| {
            let statement = format!("{into} {}", list.select());
            (list.clone(), statement)
        });
        Ok(Self {
            number,
            layout: Arc::clone(schema.record_layout()),
            columns,
            many: format!(
                "WITH stored AS ({into} SELECT * FROM {FUNCTION}({number})) SELECT * FROM stored"
            ),
            few,
        })
    }

    fn is_of(&self, schema: &SchemaSnapshot) -> bool {
        Arc::ptr_eq(&self.layout, schema.record_layout())
    }

    fn insert(&self, connection: &Connection, batches: &[&RecordBatch]) -> Result<(), Fault> {
        let given: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        let stored = batches.iter().map(|batch| batch.project(&self.columns));
        let mut stored = stored.collect::<Result<VecDeque<_>, _>>()?;
        let only = if stored.len() == 1 && given <= VECTOR_ROWS {
            stored.pop_front()
        } else {
            None
        };
        let inserted = match (only, &self.few) {
            (Some(only), Some((list, statement))) => {
                list.offer(only, || execute(connection, statement))?
            }
            (only, _) => {
                stored.extend(only);
                self.offer(stored, || stream(connection, &self.many))?
            }
        };
        if inserted == given {
            return Ok(());
        }
        Err(Fault::bug(format!("{inserted} of {given} records stored")))
    }

    /// Offers rows to the table function while something runs.
    fn offer<T>(
        &self,
        batches: VecDeque<RecordBatch>,
        run: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let layout = Arc::new(self.layout.project(&self.columns)?);
        let offer = Offer { layout, batches };
        OFFERS.lock().insert(self.number, offer);
        let done = run();
        // Not taken where the statement failed before it read.
        if let Some(offer) = OFFERS.lock().get_mut(&self.number) {
            offer.batches.clear();
        }
        done
    }
}

fn execute(connection: &Connection, statement: &str) -> Result<usize, Fault> {
    let mut statement = connection.prepare_cached(statement)?;
    Ok(statement.execute([])?)
}

/// Carries out an INSERT that is a part of a query for the number of its rows. The result of a
/// query can be streamed, and then this thread sleeps while one of the engine's works; in a plain
/// statement it would look for work without a pause, at the cost of a core.
fn stream(connection: &Connection, statement: &str) -> Result<usize, Fault> {
    let mut statement = connection.prepare_cached(statement)?;
    let mut stored = 0;
    for counts in statement.stream_arrow([])? {
        let counts = counts?;
        let counts = counts.column(0).as_primitive_opt::<Int64Type>();
        let counts = counts.ok_or_else(|| Fault::bug("no number of rows".to_owned()))?;
        stored += counts.values().iter().sum::<i64>();
    }
    usize::try_from(stored).map_err(|error| Fault::bug(error.to_string()))
}

impl Drop for Source {
    fn drop(&mut self) {
        OFFERS.lock().remove(&self.number);
    }
}

/// The types of columns, under names that tell the position alone.
fn types_of(layout: &arrow_schema::Schema) -> Fields {
    let fields = layout.fields().iter().enumerate().map(|(position, field)| {
        Field::new(format!("f{position}"), field.data_type().clone(), true)
            .with_metadata(field.metadata().clone())
    });
    fields.collect()
}

/// A scalar function without parameters that gives the rows offered to it, as a list.
#[derive(Debug, Clone)]
struct List {
    name: String,
    types: Fields,
    rows: Slot,
}

/// Where the rows lie until the function is called.
type Slot = Arc<Mutex<Option<StructArray>>>;

thread_local! {
    /// What the function that is being registered returns: the interface asks its type, not it.
    static RETURNED: RefCell<Option<LogicalTypeHandle>> = const { RefCell::new(None) };
}

impl List {
    fn register(connection: &Connection, types: &Fields) -> Result<Self, Fault> {
        let members = types.iter().map(|field| {
            let kind = to_duckdb_logical_type_for_field(field)
                .map_err(|error| Fault::bug(error.to_string()))?;
            Ok((field.name().as_str(), kind))
        });
        let members = members.collect::<Result<Vec<_>, Fault>>()?;
        let row = LogicalTypeHandle::struct_type(&members);
        RETURNED.set(Some(LogicalTypeHandle::list(&row)));
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let list = Self {
            name: format!("{FUNCTION}_{number}"),
            types: types.clone(),
            rows: Slot::default(),
        };
        connection.register_scalar_function_with_state::<Listed>(&list.name, &list.rows)?;
        Ok(list)
    }

    /// A query for the rows, each column by itself.
    fn select(&self) -> String {
        let columns: Vec<String> = self
            .types
            .iter()
            .map(|field| format!("r.{}", field.name()))
            .collect();
        let (columns, name) = (columns.join(", "), &self.name);
        format!("SELECT {columns} FROM (SELECT unnest({name}()) AS r)")
    }

    /// Offers rows to the function while something runs.
    fn offer<T>(
        &self,
        rows: RecordBatch,
        run: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let rows = StructArray::try_new(self.types.clone(), rows.columns().to_vec(), None)?;
        *self.rows.lock() = Some(rows);
        let done = run();
        // Not taken where the statement failed before it read.
        self.rows.lock().take();
        done
    }
}

/// The scalar function.
struct Listed;

impl VScalar for Listed {
    type State = Slot;

    fn invoke(
        rows: &Slot,
        _: &mut DataChunkHandle,
        output: &mut dyn WritableVector,
    ) -> Result<(), Box<dyn Error>> {
        let rows = rows.lock().take().ok_or("nothing is offered")?;
        let item = Field::new_list_field(DataType::Struct(rows.fields().clone()), true);
        let lengths = OffsetBuffer::from_lengths([rows.len()]);
        let list = ListArray::try_new(Arc::new(item), lengths, Arc::new(rows), None)?;
        let list: ArrayRef = Arc::new(list);
        write_arrow_array_to_vector(&list, output)
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        let returned = RETURNED.take().into_iter();
        returned
            .map(|returned| ScalarFunctionSignature::exact(Vec::new(), returned))
            .collect()
    }

    /// Else the engine would call it once, when it plans.
    fn volatile() -> bool {
        true
    }
}

/// The table function.
struct Rows;

/// One execution of a statement: what it has still to read.
#[derive(Default)]
struct Scan(Mutex<Rest>);

#[derive(Default)]
struct Rest {
    /// Whether the offer was taken.
    has_begun: bool,
    batches: VecDeque<RecordBatch>,
    /// How many rows of the first batch were read.
    read: usize,
}

impl Rest {
    fn next(&mut self, number: i64) -> Option<RecordBatch> {
        if !self.has_begun {
            self.batches = std::mem::take(&mut OFFERS.lock().get_mut(&number)?.batches);
            self.has_begun = true;
        }
        let rows = self.batches.front()?;
        let count = VECTOR_ROWS.min(rows.num_rows() - self.read);
        let next = rows.slice(self.read, count);
        self.read += count;
        if self.read == rows.num_rows() {
            self.batches.pop_front();
            self.read = 0;
        }
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

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use staffa_domain::{SchemaSnapshot, StampedBatch, Value};
    use staffa_testkit::{builders, schemas};

    use super::Sources;
    use crate::engine::Link;
    use crate::sql::{Sql, names};
    use crate::types::sql_type;

    fn make_table(link: &Link, schema: &SchemaSnapshot) {
        let properties = schema.schema().properties.iter();
        let kinds = properties.map(|property| sql_type(&property.property_type));
        let system = ["UUID", "TIMESTAMP", "TIMESTAMP", "BIGINT"].map(std::borrow::Cow::Borrowed);
        let (_, stored) = names::stored_columns(schema);
        let columns = stored.iter().zip(system.into_iter().chain(kinds));
        let columns: Vec<String> = columns
            .map(|(name, kind)| format!("{name} {kind}"))
            .collect();
        let (table, columns) = (names::table(schema), columns.join(", "));
        let sql = format!("CREATE SCHEMA records; CREATE TABLE {table} ({columns})");
        link.execute_batch(&sql).unwrap();
    }

    fn count(link: &Link, schema: &SchemaSnapshot) -> i64 {
        let sql = Sql::new(format!("SELECT count(*) FROM {}", names::table(schema)));
        let found = sql.fetch(link).unwrap();
        found[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    #[test]
    fn several_batches_are_one_statement() {
        let link = Link::in_memory();
        let sources = Sources::default();
        let schema = schemas::orders();
        make_table(&link, &schema);
        let batch = |first: u64, rows: usize| {
            let mut values = vec![Value::Null; schema.schema().properties.len()];
            values[0] = Value::String("A".to_owned());
            builders::numbered(&schema, first, &vec![values; rows])
        };
        let batches = [
            batch(1, 3_000),
            batch(1, 0),
            batch(5_000, 1),
            batch(6_000, 2_048),
        ];
        let records = || batches.iter().map(StampedBatch::records);
        sources.append(&link, &schema, records()).unwrap();
        assert_eq!(count(&link, &schema), 5_049);
        // Nothing is left over, not even where a statement fails.
        link.execute_batch("BEGIN; SELECT failing").unwrap_err();
        sources.append(&link, &schema, records()).unwrap_err();
        link.execute_batch("ROLLBACK").unwrap();
        sources.append(&link, &schema, records().take(1)).unwrap();
        assert_eq!(count(&link, &schema), 8_049);
    }

    #[test]
    fn short_appends_come_by_the_list_through_rollbacks_and_changes() {
        let link = Link::in_memory();
        let sources = Sources::default();
        let schema = schemas::orders();
        make_table(&link, &schema);
        let mut values = vec![Value::Null; schema.schema().properties.len()];
        values[0] = Value::String("A".to_owned());
        let batch = builders::numbered(&schema, 1, &vec![values; 3]);
        let append = || sources.append(&link, &schema, [batch.records()]).unwrap();
        let by_list = || sources.sources.borrow()[schema.name()].few.is_some();
        append();
        assert!(!by_list(), "nothing was prepared");
        sources.prepare(&link, &schema).unwrap();
        append();
        assert!(by_list());
        link.execute_batch("BEGIN").unwrap();
        append();
        link.execute_batch("ROLLBACK").unwrap();
        append();
        assert_eq!(count(&link, &schema), 9);
        link.execute_batch("CREATE TABLE other (n BIGINT)").unwrap();
        link.forget_plans();
        sources.prepare(&link, &schema).unwrap();
        append();
        assert!(by_list());
        assert_eq!(count(&link, &schema), 12);
    }
}
