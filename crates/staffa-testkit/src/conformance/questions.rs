//! Random questions: an engine must answer them as the reference engine does, and contradict
//! itself in nothing.
//!
//! `STAFFA_TEST_QUESTIONS` sets how many a case asks, `STAFFA_TEST_QUESTIONS_SEED` which.

use std::sync::Arc;

use staffa_domain::SchemaSnapshot;
use staffa_domain::ports::Storage;

use crate::differential::{Plan, check, check_alone, check_figures};
use crate::memory::MemoryEngine;
use crate::schemas::{all_types, all_types_indexed, all_types_required};
use crate::strategies::Figures;

const QUESTIONS: usize = 200;
const RECORDS: usize = 150;

/// Nulls everywhere, indexes everywhere, neither.
fn schemas() -> [Arc<SchemaSnapshot>; 3] {
    [all_types(), all_types_indexed(), all_types_required()]
}

/// The questions of a case, of which each of so many schemas has its part.
fn plan(schemas: usize) -> Plan {
    let questions = setting("STAFFA_TEST_QUESTIONS", QUESTIONS);
    Plan {
        seed: setting("STAFFA_TEST_QUESTIONS_SEED", 1),
        records: RECORDS,
        cases: questions.div_ceil(schemas),
    }
}

/// A number that a longer run sets in the environment.
pub(super) fn setting<T: std::str::FromStr>(name: &str, or: T) -> T {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(or)
}

/// Random trees, orders, selections and positions find the same records in the same order.
pub async fn records_match_the_reference(storage: Storage) {
    for schema in schemas() {
        check(&MemoryEngine::open(), &storage, &schema, plan(3)).await;
    }
}

/// Every tree is true, false or unknown of each record, and pages add up to the stream.
pub async fn answers_do_not_contradict(storage: Storage) {
    for schema in schemas() {
        check_alone(&storage, &schema, plan(3)).await;
    }
}

/// Random groups, conditions on them and orders of them have the same figures.
pub async fn figures_match_the_reference(storage: Storage) {
    let reference = MemoryEngine::open();
    let both = (&reference, &storage);
    check_figures(both, &all_types(), Figures::OfAll, plan(2)).await;
    check_figures(both, &all_types_indexed(), Figures::OfSummable, plan(2)).await;
}
