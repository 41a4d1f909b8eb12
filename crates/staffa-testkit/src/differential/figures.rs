//! Random figures: both engines must find the same groups in the same order, with the same
//! figures in them.

use std::sync::Arc;

use staffa_domain::ports::Storage;
use staffa_domain::query::Aggregate;
use staffa_domain::{SchemaSnapshot, Value};

use super::{Plan, Random, fill};
use crate::conformance::aggregates::ask;
use crate::strategies::{Figures, aggregate, is_exact, row, summable_row};

/// How far apart two doubles may be that no engine computes to the last bit: averages of
/// decimals, deviations and percentiles, where the order of the sum or the formula decides the
/// last digits. Of all other figures every bit is compared.
const SLACK: f64 = 1e-9;

/// Puts the same random records into two fresh engines and asks both for the same figures.
///
/// # Panics
/// When an answer differs; the seed, the case and the question are in the message.
pub async fn check_figures(
    (left, right): (&Storage, &Storage),
    schema: &Arc<SchemaSnapshot>,
    figures: Figures,
    plan: Plan,
) {
    let mut random = Random::new(plan.seed);
    let rows = match figures {
        Figures::OfAll => row(schema),
        Figures::OfSummable => summable_row(schema),
    };
    fill(&[left, right], schema, random.many(&rows, plan.records)).await;
    let questions = aggregate(schema, figures);
    for case in 0..plan.cases {
        let question = random.next(&questions);
        let name = schema.name();
        let place = format!("{name}, seed {}, case {case}: {question:?}", plan.seed);
        let (expected, found) = (ask(left, &question).await, ask(right, &question).await);
        assert_eq!(found.len(), expected.len(), "{place}");
        for (found, expected) in found.iter().zip(&expected) {
            let alike = found.iter().zip(expected).enumerate();
            let mut alike = alike.map(|(output, pair)| is_same(&question, output, pair));
            assert!(
                alike.all(|same| same),
                "{place}\n{found:?}\nis not {expected:?}"
            );
        }
    }
}

fn is_same(question: &Aggregate, output: usize, pair: (&Value, &Value)) -> bool {
    let metric = output.checked_sub(question.group_by.len());
    let metric = metric.map(|place| &question.metrics[place]);
    match pair {
        (Value::Number(found), Value::Number(expected))
            if metric.is_some_and(|metric| !is_exact(&question.schema, metric)) =>
        {
            (found - expected).abs() <= SLACK * expected.abs().max(1.0)
        }
        (found, expected) => found == expected,
    }
}
