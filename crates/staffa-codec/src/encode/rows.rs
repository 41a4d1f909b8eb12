//! Any flat batch as JSON objects, by the names of its Arrow fields: the answer of an
//! aggregation.

use arrow_array::RecordBatch;

use super::EncodeError;
use super::column::{Column, is_json};
use crate::text::format::push_json_string;

/// Appends a JSON list with one object a row. Sixteen bytes of fixed size are a UUID.
pub fn encode_rows(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let layout = batch.schema_ref();
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (index, (field, array)) in layout.fields().iter().zip(batch.columns()).enumerate() {
        let mut key = Vec::new();
        if index > 0 {
            key.push(b',');
        }
        push_json_string(&mut key, field.name());
        key.push(b':');
        columns.push((key, Column::new(array, is_json(field))?));
    }
    out.push(b'[');
    for row in 0..batch.num_rows() {
        out.extend_from_slice(if row == 0 { b"{" } else { b",{" });
        for (key, column) in &columns {
            out.extend_from_slice(key);
            column.push_json(row, out);
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(())
}
