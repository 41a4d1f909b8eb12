//! Fences: values of one field, taken at random from the records and sorted, so that between
//! two neighbours lie about as many records as between any other two.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use duckdb::Connection;
use parking_lot::Mutex;
use staffa_domain::{Field, SchemaSnapshot, Sort, Value};

use crate::error::Fault;
use crate::sql::select;
use crate::types::value_at;

/// How many fields have fences at a time: all of them together take 16 MiB, or up to four times
/// that where the fields are texts.
const FIELDS_MAX: usize = 8;
/// How many characters of a text a fence has. A prefix is as good a guess.
const TEXT_MAX: usize = 16;
/// Making fences anew may take the hundredth part of the time.
const PAUSE_FACTOR: u32 = 100;
/// The least time between two makings.
const PAUSE_MIN: Duration = Duration::from_secs(10);

/// When fences are made, and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// How many a field has at most. More make a page's stretch shorter and cost memory: 32 bytes
    /// each, and of a text its bytes besides.
    pub(super) fences_max: usize,
    /// From how many records on they pay.
    pub(super) records_min: u64,
    /// The offset from which counting what is left out costs less than sorting it.
    pub(super) deep_offset: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            fences_max: 1 << 16,
            records_min: 200_000,
            deep_offset: 5_000,
        }
    }
}

/// The fences of one field.
#[derive(Debug)]
pub(super) struct Fence {
    /// The values, ascending.
    values: Vec<Value>,
    /// How many records lie between two neighbours, about.
    stretch: f64,
    /// What looks by this field took since the fences were made.
    costs: Costs,
}

/// What the last look of each kind took, in nanoseconds; zero where there was none.
#[derive(Debug, Default)]
struct Costs {
    alone: AtomicU64,
    joint: AtomicU64,
}

/// A field of one version of a schema.
type Key = (String, u32, Field);

#[derive(Debug)]
struct Kept {
    /// None where the records are too few.
    fence: Option<Arc<Fence>>,
    made: Instant,
    took: Duration,
    is_being_made: bool,
}

impl Kept {
    /// Whether it is time to make them anew.
    fn is_old(&self) -> bool {
        self.made.elapsed() >= (self.took * PAUSE_FACTOR).max(PAUSE_MIN)
    }
}

/// Whose turn it is.
enum Turn {
    /// These are good enough, or somebody else is at it.
    Kept(Option<Arc<Fence>>),
    /// The caller makes them.
    Make,
}

/// The fences that were asked for last.
#[derive(Debug, Default)]
pub(super) struct Fences {
    pub(super) sizes: Sizes,
    of_fields: Mutex<HashMap<Key, Kept>>,
}

impl Fences {
    #[cfg(test)]
    pub(super) fn with(sizes: Sizes) -> Self {
        Self {
            sizes,
            ..Self::default()
        }
    }

    /// The fences of a field; none where there are not records enough, or while somebody else
    /// makes them for the first time.
    pub(super) fn of(
        &self,
        connection: &Connection,
        schema: &SchemaSnapshot,
        field: Field,
    ) -> Result<Option<Arc<Fence>>, Fault> {
        let key = (schema.name().to_owned(), schema.version(), field);
        if let Turn::Kept(fence) = self.turn(&key) {
            return Ok(fence);
        }
        let started = Instant::now();
        let made = make(connection, schema, field, self.sizes);
        let mut fences = self.of_fields.lock();
        match made {
            Ok(fence) => {
                let kept = Kept {
                    fence: fence.clone(),
                    made: Instant::now(),
                    took: started.elapsed(),
                    is_being_made: false,
                };
                fences.insert(key, kept);
                Ok(fence)
            }
            Err(fault) => {
                fences.remove(&key);
                Err(fault)
            }
        }
    }

    /// The fences of a field that were made, unless it is time to make them anew.
    pub(super) fn made(&self, schema: &SchemaSnapshot, field: Field) -> Option<Arc<Fence>> {
        let key = (schema.name().to_owned(), schema.version(), field);
        let fences = self.of_fields.lock();
        let kept = fences.get(&key).filter(|kept| !kept.is_old())?;
        kept.fence.clone()
    }

    /// What is kept, unless it is the caller's turn to make it.
    fn turn(&self, key: &Key) -> Turn {
        let mut fences = self.of_fields.lock();
        if let Some(kept) = fences.get_mut(key) {
            if kept.is_being_made || !kept.is_old() {
                return Turn::Kept(kept.fence.clone());
            }
            kept.is_being_made = true;
            return Turn::Make;
        }
        if fences.len() >= FIELDS_MAX {
            let oldest = fences.iter().filter(|(_, kept)| !kept.is_being_made);
            let oldest = oldest.min_by_key(|(_, kept)| kept.made);
            match oldest.map(|(key, _)| key.clone()) {
                Some(oldest) => fences.remove(&oldest),
                None => return Turn::Kept(None),
            };
        }
        let kept = Kept {
            fence: None,
            made: Instant::now(),
            took: Duration::ZERO,
            is_being_made: true,
        };
        fences.insert(key.clone(), kept);
        Turn::Make
    }
}

/// How many records there are, which the engine knows without looking.
pub(super) fn records(connection: &Connection, schema: &SchemaSnapshot) -> Result<u64, Fault> {
    let found = select::count(schema, None).fetch(connection)?;
    let count = found.first().map(|batch| value_at(batch.column(0), 0));
    Ok(match count {
        Some(Value::Integer(records)) => u64::try_from(records).unwrap_or(0),
        _ => 0,
    })
}

