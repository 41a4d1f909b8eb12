//! A condition that the engine asks of us: whether a value lies in one of many ranges. As SQL
//! it would be a comparison with both ends of each range, which for sixteen ranges takes ten
//! times as long as reading the values.

use std::error::Error;
use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, Int8Array, PrimitiveArray};
use duckdb::Connection;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vscalar::{ScalarFunctionSignature, VScalar};
use duckdb::vtab::arrow::{WritableVector, data_chunk_to_arrow, write_arrow_array_to_vector};
use parking_lot::RwLock;
use staffa_domain::{PropertyType, Value};

use crate::error::Fault;

/// The name of the functions, before the number of the slot that they read.
const FUNCTION: &str = "staffa_among";
/// How many conditions a process asks at a time.
const SLOTS: usize = 16;

/// What is asked. A function of the engine has no state but that of its registration, and a
/// parameter for the number of a slot would be converted for each row, hence one table for the
/// process and a function for each slot.
static ASKED: [RwLock<Option<Arc<Asked>>>; SLOTS] = [const { RwLock::new(None) }; SLOTS];

struct Asked {
    ranges: Ranges,
    is_wanted: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Ranges of values with both their ends, ascending, none of which meets another.
#[derive(Debug, PartialEq)]
pub(super) enum Ranges {
    /// Of numbers.
    Numbers(Vec<(f64, f64)>),
    /// Of whole numbers, which days and microseconds are, too.
    Whole(Vec<(i64, i64)>),
}

/// Whether there are ranges of a type.
pub(super) const fn has_ranges(property_type: &PropertyType) -> bool {
    matches!(
        property_type,
        PropertyType::Number | PropertyType::Integer | PropertyType::Date | PropertyType::Datetime
    )
}

impl Ranges {
    /// The ranges that have what lies between any of these pairs of values; none where these
    /// are not of one type that has ranges.
    pub(super) fn of<'v>(pairs: impl Iterator<Item = (&'v Value, &'v Value)>) -> Option<Self> {
        let mut numbers = Vec::new();
        let mut whole = Vec::new();
        for (from, to) in pairs {
            match (from, to) {
                (Value::Number(from), Value::Number(to)) => numbers.push((*from, *to)),
                (Value::Integer(from), Value::Integer(to)) => whole.push((*from, *to)),
                (Value::Date(from), Value::Date(to)) => {
                    whole.push((i64::from(*from), i64::from(*to)));
                }
                (Value::Datetime(from), Value::Datetime(to)) => {
                    whole.push((from.as_micros(), to.as_micros()));
                }
                _ => return None,
            }
        }
        match (numbers.is_empty(), whole.is_empty()) {
            (false, true) => Some(Self::Numbers(merge(numbers))),
            (true, false) => Some(Self::Whole(merge(whole))),
            _ => None,
        }
    }
}

/// Sorts ranges and joins those that meet.
fn merge<T: PartialOrd + Copy>(mut pairs: Vec<(T, T)>) -> Vec<(T, T)> {
    for pair in &mut pairs {
        if pair.1 < pair.0 {
            *pair = (pair.1, pair.0);
        }
    }
    pairs.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    let mut merged: Vec<(T, T)> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        match merged.last_mut() {
            Some(last) if pair.0 <= last.1 => {
                if last.1 < pair.1 {
                    last.1 = pair.1;
                }
            }
            _ => merged.push(pair),
        }
    }
    merged
}

/// A condition that can be asked for as long as this is kept.
#[derive(Debug)]
pub(super) struct Condition(usize);

