//! The body of an aggregation.

use std::sync::Arc;

use staffa_domain::query::{
    Aggregate, Bucket, DateUnit, Group, Having, Metric, MetricKind, OutputSort,
};
use staffa_domain::schema::{DecimalSize, PropertyType, SchemaSnapshot};

use super::operand::{Operator, operand};
use super::place::{Place, read_text, shorten};
use super::sort::{choice, direction};
use super::{Limits, QuestionProblem, filter};
use crate::document::{Kind, Node, suggestion};

/// The most groups of one answer.
pub const GROUPS_MAX: u64 = 10_000;
/// How many groups an answer has when the body does not say.
const GROUPS_DEFAULT: u64 = 1_000;
/// The most `group_by` entries, and the most metrics.
const OUTPUTS_MAX: usize = 64;

/// The widest group of integers: a larger width is no exact number of its own.
const WIDTH_MAX: f64 = 9_007_199_254_740_992.0;

const UNITS: [(&str, DateUnit); 7] = [
    ("year", DateUnit::Year),
    ("quarter", DateUnit::Quarter),
    ("month", DateUnit::Month),
    ("week", DateUnit::Week),
    ("day", DateUnit::Day),
    ("hour", DateUnit::Hour),
    ("minute", DateUnit::Minute),
];

const OPS: [&str; 9] = [
    "count",
    "count_distinct",
    "sum",
    "avg",
    "min",
    "max",
    "stddev",
    "median",
    "percentile",
];

/// Reads `{"group_by", "metrics", "filters", "having", "sort", "limit"}`.
///
/// An output without `as` is named after its field, a metric after its op and field
/// (`avg_dep_delay`, `count`). Without metrics the records of each group are counted.
pub fn parse_aggregate(
    schema: &Arc<SchemaSnapshot>,
    body: &serde_json::Value,
    limits: &Limits,
) -> Result<Aggregate, QuestionProblem> {
    parse_node(schema, &Node::from(body), limits)
}

/// Reads the body from its JSON text, every number exactly as it is written.
pub fn parse_aggregate_text(
    schema: &Arc<SchemaSnapshot>,
    text: &str,
    limits: &Limits,
) -> Result<Aggregate, QuestionProblem> {
    parse_node(schema, &read_text(text, "")?, limits)
}

fn parse_node(
    schema: &Arc<SchemaSnapshot>,
    node: &Node,
    limits: &Limits,
) -> Result<Aggregate, QuestionProblem> {
    let body = Place::new(node, "");
    body.object(&["group_by", "metrics", "filters", "having", "sort", "limit"])?;
    let filter = match body.get("filters") {
        Some(place) => filter::parse_node(schema, place.node, &place.pointer, limits)?,
        None => None,
    };
    let mut names = Names::default();
    let mut group_by = Vec::new();
    for place in entries(&body, "group_by")? {
        let group = parse_group(schema, &place)?;
        names.take(&group.name, &place)?;
        group_by.push(group);
    }
    let mut metrics = Vec::new();
    for place in entries(&body, "metrics")? {
        let metric = parse_metric(schema, &place)?;
        names.take(&metric.name, &place)?;
        metrics.push(metric);
    }
    if body.get("metrics").is_none() {
        names.take("count", &body)?;
        metrics.push(Metric {
            name: "count".to_owned(),
            kind: MetricKind::Count,
            field: None,
        });
    }
    if names.0.is_empty() {
        return Err(body.invalid("expected at least one group_by or metric"));
    }
    let having = entries(&body, "having")?
        .iter()
        .map(|place| parse_having(schema, &metrics, place))
        .collect::<Result<_, _>>()?;
    Ok(Aggregate {
        schema: Arc::clone(schema),
        filter,
        group_by,
        metrics,
        having,
        sort: parse_sort(&names, body.get("sort").as_ref())?,
        limit: parse_limit(body.get("limit").as_ref())?,
    })
}

fn entries<'a>(body: &Place<'a>, key: &str) -> Result<Vec<Place<'a>>, QuestionProblem> {
    let Some(place) = body.get(key) else {
        return Ok(Vec::new());
    };
    let list = place.list()?;
    if list.len() > OUTPUTS_MAX {
        return Err(place.invalid(format!("{key} has at most {OUTPUTS_MAX} entries")));
    }
    Ok(list)
}

