//! A plan of change as the API answers it.

use serde_json::{Map, Value as Json, json};

use staffa_domain::change::{ChangePlan, Example, Step};

use crate::text::format::value_json;

/// A plan for so many records: what it costs in all, then step by step.
pub fn plan_json(plan: &ChangePlan, records: u64) -> Json {
    json!({
        "class": plan.class().as_str(),
        "blocks": plan.blocks().as_str(),
        "estimated_ms": if plan.is_empty() { 0 } else { plan.estimate_ms(records) },
        "steps": steps_json(plan, records),
    })
}

/// The steps alone, for the change log too.
pub fn steps_json(plan: &ChangePlan, records: u64) -> Json {
    plan.steps()
        .iter()
        .map(|step| step_json(step, records))
        .collect()
}

fn step_json(step: &Step, records: u64) -> Json {
    let mut out = Map::new();
    out.insert("step".into(), step.word().into());
    if let Some(property) = step.property() {
        out.insert("property".into(), property.as_str().into());
    }
    if let Step::RenameProperty { from, .. } = step {
        out.insert("renamed_from".into(), from.as_str().into());
    }
    out.insert("class".into(), step.class().as_str().into());
    out.insert("blocks".into(), step.blocks().as_str().into());
    out.insert("records".into(), step.records(records).into());
    out.insert("estimated_ms".into(), step.estimate_ms(records).into());
    out.insert("message".into(), step.to_string().into());
    Json::Object(out)
}

/// The value of an example; null where it has none.
pub fn example_value(example: &Example) -> Json {
    let value = example.value.as_ref();
    value.map_or(Json::Null, |value| {
        value_json(&example.property_type, value)
    })
}