impl Condition {
    /// Asks for ranges; none where as many are asked for as can be. Once it is not wanted any
    /// more, the statement that asks it fails.
    pub(super) fn of(
        ranges: Ranges,
        is_wanted: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Option<Self> {
        let asked = Arc::new(Asked {
            ranges,
            is_wanted: Box::new(is_wanted),
        });
        let free = ASKED.iter().position(|slot| {
            let mut slot = slot.write();
            let is_free = slot.is_none();
            if is_free {
                *slot = Some(Arc::clone(&asked));
            }
            is_free
        });
        free.map(Self)
    }

    /// The SQL of it for a column.
    pub(super) fn sql(&self, column: &str) -> String {
        format!("{}({column}) = 1", name(self.0))
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        if let Some(slot) = ASKED.get(self.0) {
            slot.write().take();
        }
    }
}

fn name(slot: usize) -> String {
    format!("{FUNCTION}_{slot}")
}

/// Makes the functions known to an instance.
pub(crate) fn register(connection: &Connection) -> Result<(), Fault> {
    for slot in 0..SLOTS {
        connection.register_scalar_function_with_state::<Among>(&name(slot), &slot)?;
    }
    Ok(())
}

/// The function of a slot.
struct Among;

impl VScalar for Among {
    type State = usize;

    fn invoke(
        slot: &usize,
        input: &mut DataChunkHandle,
        output: &mut dyn WritableVector,
    ) -> Result<(), Box<dyn Error>> {
        let asked = ASKED.get(*slot).and_then(|slot| slot.read().clone());
        let asked = asked.ok_or("no ranges are asked for")?;
        if !(asked.is_wanted)() {
            return Err("nobody waits for it any more".into());
        }
        let values = data_chunk_to_arrow(input)?;
        let found: ArrayRef = Arc::new(among(values.column(0), &asked.ranges)?);
        write_arrow_array_to_vector(&found, output)
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        let types = [
            LogicalTypeId::Double,
            LogicalTypeId::Bigint,
            LogicalTypeId::Date,
            LogicalTypeId::Timestamp,
        ];
        let signature = |id| {
            let returned = LogicalTypeHandle::from(LogicalTypeId::Tinyint);
            ScalarFunctionSignature::exact(vec![LogicalTypeHandle::from(id)], returned)
        };
        types.into_iter().map(signature).collect()
    }
}

/// For each value one if it lies in a range, else zero; a null lies in none. Not a boolean, which
/// the interface hands over one by one.
fn among(values: &ArrayRef, ranges: &Ranges) -> Result<Int8Array, String> {
    let values = values.as_any();
    if let (Some(values), Ranges::Numbers(ranges)) = (values.downcast_ref(), ranges) {
        return Ok(test::<Float64Type, _>(values, ranges, |value| value));
    }
    if let Ranges::Whole(ranges) = ranges {
        if let Some(values) = values.downcast_ref() {
            return Ok(test::<Int64Type, _>(values, ranges, |value| value));
        }
        if let Some(values) = values.downcast_ref() {
            return Ok(test::<TimestampMicrosecondType, _>(values, ranges, |at| at));
        }
        if let Some(values) = values.downcast_ref() {
            return Ok(test::<Date32Type, _>(values, ranges, i64::from));
        }
    }
    Err(format!("{ranges:?} are not of the column's type"))
}

fn test<T: ArrowPrimitiveType, R: PartialOrd + Copy>(
    values: &PrimitiveArray<T>,
    ranges: &[(R, R)],
    wide: impl Fn(T::Native) -> R,
) -> Int8Array {
    let is_among = |value: &T::Native| {
        let value = wide(*value);
        let place = ranges.partition_point(|(from, _)| *from <= value);
        place
            .checked_sub(1)
            .and_then(|place| ranges.get(place))
            .is_some_and(|(_, to)| value <= *to)
    };
    let mut found: Vec<i8> = values.values().iter().map(is_among).map(i8::from).collect();
    if let Some(nulls) = values.nulls() {
        for (found, is_valid) in found.iter_mut().zip(nulls) {
            *found &= i8::from(is_valid);
        }
    }
    Int8Array::from(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use staffa_domain::Value;

    use super::{Condition, Ranges, SLOTS};
    use crate::engine::Link;

    fn ranges(pairs: &[(i64, i64)]) -> Ranges {
        let pairs: Vec<(Value, Value)> = pairs
            .iter()
            .map(|(from, to)| (Value::Integer(*from), Value::Integer(*to)))
            .collect();
        Ranges::of(pairs.iter().map(|(from, to)| (from, to))).unwrap()
    }

    #[test]
    fn ranges_that_meet_are_one() {
        let merged = ranges(&[(9, 7), (1, 3), (20, 30), (3, 5), (22, 25), (10, 10)]);
        assert_eq!(
            merged,
            Ranges::Whole(vec![(1, 5), (7, 9), (10, 10), (20, 30)])
        );
        let mixed = [(Value::Integer(1), Value::Number(2.0))];
        assert_eq!(Ranges::of(mixed.iter().map(|(from, to)| (from, to))), None);
    }

    #[test]
    fn every_type_is_told_apart() {
        let link = Link::in_memory();
        let date = |days| Value::Date(days);
        let cases = [
            ("range::BIGINT", (Value::Integer(3), Value::Integer(5))),
            ("range::DOUBLE", (Value::Number(2.5), Value::Number(5.0))),
            ("DATE '1970-01-01' + range::INTEGER", (date(3), date(5))),
            (
                "make_timestamp(range)",
                (
                    Value::Datetime(staffa_domain::Timestamp::from_micros(3)),
                    Value::Datetime(staffa_domain::Timestamp::from_micros(5)),
                ),
            ),
        ];
        for (column, (from, to)) in &cases {
            let ranges = Ranges::of([(from, to)].into_iter()).unwrap();
            let condition = Condition::of(ranges, || true).unwrap();
            let sql = format!(
                "SELECT list(range) = [3, 4, 5] FROM (SELECT range, CASE WHEN range = 4999
                 THEN NULL ELSE {column} END AS v FROM range(5000)) WHERE {}",
                condition.sql("v")
            );
            let is_so: bool = link.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert!(is_so, "{column}");
        }
    }

    #[test]
    fn nulls_are_in_no_range() {
        let link = Link::in_memory();
        let condition = Condition::of(ranges(&[(-10, 10)]), || true).unwrap();
        let sql = format!(
            "SELECT count(*) FROM (SELECT nullif(range, range % 3) AS v FROM range(10)) WHERE {}",
            condition.sql("v")
        );
        let found: i64 = link.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found, 7, "all but 0, 1 and 2, which are null");
    }

