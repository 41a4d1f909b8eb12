//! The temporary tables of a session, and what of each property its records give.

use arrow_array::StringArray;

use staffa_domain::{Given, OnRefusal, SchemaSnapshot, StampedBatch, WriteMode, WriteOptions};

use crate::sql::names;

/// The records; `place` numbers them from one.
pub(super) const STAGE: &str = "pg_temp.staffa_stage";

/// The column that says which properties a record gives: a `1` or a `0` for each.
pub(super) const GIVEN: &str = "given";

/// The places of refused records, and why: the violated index, or [`MISSING`].
pub(super) const REFUSED: &str = "pg_temp.staffa_refused";

/// Stands for an index where a record has no match.
pub(super) const MISSING: &str = "missing";

/// Whether records of such a session go into the temporary table first.
pub(super) fn is_needed(schema: &SchemaSnapshot, options: &WriteOptions) -> bool {
    let may_refuse =
        options.on_refusal != OnRefusal::Fail && !schema.schema().unique_groups().is_empty();
    options.mode != WriteMode::Insert || may_refuse || options.tells_ids
}

/// Whether the records of a mode say which properties they give.
pub(super) const fn has_given(mode: &WriteMode) -> bool {
    matches!(mode, WriteMode::Update { .. })
}

/// The statements that make the temporary tables.
pub(super) fn create(schema: &SchemaSnapshot) -> String {
    format!(
        "CREATE TEMPORARY TABLE staffa_stage (LIKE {}, {GIVEN} text, \
         place bigint GENERATED ALWAYS AS IDENTITY) ON COMMIT DROP; \
         CREATE TEMPORARY TABLE staffa_refused (place bigint PRIMARY KEY, why text NOT NULL) \
         ON COMMIT DROP",
        names::table(schema)
    )
}

/// Which records give one property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
    Never,
    Sometimes,
}

/// What the records of a session give, property by property; empty before the first batch.
#[derive(Debug, Default)]
pub(super) struct Gives(Vec<Presence>);

impl Gives {
    /// Notes what a batch gives; answers it record by record, as [`GIVEN`] has it.
    pub(super) fn note(&mut self, batch: &StampedBatch) -> StringArray {
        let count = batch.schema().schema().properties.len();
        let whole = vec![Given::All; count];
        let given = batch.given().unwrap_or(&whole);
        let now = given.iter().map(|given| match given {
            Given::All => Presence::Always,
            Given::None => Presence::Never,
            Given::Some(_) => Presence::Sometimes,
        });
        if self.0.is_empty() {
            self.0 = now.collect();
        } else {
            for (before, now) in self.0.iter_mut().zip(now) {
                if *before != now {
                    *before = Presence::Sometimes;
                }
            }
        }
        let mark = |row: usize| {
            let marks = given.iter();
            let marks = marks.map(|given| if given.by(row) { '1' } else { '0' });
            Some(marks.collect::<String>())
        };
        (0..batch.len()).map(mark).collect()
    }

    /// Which records give the property at a position.
    pub(super) fn of(&self, position: usize) -> Presence {
        self.0.get(position).copied().unwrap_or(Presence::Never)
    }
}
