//! The columns of a row group, encoded by several threads at once: whoever is free takes the
//! next column.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Field;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::errors::ParquetError;

/// More threads than these gain little, and other requests want to be served, too.
const THREADS_MAX: usize = 4;
/// Fewer records than these are not worth a second thread.
const ROWS_SHARED_MIN: usize = 1_024;

/// How many threads work on one row group: all cores but the one that reads the records. Asking
/// the system costs more than a little.
static THREADS: LazyLock<usize> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.saturating_sub(1).clamp(1, THREADS_MAX)
});

/// One column of the row group that is being filled.
pub(super) struct Column {
    writer: ArrowColumnWriter,
    rows: usize,
}

impl Column {
    pub(super) const fn new(writer: ArrowColumnWriter) -> Self {
        Self { writer, rows: 0 }
    }

    /// How many bytes it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.writer.get_estimated_total_bytes()
    }

    fn write(&mut self, field: &Field, array: &ArrayRef) -> Result<(), ParquetError> {
        // Lists hold values that are none, so there is one leaf, and one writer, of a field.
        for leaf in compute_leaves(field, array)? {
            self.writer.write(&leaf)?;
        }
        self.rows += array.len();
        Ok(())
    }
}

/// Adds the records of a batch to the columns.
pub(super) fn write(columns: &mut [Column], batch: &RecordBatch) -> Result<(), ParquetError> {
    let schema = batch.schema();
    let parts = columns
        .iter_mut()
        .zip(schema.fields().iter().zip(batch.columns()));
    let is_shared = batch.num_rows() >= ROWS_SHARED_MIN;
    share(parts, is_shared, |(column, (field, array))| {
        column.write(field, array)
    })?;
    Ok(())
}

/// Ends the columns; answers them in their order, encoded.
pub(super) fn close(columns: Vec<Column>) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
    let rows = columns.first().map_or(0, |column| column.rows);
    share(columns.into_iter(), rows >= ROWS_SHARED_MIN, |column| {
        column.writer.close()
    })
}

/// Works on all items, on several threads where that is worth it; answers in their order.
fn share<I: Send, R: Send>(
    items: impl Iterator<Item = I> + Send,
    is_shared: bool,
    work: impl Fn(I) -> Result<R, ParquetError> + Sync,
) -> Result<Vec<R>, ParquetError> {
    if !is_shared || *THREADS < 2 {
        return items.map(work).collect();
    }
    let open = Mutex::new(items.enumerate());
    let take = || {
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        open.next()
    };
    let work_on = || {
        let mut done = Vec::new();
        while let Some((at, item)) = take() {
            done.push((at, work(item)?));
        }
        Ok::<_, ParquetError>(done)
    };
    let mut done = thread::scope(|scope| {
        let helpers: Vec<_> = (1..*THREADS).map(|_| scope.spawn(work_on)).collect();
        let mut done = work_on()?;
        for helper in helpers {
            let of_helper = helper.join().map_err(|_| panicked())?;
            done.append(&mut of_helper?);
        }
        Ok::<_, ParquetError>(done)
    })?;
    done.sort_unstable_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

fn panicked() -> ParquetError {
    ParquetError::General("a thread that encodes a column panicked".to_owned())
}
