//! Operators, the types they fit, and their operands.

use staffa_domain::query::{Comparison, Condition, Field, Filter, Test};
use staffa_domain::schema::{PropertyType, SchemaSnapshot};
use staffa_domain::value::Value;

use super::place::{Place, shorten};
use super::{QuestionCode, QuestionProblem};
use crate::document::{Kind, Texts, suggestion};

/// The most values of one `in` list.
const IN_VALUES_MAX: usize = 10_000;

/// What a condition does, by the word it has on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Compare(Comparison),
    In { negated: bool },
    Between,
    Like { ignore_case: bool },
    Contains,
    StartsWith,
    EndsWith,
    IsNull { negated: bool },
}

const OPERATORS: [(&str, Operator); 16] = [
    ("eq", Operator::Compare(Comparison::Eq)),
    ("ne", Operator::Compare(Comparison::Ne)),
    ("gt", Operator::Compare(Comparison::Gt)),
    ("gte", Operator::Compare(Comparison::Gte)),
    ("lt", Operator::Compare(Comparison::Lt)),
    ("lte", Operator::Compare(Comparison::Lte)),
    ("in", Operator::In { negated: false }),
    ("not_in", Operator::In { negated: true }),
    ("between", Operator::Between),
    ("like", Operator::Like { ignore_case: false }),
    ("ilike", Operator::Like { ignore_case: true }),
    ("contains", Operator::Contains),
    ("starts_with", Operator::StartsWith),
    ("ends_with", Operator::EndsWith),
    ("is_null", Operator::IsNull { negated: false }),
    ("is_not_null", Operator::IsNull { negated: true }),
];

impl Operator {
    /// Finds an operator, or says which one may be meant.
    pub(super) fn find(word: &str, pointer: &str) -> Result<Self, QuestionProblem> {
        let found = OPERATORS.iter().find(|(known, _)| *known == word);
        found.map(|(_, operator)| *operator).ok_or_else(|| {
            let words = || OPERATORS.iter().map(|(word, _)| *word);
            let near = suggestion(word, words());
            let hint = if near.is_empty() {
                format!(
                    "; the operators are {}",
                    words().collect::<Vec<_>>().join(", ")
                )
            } else {
                near
            };
            QuestionProblem {
                code: QuestionCode::UnknownOperator,
                pointer: pointer.to_owned(),
                message: format!("unknown operator {}{hint}", shorten(word)),
            }
        })
    }

    pub(super) fn word(self) -> &'static str {
        let found = OPERATORS.iter().find(|(_, operator)| *operator == self);
        found.map_or("", |(word, _)| word)
    }

    /// Whether it means something for values of a type.
    fn fits(self, kind: &PropertyType) -> bool {
        match self {
            Self::IsNull { .. } => true,
            Self::Compare(_) | Self::In { .. } | Self::Between => kind.is_ordered(),
            Self::Contains => matches!(kind, PropertyType::String | PropertyType::Array(_)),
            Self::Like { .. } | Self::StartsWith | Self::EndsWith => *kind == PropertyType::String,
        }
    }

    /// The words that fit a type.
    fn fitting(kind: &PropertyType) -> String {
        let words = OPERATORS.iter().filter(|(_, operator)| operator.fits(kind));
        words.map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
    }
}

/// Where a condition stands, for its problems.
#[derive(Debug, Clone)]
pub(super) struct Where {
    /// The pointer to the operator.
    pub(super) operator: String,
    /// The pointer to the value, or to where it should stand.
    pub(super) value: String,
}

