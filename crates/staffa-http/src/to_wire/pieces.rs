//! Batches cut into pieces that are encoded in one go: some 200 µs of work each, so that no
//! other request waits long for the thread.

use arrow_array::RecordBatch;

/// Bytes of encoded records in one piece.
const PIECE_BYTES: usize = 96 << 10;
/// Records in the first piece, when nothing is known of their size; small, so that the first
/// byte leaves early.
const FIRST_ROWS: usize = 64;
const ROWS_MAX: usize = 4_096;

/// Cuts batches by what their records turned out to cost.
#[derive(Debug)]
pub(crate) struct Cutter {
    rows: usize,
}

impl Default for Cutter {
    fn default() -> Self {
        Self { rows: FIRST_ROWS }
    }
}

impl Cutter {
    /// The next piece of a batch, from a row on; `None` at its end.
    pub(crate) fn cut(&self, batch: &RecordBatch, from: usize) -> Option<RecordBatch> {
        let left = batch
            .num_rows()
            .checked_sub(from)
            .filter(|left| *left > 0)?;
        Some(batch.slice(from, left.min(self.rows)))
    }

    /// Learns from a piece what a record costs.
    pub(crate) fn learn(&mut self, rows: usize, bytes: usize) {
        let of_one = bytes / rows.max(1) + 1;
        self.rows = (PIECE_BYTES / of_one).clamp(1, ROWS_MAX);
    }
}