/// The names of the outputs, in order.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl Names {
    fn take(&mut self, name: &str, place: &Place<'_>) -> Result<(), QuestionProblem> {
        if self.0.iter().any(|taken| taken == name) {
            let message = format!("two outputs are named {name}: name one with as");
            return Err(place.invalid(message));
        }
        self.0.push(name.to_owned());
        Ok(())
    }

    fn find(&self, name: &str, place: &Place<'_>) -> Result<usize, QuestionProblem> {
        self.0
            .iter()
            .position(|known| known == name)
            .ok_or_else(|| {
                let near = suggestion(name, self.0.iter().map(String::as_str));
                place.invalid(format!("there is no output {}{near}", shorten(name)))
            })
    }
}

/// The name at `as`, by the rule of property names but with none reserved.
fn given_name(place: &Place<'_>) -> Result<Option<String>, QuestionProblem> {
    let Some(place) = place.get("as") else {
        return Ok(None);
    };
    let name = place.text()?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !starts || !rest || name.len() > 63 {
        let message = "a name starts with a letter or _ and has up to 63 of a-z, A-Z, 0-9 and _";
        return Err(place.invalid(message));
    }
    Ok(Some(name.to_owned()))
}

fn parse_group(schema: &SchemaSnapshot, place: &Place<'_>) -> Result<Group, QuestionProblem> {
    let whole = place.node.as_text().is_some();
    let named = if whole {
        place.clone()
    } else {
        place.object(&["field", "unit", "width", "as"])?;
        place.need("field")?
    };
    let field = named.field(schema)?;
    let name = field.name(schema);
    let kind = field.property_type(schema);
    if !kind.is_ordered() {
        let message = format!("{name} is of type {kind}, by which nothing can be grouped");
        return Err(named.invalid(message));
    }
    let bucket = match (place.get("unit"), place.get("width")) {
        (None, None) => Bucket::Value,
        (Some(unit), None) => Bucket::Date(parse_unit(&unit, kind)?),
        (None, Some(width)) => Bucket::Width(parse_width(&width, kind)?),
        (Some(_), Some(width)) => return Err(width.invalid("take one of unit and width")),
    };
    Ok(Group {
        name: given_name(place)?.unwrap_or_else(|| name.to_owned()),
        field,
        bucket,
    })
}

fn parse_unit(place: &Place<'_>, kind: &PropertyType) -> Result<DateUnit, QuestionProblem> {
    let word = place.text()?;
    let Some((_, unit)) = UNITS.iter().find(|(known, _)| *known == word) else {
        let words: Vec<&str> = UNITS.iter().map(|(word, _)| *word).collect();
        return Err(place.invalid(format!("the units are {}", words.join(", "))));
    };
    let fits = match kind {
        PropertyType::Datetime => true,
        PropertyType::Date => !matches!(unit, DateUnit::Hour | DateUnit::Minute),
        _ => false,
    };
    if !fits {
        return Err(place.invalid(format!("the unit {word} means nothing for type {kind}")));
    }
    Ok(*unit)
}

fn parse_width(place: &Place<'_>, kind: &PropertyType) -> Result<f64, QuestionProblem> {
    if !matches!(kind, PropertyType::Integer | PropertyType::Number) {
        return Err(place.invalid(format!("a width means nothing for type {kind}")));
    }
    let width = number(place)?;
    if width <= 0.0 {
        return Err(place.invalid("a width is larger than zero"));
    }
    if *kind == PropertyType::Integer && width > WIDTH_MAX {
        return Err(place.invalid("a width of integers is at most 2^53"));
    }
    Ok(width)
}

fn number(place: &Place<'_>) -> Result<f64, QuestionProblem> {
    match &place.node.kind {
        Kind::Number(text) => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(place.invalid("the number is too large")),
        },
        _ => Err(place.invalid(format!("expected a number, found {}", place.node.word()))),
    }
}

fn parse_metric(schema: &SchemaSnapshot, place: &Place<'_>) -> Result<Metric, QuestionProblem> {
    place.object(&["op", "field", "as", "p"])?;
    let op = place.need("op")?;
    let word = op.text()?;
    let kind = match word {
        "count" => MetricKind::Count,
        "count_distinct" => MetricKind::CountDistinct,
        "sum" => MetricKind::Sum,
        "avg" => MetricKind::Avg,
        "min" => MetricKind::Min,
        "max" => MetricKind::Max,
        "stddev" => MetricKind::Stddev,
        "median" => MetricKind::Median,
        "percentile" => MetricKind::Percentile(parse_share(&place.need("p")?)?),
        _ => {
            let message = format!(
                "unknown op {}; the ops are {}",
                shorten(word),
                OPS.join(", ")
            );
            return Err(op.invalid(message));
        }
    };
    if let Some(p) = place.get("p").filter(|_| word != "percentile") {
        return Err(p.invalid("p belongs to percentile alone"));
    }
    let field = match (place.get("field"), kind) {
        (None, MetricKind::Count) => None,
        (None, _) => return Err(place.invalid(format!("{word} needs a field"))),
        (Some(named), _) => {
            let field = named.field(schema)?;
            let of = field.property_type(schema);
            if !metric_fits(kind, of) {
                return Err(named.invalid(format!("{word} means nothing for type {of}")));
            }
            Some(field)
        }
    };
    let own = || match field {
        Some(field) => format!("{word}_{}", field.name(schema)),
        None => word.to_owned(),
    };
    Ok(Metric {
        name: given_name(place)?.unwrap_or_else(own),
        kind,
        field,
    })
}

