//! Questions in the URL: filters, order, fields, pages.

use std::sync::Arc;

use staffa_app::{CountMode, Limits, ListRecords, Queries, StartAt};
use staffa_codec::question;
use staffa_domain::{Filter, SchemaSnapshot, Sort};

use super::call::Call;
use super::params::{Params, SHORT_FILTERS, one_of};
use crate::problem::Problem;

/// Records on a page unless the request says otherwise.
pub(crate) const SIZE_DEFAULT: u64 = 10;

const LIST_PARAMS: [&str; 8] = [
    "page",
    "size",
    "filters",
    "sort",
    "count",
    "cursor",
    "fields",
    SHORT_FILTERS,
];
const COUNT_PARAMS: [&str; 3] = ["filters", "count", SHORT_FILTERS];
const COUNT_WORDS: [(&str, CountMode); 3] = [
    ("exact", CountMode::Exact),
    ("estimated", CountMode::Estimated),
    ("none", CountMode::None),
];

/// How large filters may be, as the codec wants it.
pub(crate) const fn limits(limits: &Limits) -> question::Limits {
    question::Limits {
        depth_max: limits.filter_depth_max,
        conditions_max: limits.filter_conditions_max,
    }
}

/// Reads `GET /records/{schema}`.
pub(crate) fn list_records(queries: &Queries, call: &Call) -> Result<ListRecords, Problem> {
    let schema = queries.schema(&call.schema)?;
    let params = call.params(&LIST_PARAMS)?;
    let size = params.number("size")?.unwrap_or(SIZE_DEFAULT);
    let start = start(
        params.number("page")?,
        params.get("cursor").map(str::to_owned),
    )?;
    Ok(ListRecords {
        filter: filter(&limits(queries.limits()), &schema, &params)?,
        sort: sort(&schema, &params)?,
        select: fields(&schema, &params)?,
        size,
        count: count_mode(params.get("count"), &start)?,
        start,
        schema,
    })
}

/// Where a page starts: at a number or at a cursor, not both.
pub(crate) fn start(page: Option<u64>, cursor: Option<String>) -> Result<StartAt, Problem> {
    match (page, cursor) {
        (Some(_), Some(_)) => Err(Problem::parameter(
            "cursor",
            "a page starts at page or at cursor, not at both",
        )),
        (page, None) => Ok(StartAt::Page(page.unwrap_or(1))),
        (None, Some(cursor)) => Ok(StartAt::Cursor(cursor)),
    }
}

/// Whether to count: by default exactly with a page, and not at all with a cursor.
pub(crate) fn count_mode(word: Option<&str>, start: &StartAt) -> Result<CountMode, Problem> {
    match (word, start) {
        (Some(word), _) => one_of("count", word, &COUNT_WORDS),
        (None, StartAt::Page(_)) => Ok(CountMode::Exact),
        (None, StartAt::Cursor(_)) => Ok(CountMode::None),
    }
}

/// Reads `GET …/count`: the filter, and whether the number must be exact.
pub(crate) fn count_records(
    queries: &Queries,
    schema: &Arc<SchemaSnapshot>,
    call: &Call,
) -> Result<(Option<Filter>, bool), Problem> {
    let params = call.params(&COUNT_PARAMS)?;
    let exact = params.word("count", &[("exact", true), ("estimated", false)])?;
    let filter = filter(&limits(queries.limits()), schema, &params)?;
    Ok((filter, exact.unwrap_or(true)))
}

/// The long and the short filters, all of which must hold.
pub(crate) fn filter(
    limits: &question::Limits,
    schema: &SchemaSnapshot,
    params: &Params<'_>,
) -> Result<Option<Filter>, Problem> {
    let long = match params.get("filters") {
        Some(text) => question::parse_filters_text(schema, text, "/filters", limits)?,
        None => None,
    };
    let short = question::parse_filter_params(schema, params.iter(), limits)?;
    let mut parts: Vec<Filter> = [long, short].into_iter().flatten().collect();
    let most = limits.conditions_max;
    if parts.iter().map(Filter::conditions).sum::<usize>() > most {
        let message = format!("a filter has at most {most} conditions");
        return Err(Problem::parameter("filters", message));
    }
    Ok(match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(Filter::And(parts)),
    })
}

pub(crate) fn sort(schema: &SchemaSnapshot, params: &Params<'_>) -> Result<Vec<Sort>, Problem> {
    match params.get("sort") {
        Some(text) => Ok(question::parse_sort_text(schema, text, "/sort")?),
        None => Ok(Vec::new()),
    }
}

pub(crate) fn fields(
    schema: &SchemaSnapshot,
    params: &Params<'_>,
) -> Result<Option<Vec<usize>>, Problem> {
    match params.get("fields") {
        Some(text) => Ok(Some(question::parse_fields(schema, text, "/fields")?)),
        None => Ok(None),
    }
}
