//! Random questions: the reference engine agrees with itself, and the comparison notices
//! engines that do not agree.

use staffa_domain::ports::Storage;
use staffa_testkit::conformance::run;
use staffa_testkit::differential::{Plan, check, check_alone};
use staffa_testkit::{MemoryEngine, schemas};

const PLAN: Plan = Plan {
    seed: 1,
    records: 150,
    cases: 200,
};

async fn open() -> Storage {
    MemoryEngine::open()
}

#[test]
fn the_engine_does_not_contradict_itself() {
    run(open, async |storage: Storage| {
        check_alone(&storage, &schemas::all_types(), PLAN).await;
    });
}

#[test]
fn two_engines_answer_alike() {
    run(open, async |storage: Storage| {
        check(&MemoryEngine::open(), &storage, &schemas::all_types(), PLAN).await;
    });
}
