//! Filters: a list or a tree in JSON to a domain filter.

use staffa_domain::query::Filter;
use staffa_domain::schema::SchemaSnapshot;

use super::operand::{Operator, Where, condition};
use super::place::{Place, read_text};
use super::{Limits, QuestionProblem};
use crate::document::{Kind, Node, step};

/// Reads filters: a list of conditions that must all hold, or a tree. `None` for null and the
/// empty list. Problems have pointers that start with `pointer_base`.
///
/// The value's numbers are taken as `serde_json` holds them: integers exactly, others as
/// doubles. [`parse_filters_text`] keeps every digit of a decimal.
pub fn parse_filters(
    schema: &SchemaSnapshot,
    filters: &serde_json::Value,
    pointer_base: &str,
    limits: &Limits,
) -> Result<Option<Filter>, QuestionProblem> {
    parse_node(schema, &Node::from(filters), pointer_base, limits)
}

/// Reads filters from their JSON text, every number exactly as it is written.
pub fn parse_filters_text(
    schema: &SchemaSnapshot,
    text: &str,
    pointer_base: &str,
    limits: &Limits,
) -> Result<Option<Filter>, QuestionProblem> {
    parse_node(
        schema,
        &read_text(text, pointer_base)?,
        pointer_base,
        limits,
    )
}

pub(super) fn parse_node(
    schema: &SchemaSnapshot,
    node: &Node,
    pointer_base: &str,
    limits: &Limits,
) -> Result<Option<Filter>, QuestionProblem> {
    let place = Place::new(node, pointer_base);
    let mut reader = Reader {
        schema,
        limits,
        conditions: 0,
        connectives: 0,
    };
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::List(_) => {
            let mut parts = reader.parts(&place, 1)?;
            Ok(match parts.len() {
                0 => None,
                1 => parts.pop(),
                _ => Some(Filter::And(parts)),
            })
        }
        _ => reader.tree(&place, 1).map(Some),
    }
}

/// How many `and`, `or` and `not` a filter may have for each condition that it may have.
const CONNECTIVES_FACTOR: usize = 4;

struct Reader<'a> {
    schema: &'a SchemaSnapshot,
    limits: &'a Limits,
    conditions: usize,
    connectives: usize,
}

impl Reader<'_> {
    fn parts(&mut self, place: &Place<'_>, depth: usize) -> Result<Vec<Filter>, QuestionProblem> {
        let parts = place.list()?;
        parts
            .iter()
            .map(|part| self.tree(part, depth + 1))
            .collect()
    }

    fn tree(&mut self, place: &Place<'_>, depth: usize) -> Result<Filter, QuestionProblem> {
        if depth > self.limits.depth_max {
            let message = format!("a filter is at most {} deep", self.limits.depth_max);
            return Err(place.invalid(message));
        }
        let connective = ["and", "or", "not"]
            .into_iter()
            .find(|key| place.node.get(key).is_some());
        let Some(word) = connective else {
            return self.leaf(place);
        };
        place.object(&[word])?;
        // Those without a condition would be free otherwise.
        self.connectives += 1;
        if self.connectives > CONNECTIVES_FACTOR * self.limits.conditions_max {
            return Err(place.invalid("a filter has too many parts".to_owned()));
        }
        let inner = place.need(word)?;
        Ok(match word {
            "and" => Filter::And(self.parts(&inner, depth)?),
            "or" => Filter::Or(self.parts(&inner, depth)?),
            _ => Filter::Not(Box::new(self.tree(&inner, depth + 1)?)),
        })
    }

    fn leaf(&mut self, place: &Place<'_>) -> Result<Filter, QuestionProblem> {
        place.object(&["field", "operator", "value", "and", "or", "not"])?;
        self.conditions += 1;
        if self.conditions > self.limits.conditions_max {
            let message = format!(
                "a filter has at most {} conditions",
                self.limits.conditions_max
            );
            return Err(place.invalid(message));
        }
        let field = place.need("field")?.field(self.schema)?;
        let word = place.need("operator")?;
        let operator = Operator::find(word.text()?, &word.pointer)?;
        let at = Where {
            operator: word.pointer,
            value: step(&place.pointer, "value"),
        };
        condition(
            self.schema,
            field,
            operator,
            place.get("value").as_ref(),
            &at,
        )
    }
}
