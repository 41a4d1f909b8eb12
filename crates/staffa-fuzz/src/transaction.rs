//! Transactions: what is read of an operation, and what takes the place of references.

use serde::de::IgnoredAny;

use staffa_codec::decode::{
    Step, TransactionProblem, TransactionReader, find_member, read_text, resolve_references,
};

use crate::common::{check_decode_error, check_pointer, check_question_problem};

const OPERATIONS_MAX: usize = 16;
const DEPTH_MAX: usize = 16;

/// A transaction, operation by operation.
pub(crate) fn check(bytes: &[u8]) {
    let mut reader = TransactionReader::new(bytes, OPERATIONS_MAX, DEPTH_MAX);
    for count in 0.. {
        match reader.next_step() {
            Ok(Some(step)) => check_step(&step),
            Ok(None) => {
                assert!(is_json(bytes), "a transaction is JSON");
                assert!(matches!(reader.next_step(), Ok(None)), "over is over");
                return;
            }
            Err(TransactionProblem::Text(error)) => return check_decode_error(&error),
            Err(TransactionProblem::Form(problem)) => return check_question_problem(&problem, ""),
        }
        assert!(count < OPERATIONS_MAX, "more operations than may be");
    }
}

fn check_step(step: &Step<'_>) {
    assert!(!step.verb.as_str().is_empty());
    let values = [step.id, step.data, step.if_match, step.filters];
    for value in values.into_iter().flatten() {
        assert!(is_json(value), "a value is JSON");
        if let Some(text) = read_text(value) {
            assert_eq!(value.first(), Some(&b'"'), "{text}");
        }
        for path in ["a", "a.b", "data.a"] {
            let found = find_member(value, path);
            assert!(found.is_none_or(is_json), "a member is JSON");
        }
        check_references(value);
    }
}

fn check_references(value: &[u8]) {
    let mut resolve = |path: &str| match path {
        "missing" => Err("there is no such result".to_owned()),
        "null" => Ok(b"null".to_vec()),
        _ => Ok(br#"{"x":[1]}"#.to_vec()),
    };
    match resolve_references(value, &mut resolve) {
        Ok(resolved) => assert!(is_json(&resolved), "it stays JSON"),
        Err(unresolved) => check_pointer(&unresolved.pointer),
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}
