//! What an array comes to once each record has its own value: a dictionary, runs and views may
//! stand for much by few bytes.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, make_array};
use arrow_schema::DataType;

/// What an array comes to that does not hold each record's own value; nothing for one that does,
/// none for one that no property is.
pub(super) fn expansion(array: &ArrayRef) -> Option<usize> {
    match array.data_type() {
        DataType::Dictionary(..) => of_dictionary(array),
        DataType::RunEndEncoded(..) => of_runs(array),
        DataType::Utf8View => (0..array.len()).map(|at| value_bytes(array, at)).sum(),
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let at = |offset: Option<&i32>| usize::try_from(*offset?).ok();
            let first = at(lists.value_offsets().first())?;
            let last = at(lists.value_offsets().last())?;
            expansion(&lists.values().slice(first, last.checked_sub(first)?))
        }
        _ => Some(0),
    }
}

/// Refuses an array that would take more than this.
pub(super) fn check_expansion(array: &ArrayRef, bytes_max: usize) -> Result<(), String> {
    match expansion(array) {
        None => Err(format!(
            "has the type {}, which does not fit",
            array.data_type()
        )),
        Some(bytes) if bytes > bytes_max => Err(format!(
            "comes to more than the {bytes_max} bytes that are left for {} records; send smaller batches",
            array.len()
        )),
        Some(_) => Ok(()),
    }
}

fn of_dictionary(array: &ArrayRef) -> Option<usize> {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    if values.is_empty() {
        return Some(0);
    }
    let keys = dictionary.normalized_keys().into_iter().enumerate();
    keys.filter(|(row, _)| dictionary.keys().is_valid(*row))
        .map(|(_, key)| value_bytes(values, key))
        .sum()
}

/// As if every record had the longest value.
fn of_runs(array: &ArrayRef) -> Option<usize> {
    let data = array.to_data();
    let values = make_array(data.child_data().get(1)?.clone());
    let mut longest = 0;
    for at in 0..values.len() {
        longest = longest.max(value_bytes(&values, at)?);
    }
    Some(longest.saturating_mul(array.len()))
}

/// The bytes of a value; none for what no property is.
fn value_bytes(values: &ArrayRef, at: usize) -> Option<usize> {
    match values.data_type() {
        DataType::Utf8 => Some(values.as_string::<i32>().value(at).len()),
        DataType::LargeUtf8 => Some(values.as_string::<i64>().value(at).len()),
        DataType::Utf8View => Some(values.as_string_view().value(at).len()),
        DataType::FixedSizeBinary(len) => usize::try_from(*len).ok(),
        DataType::Boolean | DataType::Null => Some(1),
        other => other.primitive_width(),
    }
}
