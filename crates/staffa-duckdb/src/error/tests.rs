//! One real engine error per class, so that an engine bump with other words fails here.

use duckdb::Connection;

use staffa_domain::StorageError;
use staffa_domain::error::Unavailable;

use super::{Class, Fault};

fn two() -> (Connection, Connection) {
    let one = Connection::open_in_memory().unwrap();
    one.execute_batch("CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT)")
        .unwrap();
    one.execute_batch("INSERT INTO t VALUES (1, 1)").unwrap();
    let other = one.try_clone().unwrap();
    (one, other)
}

fn class_of(result: Result<(), duckdb::Error>) -> Class {
    Fault::from(result.unwrap_err()).class
}

#[test]
fn a_taken_key_is_a_constraint() {
    let (one, _) = two();
    let result = one.execute_batch("INSERT INTO t VALUES (1, 2)");
    assert_eq!(class_of(result), Class::Constraint);
}

#[test]
fn a_key_taken_meanwhile_is_a_constraint_at_commit() {
    let (one, other) = two();
    one.execute_batch("BEGIN; INSERT INTO t VALUES (2, 2)")
        .unwrap();
    other
        .execute_batch("BEGIN; INSERT INTO t VALUES (2, 3)")
        .unwrap();
    one.execute_batch("COMMIT").unwrap();
    assert_eq!(class_of(other.execute_batch("COMMIT")), Class::Constraint);
}

#[test]
fn a_key_that_an_appender_repeats_is_a_constraint() {
    let (one, _) = two();
    one.execute_batch("BEGIN").unwrap();
    for _ in 0..2 {
        let mut appender = one.appender("t").unwrap();
        appender.append_row([7_i64, 7]).unwrap();
        if let Err(error) = appender.flush() {
            assert_eq!(class_of(Err(error)), Class::Constraint);
            return;
        }
    }
    panic!("the second flush fails");
}

#[test]
fn two_updates_of_one_record_conflict() {
    let (one, other) = two();
    one.execute_batch("BEGIN; UPDATE t SET v = 2").unwrap();
    let result = other.execute_batch("BEGIN; UPDATE t SET v = 3");
    assert_eq!(class_of(result), Class::Conflict);
}

#[test]
fn an_altered_table_conflicts() {
    let (one, other) = two();
    one.execute_batch("BEGIN; INSERT INTO t VALUES (5, 5)")
        .unwrap();
    other
        .execute_batch("ALTER TABLE t ADD COLUMN w BIGINT")
        .unwrap();
    let result = one.execute_batch("INSERT INTO t VALUES (6, 6)");
    let result = result.and_then(|()| one.execute_batch("COMMIT"));
    assert_eq!(class_of(result), Class::Conflict);
}

#[test]
fn a_query_beyond_its_time_is_interrupted() {
    let (one, _) = two();
    one.execute_batch("SET max_execution_time = 20").unwrap();
    let result =
        one.execute_batch("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b");
    assert_eq!(class_of(result), Class::Interrupted);
}

#[test]
fn a_missing_table_or_column_is_missing() {
    let (one, _) = two();
    assert_eq!(
        class_of(one.execute_batch("SELECT * FROM nope")),
        Class::Missing
    );
    assert_eq!(
        class_of(one.execute_batch("SELECT nope FROM t")),
        Class::Missing
    );
}

#[test]
fn too_little_memory_is_out_of_memory() {
    let (one, _) = two();
    one.execute_batch("SET memory_limit = '8MB'; SET max_temp_directory_size = '0KB'")
        .unwrap();
    let result = one.execute_batch(
        "SELECT count(*) FROM (SELECT DISTINCT hash(range), range FROM range(5000000))",
    );
    assert_eq!(class_of(result), Class::OutOfMemory);
}

#[test]
fn a_failed_checkpoint_after_a_commit_is_durable() {
    let text =
        "FATAL Error: Transaction COMMIT succeeded and is durable, but the autocheckpoint failed.";
    let error = duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(text.to_owned()));
    assert_eq!(Fault::from(error).class, Class::DurableButInvalid);
}

#[test]
fn a_figure_that_its_type_cannot_hold_is_out_of_range() {
    let (one, _) = two();
    let result =
        one.execute_batch("CREATE TABLE big AS SELECT CAST(sum(v) + 1e300 AS BIGINT) FROM t");
    assert_eq!(class_of(result), Class::OutOfRange);
}

#[test]
fn a_disk_that_fails_is_no_bug_of_ours() {
    let fault = Fault::of(
        "TransactionContext Error: Failed to commit: Could not write file \"/data/x.wal\": \
         Input/output error",
    );
    assert_eq!(fault.class, Class::Disk);
    let told = fault.into_storage_error();
    let expected = StorageError::Unavailable(Unavailable::Reopening);
    assert_eq!(told.to_string(), expected.to_string());
}