fn parse_share(place: &Place<'_>) -> Result<f64, QuestionProblem> {
    let share = number(place)?;
    if !(0.0..=1.0).contains(&share) {
        return Err(place.invalid("p is from 0 to 1"));
    }
    Ok(share)
}

fn metric_fits(metric: MetricKind, kind: &PropertyType) -> bool {
    match metric {
        MetricKind::Count => true,
        MetricKind::CountDistinct | MetricKind::Min | MetricKind::Max => kind.is_ordered(),
        _ => matches!(
            kind,
            PropertyType::Integer | PropertyType::Number | PropertyType::Decimal(_)
        ),
    }
}

/// How many digits a sum of decimals may have.
const SUM_DIGITS: u8 = 38;

/// The type as which an operand for a metric is read.
fn metric_type(schema: &SchemaSnapshot, metric: &Metric) -> PropertyType {
    let of = metric.field.map(|field| field.property_type(schema));
    match (metric.kind, of) {
        (MetricKind::Count | MetricKind::CountDistinct, _) => PropertyType::Integer,
        // A sum may have more digits than what is summed.
        (MetricKind::Sum, Some(PropertyType::Decimal(size))) => {
            PropertyType::Decimal(DecimalSize {
                precision: SUM_DIGITS,
                scale: size.scale,
            })
        }
        (MetricKind::Sum | MetricKind::Min | MetricKind::Max, Some(kind)) => kind.clone(),
        _ => PropertyType::Number,
    }
}

fn parse_having(
    schema: &SchemaSnapshot,
    metrics: &[Metric],
    place: &Place<'_>,
) -> Result<Having, QuestionProblem> {
    place.object(&["field", "metric", "operator", "value"])?;
    // As filters and sort keys have it, or by what it must be.
    let asked = match place.get("metric") {
        Some(asked) => asked,
        None => place.need("field")?,
    };
    let names = Names(metrics.iter().map(|metric| metric.name.clone()).collect());
    let metric = names.find(asked.text()?, &asked)?;
    let word = place.need("operator")?;
    let Operator::Compare(comparison) = Operator::find(word.text()?, &word.pointer)? else {
        return Err(word.invalid("the operators of having are eq, ne, gt, gte, lt, lte"));
    };
    let kind = metric_type(schema, &metrics[metric]);
    Ok(Having {
        metric,
        comparison,
        value: operand(&place.need("value")?, &kind)?,
    })
}

fn parse_sort(
    names: &Names,
    place: Option<&Place<'_>>,
) -> Result<Vec<OutputSort>, QuestionProblem> {
    let Some(place) = place else {
        return Ok(Vec::new());
    };
    let mut keys: Vec<OutputSort> = Vec::new();
    if let Some(text) = place.node.as_text() {
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            check_keys(keys.len() + 1, place)?;
            let (name, descending) = direction(part);
            let output = names.find(name, place)?;
            keys.push(OutputSort { output, descending });
        }
        return Ok(keys);
    }
    let parts = place.list()?;
    check_keys(parts.len(), place)?;
    for part in parts {
        part.object(&["field", "order"])?;
        let asked = part.need("field")?;
        let output = names.find(asked.text()?, &asked)?;
        let descending = choice(&part, "order", ["asc", "desc"])?;
        keys.push(OutputSort { output, descending });
    }
    Ok(keys)
}

fn check_keys(count: usize, place: &Place<'_>) -> Result<(), QuestionProblem> {
    if count > super::SORT_KEYS_MAX {
        return Err(place.invalid(format!("a sort has at most {} keys", super::SORT_KEYS_MAX)));
    }
    Ok(())
}

fn parse_limit(place: Option<&Place<'_>>) -> Result<u64, QuestionProblem> {
    let Some(place) = place else {
        return Ok(GROUPS_DEFAULT);
    };
    let limit = match &place.node.kind {
        Kind::Number(text) => text.parse().ok(),
        _ => None,
    };
    limit
        .filter(|limit| (1..=GROUPS_MAX).contains(limit))
        .ok_or_else(|| place.invalid(format!("a limit is a whole number from 1 to {GROUPS_MAX}")))
}