    #[test]
    fn what_nobody_wants_fails() {
        let link = Link::in_memory();
        let is_wanted = Arc::new(AtomicBool::new(true));
        let wanted = Arc::clone(&is_wanted);
        let condition = Condition::of(ranges(&[(0, 1)]), move || wanted.load(Ordering::Relaxed));
        let sql = condition.as_ref().unwrap().sql("range");
        let sql = format!("SELECT count(*) FROM range(10) WHERE {sql}");
        let ask = || link.query_row(&sql, [], |row| row.get::<_, i64>(0));
        assert_eq!(ask().unwrap(), 2);
        is_wanted.store(false, Ordering::Relaxed);
        let error = ask().unwrap_err().to_string();
        assert!(error.contains("nobody waits"), "{error}");
        drop(condition);
        let error = ask().unwrap_err().to_string();
        assert!(error.contains("no ranges"), "{error}");
    }

    #[test]
    fn conditions_do_not_mix() {
        let link = Link::in_memory();
        let conditions: Vec<Condition> = (0..4)
            .map(|number| Condition::of(ranges(&[(number, number)]), || true).unwrap())
            .collect();
        for (number, condition) in (0..).zip(&conditions) {
            let sql = format!(
                "SELECT min(range) FROM range(10) WHERE {}",
                condition.sql("range")
            );
            let found: i64 = link.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(found, number);
        }
        assert!(conditions.iter().all(|condition| condition.0 < SLOTS));
    }
}
