//! How much memory records take by themselves, whatever buffers they share with others.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// What an array takes beside its values, however few there are.
const ARRAY_BYTES: usize = 256;

/// The bytes of some columns of records: as many as a copy of them would take.
pub fn bytes_of(columns: &[ArrayRef]) -> usize {
    let columns = columns.iter();
    columns.map(|array| ARRAY_BYTES + values(array)).sum()
}

fn values(array: &dyn Array) -> usize {
    let len = array.len();
    let nulls = array.nulls().map_or(0, |_| len.div_ceil(8));
    nulls
        + match array.data_type() {
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                let (first, last) = span(texts.value_offsets());
                (last - first) + (len + 1) * size_of::<i32>()
            }
            DataType::List(_) => {
                let lists = array.as_list::<i32>();
                let (first, last) = span(lists.value_offsets());
                let items = lists.values().slice(first, last - first);
                values(&items) + (len + 1) * size_of::<i32>()
            }
            DataType::Boolean => len.div_ceil(8),
            DataType::FixedSizeBinary(width) => len * usize::try_from(*width).unwrap_or(0),
            other => len * other.primitive_width().unwrap_or(0),
        }
}

fn span(offsets: &[i32]) -> (usize, usize) {
    let at = |offset: Option<&i32>| offset.map_or(0, |at| usize::try_from(*at).unwrap_or(0));
    (at(offsets.first()), at(offsets.last()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, ListArray, RecordBatch, StringArray};

    use super::*;

    #[test]
    fn a_slice_counts_for_itself_alone() {
        let long = "x".repeat(10_000);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![long.as_str(), "ab", &long]));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(1); 1_000]),
            Some(vec![Some(1); 3]),
            None,
        ]);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let columns = [("a", texts), ("b", Arc::new(lists)), ("c", numbers)];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let all = bytes_of(batch.columns());
        assert!((28_000..30_000).contains(&all), "{all}");
        let slice = bytes_of(batch.slice(1, 1).columns());
        // Two letters, three items, a number; what shows which are null and where they end.
        assert_eq!(slice, 3 * ARRAY_BYTES + (2 + 8) + (24 + 8 + 1) + 8);
    }
}