fn make(
    connection: &Connection,
    schema: &SchemaSnapshot,
    field: Field,
    sizes: Sizes,
) -> Result<Option<Arc<Fence>>, Fault> {
    let records = records(connection, schema)?;
    if records < sizes.records_min {
        return Ok(None);
    }
    let sample = select::sample(schema, field, sizes.fences_max, TEXT_MAX).fetch(connection)?;
    let values: Vec<Value> = sample
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(|row| value_at(batch.column(0), row)))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a guess")]
    let stretch = records as f64 / sizes.fences_max as f64;
    Ok(Some(Arc::new(Fence {
        values,
        stretch,
        costs: Costs::default(),
    })))
}

impl Fence {
    /// Notes what a look for one page took.
    pub(super) fn note_alone(&self, took: Duration) {
        self.costs.alone.store(nanos(took), Ordering::Relaxed);
    }

    /// Notes what a joint look took, which hardly depends on how many pages it is for.
    pub(super) fn note_joint(&self, took: Duration) {
        self.costs.joint.store(nanos(took), Ordering::Relaxed);
    }

    /// Whether one look for so many pages takes less than one for each. Where the records lie
    /// about in the order of the field the engine skips most of them, but not in a joint look.
    pub(super) fn is_joint_worth(&self, pages: usize) -> bool {
        let alone = self.costs.alone.load(Ordering::Relaxed);
        let joint = self.costs.joint.load(Ordering::Relaxed);
        alone > 0 && joint < alone.saturating_mul(pages as u64)
    }
}

fn nanos(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

/// Fences from the front of an order to its end, whichever its direction.
#[derive(Debug)]
pub(super) struct Ladder {
    pub(super) fence: Arc<Fence>,
    pub(super) key: Sort,
}

impl Ladder {
    pub(super) const fn new(fence: Arc<Fence>, key: Sort) -> Self {
        Self { fence, key }
    }

    pub(super) fn len(&self) -> usize {
        self.fence.values.len()
    }

    /// The fence at a place of the order; none beyond its end.
    pub(super) fn at(&self, place: usize) -> Option<&Value> {
        let values = &self.fence.values;
        if self.key.descending {
            values.get(values.len().checked_sub(place + 1)?)
        } else {
            values.get(place)
        }
    }

    /// The place of the first fence that comes after a value.
    pub(super) fn after(&self, value: &Value) -> usize {
        let values = &self.fence.values;
        if self.key.descending {
            values.len() - values.partition_point(|fence| is_less(fence, value, false))
        } else {
            values.partition_point(|fence| is_less(fence, value, true))
        }
    }

    /// How many fences lie between two values, at them included.
    pub(super) fn between(&self, from: &Value, to: &Value) -> usize {
        let values = &self.fence.values;
        let first = values.partition_point(|fence| is_less(fence, from, false));
        let end = values.partition_point(|fence| is_less(fence, to, true));
        end.saturating_sub(first)
    }

    /// How many fences so many records take, for sure enough.
    #[expect(clippy::cast_precision_loss, reason = "a guess")]
    pub(super) fn fences_for(&self, records: u64) -> usize {
        fences_among(records as f64 / self.fence.stretch)
    }

    /// How many fences so many records take, about.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a guess of what is not negative"
    )]
    pub(super) fn fences_of(&self, records: u64) -> usize {
        (records as f64 / self.fence.stretch).ceil() as usize
    }
}

/// How many fences some records have among them at most, in all but one of some two hundred cases.
///
/// The fences are a sample at random, so that their number is about that of a Poisson distribution
/// with this mean. Its deviation is the root of the mean; the rest is for its longer tail.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a guess of what is not negative"
)]
fn fences_among(mean: f64) -> usize {
    (2.6f64.mul_add(mean.sqrt(), mean) + 0.2).ceil() as usize
}

fn is_less(fence: &Value, value: &Value, or_equal: bool) -> bool {
    let order = fence.compare(value);
    order.is_some_and(|order| order.is_lt() || (or_equal && order.is_eq()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use staffa_domain::{Field, Sort, Value};

    use super::{Fence, Ladder};

    fn ladder(descending: bool) -> Ladder {
        let values = [1, 3, 3, 5, 9].map(Value::Integer).to_vec();
        let stretch = 10.0;
        let key = Sort {
            field: Field::Version,
            descending,
            nulls_first: false,
        };
        let costs = super::Costs::default();
        let fence = Fence {
            values,
            stretch,
            costs,
        };
        Ladder::new(Arc::new(fence), key)
    }

    #[test]
    fn few_pages_reach_further_than_their_fences() {
        for mean in [0.01, 0.1, 0.3, 0.65, 1.0, 1.5, 3.0, 6.0, 14.0, 30.0, 100.0] {
            let fences = super::fences_among(mean);
            let mut term = f64::exp(-mean);
            let mut at_most = term;
            for number in 1..=fences {
                term *= mean / f64::from(u32::try_from(number).unwrap());
                at_most += term;
            }
            let more = 1.0 - at_most;
            assert!(more < 0.008, "{more} of {mean}");
        }
    }

    #[test]
    fn places_count_from_the_front_of_the_order() {
        for (value, up, down) in [
            (0, 0, 5),
            (1, 1, 5),
            (3, 3, 4),
            (4, 3, 2),
            (9, 5, 1),
            (10, 5, 0),
        ] {
            let value = Value::Integer(value);
            assert_eq!(ladder(false).after(&value), up, "{value}");
            assert_eq!(ladder(true).after(&value), down, "{value}");
        }
        assert_eq!(ladder(false).at(0), Some(&Value::Integer(1)));
        assert_eq!(ladder(true).at(0), Some(&Value::Integer(9)));
        assert_eq!(ladder(true).at(4), Some(&Value::Integer(1)));
        assert_eq!(ladder(true).at(5), None);
        assert_eq!(ladder(false).at(5), None);
        assert_eq!(ladder(false).fences_of(51), 6);
    }
}