/// Makes a condition of its parts: checks that the operator fits the field and reads the value
/// as the field's type.
pub(super) fn condition(
    schema: &SchemaSnapshot,
    field: Field,
    operator: Operator,
    value: Option<&Place<'_>>,
    at: &Where,
) -> Result<Filter, QuestionProblem> {
    let kind = field.property_type(schema);
    if !operator.fits(kind) {
        let (word, name) = (operator.word(), field.name(schema));
        let message = format!(
            "the operator {word} does not fit {name}, of type {kind}; those that fit are {}",
            Operator::fitting(kind)
        );
        return Err(QuestionProblem::invalid(&at.operator, message));
    }
    let test = |test| Filter::Condition(Condition { field, test });
    let not = |filter, negated| {
        if negated {
            Filter::Not(Box::new(filter))
        } else {
            filter
        }
    };
    if let Operator::IsNull { negated } = operator {
        let flipped = !truth(value)?;
        return Ok(not(test(Test::IsNull), negated != flipped));
    }
    let Some(value) = value else {
        let message = match operator {
            Operator::Compare(Comparison::Eq) => "a value is missing; for null use is_null",
            Operator::Compare(Comparison::Ne) => "a value is missing; for null use is_not_null",
            _ => "a value is missing",
        };
        return Err(QuestionProblem::invalid(&at.value, message));
    };
    Ok(match operator {
        Operator::Compare(comparison) => test(Test::Compare(comparison, operand(value, kind)?)),
        Operator::In { negated } => not(test(Test::In(operands(value, kind)?)), negated),
        Operator::Between => {
            let [low, high] = <[Value; 2]>::try_from(operands(value, kind)?)
                .map_err(|_| value.invalid("between takes a list of two values"))?;
            test(Test::Between(low, high))
        }
        Operator::Like { ignore_case } => {
            let pattern = like_pattern(value)?;
            test(Test::Like {
                pattern,
                ignore_case,
            })
        }
        Operator::Contains => match kind {
            PropertyType::Array(items) => test(Test::HasItem(operand(value, items)?)),
            _ => test(Test::Contains(plain_text(value)?)),
        },
        Operator::StartsWith => test(Test::StartsWith(plain_text(value)?)),
        Operator::EndsWith => test(Test::EndsWith(plain_text(value)?)),
        Operator::IsNull { .. } => test(Test::IsNull),
    })
}

/// The optional value of `is_null`: true unless it says otherwise.
fn truth(value: Option<&Place<'_>>) -> Result<bool, QuestionProblem> {
    let Some(value) = value else { return Ok(true) };
    match &value.node.kind {
        Kind::Boolean(truth) => Ok(*truth),
        Kind::Text(text) if text.is_empty() || text == "true" => Ok(true),
        Kind::Text(text) if text == "false" => Ok(false),
        _ => Err(value.invalid("expected true, false or nothing")),
    }
}

/// One operand of a type; never null.
pub(super) fn operand(value: &Place<'_>, kind: &PropertyType) -> Result<Value, QuestionProblem> {
    match value.node.typed(kind, Texts::ForAnyType) {
        Ok(Value::Null) => Err(value.invalid("null is no operand; use is_null or is_not_null")),
        Ok(value) => Ok(value),
        Err(message) => Err(value.invalid(message)),
    }
}

fn operands(value: &Place<'_>, kind: &PropertyType) -> Result<Vec<Value>, QuestionProblem> {
    let items = value.list()?;
    if items.len() > IN_VALUES_MAX {
        return Err(value.invalid(format!("a list has at most {IN_VALUES_MAX} values")));
    }
    items.iter().map(|item| operand(item, kind)).collect()
}

fn plain_text(value: &Place<'_>) -> Result<String, QuestionProblem> {
    match operand(value, &PropertyType::String)? {
        Value::String(text) => Ok(text),
        _ => Err(value.invalid("expected a text")),
    }
}

fn like_pattern(value: &Place<'_>) -> Result<String, QuestionProblem> {
    let pattern = plain_text(value)?;
    let trailing = pattern.len() - pattern.trim_end_matches('\\').len();
    if trailing % 2 == 1 {
        return Err(value.invalid("the pattern ends with a lone \\, which has nothing to escape"));
    }
    Ok(pattern)
}
