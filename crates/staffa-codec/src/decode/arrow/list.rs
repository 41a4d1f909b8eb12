//! Lists: the items of all converted in pieces, and those that do not fit told of their list.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, new_empty_array};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;
use arrow_select::concat::concat;

use staffa_domain::schema::PropertyType;

use super::convert::{Bounds, Converted, Flaw, by_cast, convert, nulled};
use super::expand::check_expansion;
use crate::text::parse::ParseProblem;

/// The bytes that an item takes at the least, whatever it took in its source.
const ITEM_BYTES: usize = 8;
/// How many items are converted before what is wrong with them is told.
const ITEMS_AT_ONCE: usize = 1 << 16;
/// The most items of one list that are told.
const FLAWS_MAX: usize = 100;

pub(super) fn convert_list(
    source: &ArrayRef,
    items: &PropertyType,
    target: &DataType,
    bounds: Bounds,
) -> Result<Converted, String> {
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) =
        source.data_type()
    else {
        return Err(format!(
            "has the type {}, which is no list",
            source.data_type()
        ));
    };
    let DataType::List(field) = target else {
        return Err("has no list in its layout".to_owned());
    };
    let items_max = bounds.bytes_max / ITEM_BYTES;
    let many = || {
        format!(
            "has more than {items_max} items in {} records",
            source.len()
        )
    };
    if let DataType::FixedSizeList(_, size) = source.data_type() {
        let len = usize::try_from(*size).unwrap_or(usize::MAX);
        if len.saturating_mul(source.len()) > items_max {
            return Err(many());
        }
    }
    let list = by_cast(source, &DataType::List(Arc::clone(item)))?;
    let list = list.as_list::<i32>();
    let ends: Vec<usize> = list
        .value_offsets()
        .iter()
        .map(|end| usize::try_from(*end).unwrap_or(0))
        .collect();
    let (Some(first), Some(last)) = (ends.first(), ends.last()) else {
        return Err("has no offsets".to_owned());
    };
    if last - first > items_max {
        return Err(many());
    }
    let values = list.values().slice(*first, last - first);
    check_expansion(&values, bounds.bytes_max)?;
    let mut telling = Telling::new(list, &ends);
    let mut arrays = Vec::new();
    for start in (0..values.len()).step_by(ITEMS_AT_ONCE) {
        let piece = values.slice(start, ITEMS_AT_ONCE.min(values.len() - start));
        let converted = convert(&piece, items, field.data_type(), bounds)?;
        telling.tell(first + start, &converted.array, converted.flaws);
        arrays.push(converted.array);
    }
    let offsets = list
        .value_offsets()
        .iter()
        .map(|end| end - list.value_offsets()[0]);
    let array = ListArray::new(
        Arc::clone(field),
        OffsetBuffer::new(offsets.collect::<ScalarBuffer<_>>()),
        joined(arrays, field.data_type())?,
        list.nulls().cloned(),
    );
    Ok(nulled(Arc::new(array), telling.flaws))
}

fn joined(mut arrays: Vec<ArrayRef>, data_type: &DataType) -> Result<ArrayRef, String> {
    if arrays.len() > 1 {
        let all: Vec<&dyn Array> = arrays.iter().map(|array| &**array).collect();
        return concat(&all).map_err(|_| "holds too much in its lists".to_owned());
    }
    Ok(arrays.pop().unwrap_or_else(|| new_empty_array(data_type)))
}

/// What is wrong with the items, told in their order.
struct Telling<'a> {
    list: &'a ListArray,
    ends: &'a [usize],
    /// The list in which the last item stood, and how many of it were told.
    row: usize,
    told: usize,
    flaws: Vec<Flaw>,
}

impl<'a> Telling<'a> {
    const fn new(list: &'a ListArray, ends: &'a [usize]) -> Self {
        Self {
            list,
            ends,
            row: 0,
            told: 0,
            flaws: Vec::new(),
        }
    }

    /// Tells of the items that begin at `start`: each that stands as null has its flaw, or is
    /// one by itself.
    fn tell(&mut self, start: usize, items: &ArrayRef, flaws: Vec<Flaw>) {
        if items.null_count() == 0 {
            return;
        }
        let mut flaws = flaws.into_iter().peekable();
        for index in (0..items.len()).filter(|index| items.is_null(*index)) {
            let flaw = flaws.next_if(|flaw| flaw.row == index);
            while self.ends[self.row + 1] <= start + index {
                self.row += 1;
                self.told = 0;
            }
            if self.list.is_null(self.row) || self.told == FLAWS_MAX {
                continue;
            }
            self.told += 1;
            let null = || ParseProblem::mismatch("an item cannot be null");
            let problem = flaw.map_or_else(null, |flaw| ParseProblem {
                code: flaw.code,
                message: flaw.message,
            });
            let pointer = format!("/{}", start + index - self.ends[self.row]);
            self.flaws.push(Flaw {
                pointer,
                ..Flaw::new(self.row, problem)
            });
        }
    }
}
