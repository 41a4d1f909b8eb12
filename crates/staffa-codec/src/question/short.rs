//! Filters in the short form of a URL: `filter[dep_delay][gt]=60`, `filter[carrier]=UA`.

use staffa_domain::query::{Comparison, Filter};
use staffa_domain::schema::SchemaSnapshot;

use super::operand::{Operator, Where, condition};
use super::place::{Place, find_field, read_text};
use super::{Limits, QuestionProblem};
use crate::document::{Kind, Node, step};

/// Reads one parameter. `None` when the name is not of the form `filter[…]`, so that the
/// parameter is another's. Lists are comma-separated, or JSON where a value has a comma.
/// The pointer of a problem is a step of the parameter's name, as if parameters were members.
pub fn parse_filter_param(
    schema: &SchemaSnapshot,
    name: &str,
    value: &str,
) -> Result<Option<Filter>, QuestionProblem> {
    let Some(rest) = name.strip_prefix("filter[") else {
        return Ok(None);
    };
    let pointer = step("", name);
    let malformed = || {
        let message = "expected filter[property] or filter[property][operator]";
        QuestionProblem::invalid(&pointer, message)
    };
    let inner = rest.strip_suffix(']').ok_or_else(malformed)?;
    let (field, operator) = match inner.split_once("][") {
        Some((field, word)) => (field, Operator::find(word, &pointer)?),
        None => (inner, Operator::Compare(Comparison::Eq)),
    };
    if field.contains(['[', ']']) {
        return Err(malformed());
    }
    let field = find_field(schema, field, &pointer)?;
    let node = match operator {
        Operator::In { .. } | Operator::Between if value.starts_with('[') => {
            read_text(value, &pointer)?
        }
        Operator::In { .. } | Operator::Between => {
            let text = |part: &str| Node::new(Kind::Text(part.to_owned()), None);
            Node::new(Kind::List(value.split(',').map(text).collect()), None)
        }
        _ => Node::new(Kind::Text(value.to_owned()), None),
    };
    let at = Where {
        operator: pointer.clone(),
        value: pointer.clone(),
    };
    let place = Place::new(&node, &pointer);
    condition(schema, field, operator, Some(&place), &at).map(Some)
}

/// Reads all parameters of the short form among many; all of them must hold.
pub fn parse_filter_params<'a>(
    schema: &SchemaSnapshot,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    limits: &Limits,
) -> Result<Option<Filter>, QuestionProblem> {
    let mut parts = Vec::new();
    for (name, value) in parameters {
        let Some(filter) = parse_filter_param(schema, name, value)? else {
            continue;
        };
        if parts.len() == limits.conditions_max {
            let message = format!("a filter has at most {} conditions", limits.conditions_max);
            return Err(QuestionProblem::invalid(step("", name), message));
        }
        parts.push(filter);
    }
    Ok(match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Filter::And(parts)),
    })
}
