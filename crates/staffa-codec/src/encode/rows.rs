//! Any flat batch as JSON objects, by the names of its Arrow fields: the answer of an
//! aggregation.

use arrow_array::RecordBatch;
use staffa_domain::query::{Aggregate, Metric, MetricKind};
use staffa_domain::schema::PropertyType;

use super::EncodeError;
use super::column::{Column, is_json};
use crate::text::format::push_json_string;

/// Appends every group of an aggregation's answer as an object, elements of a JSON list whose
/// brackets the caller writes. `first` says that no element was written yet, and is cleared by
/// the first. Exact sums of integers are JSON numbers, of decimals texts.
pub fn encode_groups(
    question: &Aggregate,
    batch: &RecordBatch,
    out: &mut Vec<u8>,
    first: &mut bool,
) -> Result<(), EncodeError> {
    let bare: Vec<bool> = std::iter::repeat_n(false, question.group_by.len())
        .chain(question.metrics.iter().map(|m| sums_integers(question, m)))
        .collect();
    push_rows(batch, |index| bare.get(index) == Some(&true), out, first)
}

fn sums_integers(question: &Aggregate, metric: &Metric) -> bool {
    let of = |field: staffa_domain::Field| field.property_type(&question.schema);
    metric.kind == MetricKind::Sum && metric.field.map(of) == Some(&PropertyType::Integer)
}

/// Appends every row of a batch of any layout in the same way. Sixteen bytes of fixed size are
/// a UUID.
#[cfg(test)]
pub(crate) fn encode_rows(
    batch: &RecordBatch,
    out: &mut Vec<u8>,
    first: &mut bool,
) -> Result<(), EncodeError> {
    push_rows(batch, |_| false, out, first)
}

/// Appends rows; `is_bare` says of which arrays the values stand without quotes.
pub(crate) fn push_rows(
    batch: &RecordBatch,
    is_bare: impl Fn(usize) -> bool,
    out: &mut Vec<u8>,
    first: &mut bool,
) -> Result<(), EncodeError> {
    let layout = batch.schema_ref();
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (index, (field, array)) in layout.fields().iter().zip(batch.columns()).enumerate() {
        let mut key = Vec::new();
        if index > 0 {
            key.push(b',');
        }
        push_json_string(&mut key, field.name());
        key.push(b':');
        columns.push((key, Column::new(array, is_json(field))?, is_bare(index)));
    }
    for row in 0..batch.num_rows() {
        out.extend_from_slice(if *first { b"{" } else { b",{" });
        *first = false;
        for (key, column, is_bare) in &columns {
            out.extend_from_slice(key);
            if *is_bare && !column.is_null(row) {
                column.push_bare(row, out);
            } else {
                column.push_json(row, out);
            }
        }
        out.push(b'}');
    }
    Ok(())
}
