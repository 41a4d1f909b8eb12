//! Questions: filters, sorts, fields, aggregates, and the positions that cursors hold.

use std::collections::HashSet;

use serde_json::Value as Json;

use staffa_codec::question::{
    GROUPS_MAX, Limits, SORT_KEYS_MAX, parse_aggregate, parse_aggregate_text, parse_fields,
    parse_fields_json, parse_filter_params, parse_filters, parse_filters_text, parse_sort_json,
    parse_sort_text, read_position, write_filter, write_position, write_sort,
};
use staffa_domain::{Field, Filter, Sort};

use crate::common::{check_question_problem, things};

/// What is written may nest a little deeper than what was read: `not_in` becomes a `not`.
const WRITTEN: Limits = Limits {
    depth_max: 100,
    conditions_max: 50,
};

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn json(text: &str) -> Option<Json> {
    serde_json::from_str(text).ok()
}

fn check_filter(filter: &Filter) {
    assert!(filter.conditions() <= Limits::default().conditions_max);
    let written = write_filter(&things(), filter);
    let again = parse_filters_text(&things(), &written.to_string(), "", &WRITTEN);
    assert_eq!(again.as_ref(), Ok(&Some(filter.clone())), "{written}");
    let again = parse_filters(&things(), &written, "", &WRITTEN);
    assert_eq!(again.as_ref(), Ok(&Some(filter.clone())), "{written}");
}

/// Filters as a list or a tree.
pub(crate) fn check_filters(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let limits = Limits::default();
    match parse_filters_text(&things(), text, "/filters", &limits) {
        Ok(filter) => filter.iter().for_each(check_filter),
        Err(problem) => check_question_problem(&problem, "/filters"),
    }
    if let Some(json) = json(text) {
        match parse_filters(&things(), &json, "/filters", &limits) {
            Ok(filter) => filter.iter().for_each(check_filter),
            Err(problem) => check_question_problem(&problem, "/filters"),
        }
    }
}

/// Filters in the short form of a URL, a parameter a line.
pub(crate) fn check_short_filters(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let parameters = text.lines().filter_map(|line| line.split_once('='));
    match parse_filter_params(&things(), parameters, &Limits::default()) {
        Ok(filter) => filter.iter().for_each(check_filter),
        Err(problem) => check_question_problem(&problem, "/filter["),
    }
}

fn check_keys(sort: &[Sort]) {
    assert!(sort.len() <= SORT_KEYS_MAX);
    let fields: HashSet<_> = sort.iter().map(|key| key.field).collect();
    assert_eq!(fields.len(), sort.len(), "no field is named twice");
    let written = write_sort(&things(), sort);
    let again = parse_sort_json(&things(), &written, "");
    assert_eq!(again.as_deref(), Ok(sort), "{written}");
}

/// A sort as text and as a list.
pub(crate) fn check_sort(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match parse_sort_text(&things(), text, "/sort") {
        Ok(sort) => check_keys(&sort),
        Err(problem) => check_question_problem(&problem, "/sort"),
    }
    if let Some(json) = json(text) {
        match parse_sort_json(&things(), &json, "/sort") {
            Ok(sort) => check_keys(&sort),
            Err(problem) => check_question_problem(&problem, "/sort"),
        }
    }
}

fn check_positions(positions: &[usize]) {
    assert!(positions.windows(2).all(|pair| pair[0] < pair[1]));
    let most = things().schema().properties.len();
    assert!(positions.iter().all(|position| *position < most));
}

/// A selection of fields as text and as a list.
pub(crate) fn check_fields(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match parse_fields(&things(), text, "/fields") {
        Ok(positions) => check_positions(&positions),
        Err(problem) => check_question_problem(&problem, "/fields"),
    }
    if let Some(json) = json(text) {
        match parse_fields_json(&things(), &json, "/fields") {
            Ok(positions) => check_positions(positions.as_deref().unwrap_or_default()),
            Err(problem) => check_question_problem(&problem, "/fields"),
        }
    }
}

/// The body of an aggregation.
pub(crate) fn check_aggregate(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let limits = Limits::default();
    let from_json = json(text).map(|json| parse_aggregate(&things(), &json, &limits));
    let from_text = Some(parse_aggregate_text(&things(), text, &limits));
    for read in [from_json, from_text].into_iter().flatten() {
        let aggregate = match read {
            Ok(aggregate) => aggregate,
            Err(problem) => {
                check_question_problem(&problem, "");
                continue;
            }
        };
        let groups = aggregate.group_by.iter().map(|group| &group.name);
        let metrics = aggregate.metrics.iter().map(|metric| &metric.name);
        let names: Vec<&String> = groups.chain(metrics).collect();
        let different: HashSet<_> = names.iter().collect();
        assert_eq!(
            different.len(),
            names.len(),
            "outputs have names of their own"
        );
        assert!(!names.is_empty() && names.len() <= 128);
        assert!((1..=GROUPS_MAX).contains(&aggregate.limit));
        assert!(aggregate.sort.iter().all(|key| key.output < names.len()));
        let metrics = aggregate.metrics.len();
        assert!(
            aggregate
                .having
                .iter()
                .all(|having| having.metric < metrics)
        );
        aggregate.filter.iter().for_each(check_filter);
    }
}

/// The position of a cursor, in an order by as many fields as it has values.
pub(crate) fn check_position(bytes: &[u8]) {
    let Some(json) = text(bytes).and_then(json) else {
        return;
    };
    let values = json.get("values").and_then(Json::as_array);
    let count = values.map_or(0, Vec::len);
    let properties = 0..things().schema().properties.len();
    let fields = [Field::CreatedAt, Field::Version]
        .into_iter()
        .chain(properties.map(Field::Property))
        .filter(|field| field.property_type(&things()).is_ordered());
    let key = |field| Sort {
        field,
        descending: false,
        nulls_first: false,
    };
    let sort: Vec<Sort> = fields.take(count).map(key).collect();
    match read_position(&things(), &sort, &json, "/cursor") {
        Ok(position) => {
            let written = write_position(&things(), &sort, &position);
            let again = read_position(&things(), &sort, &written, "/cursor");
            assert_eq!(again, Ok(position), "{written}");
        }
        Err(problem) => check_question_problem(&problem, "/cursor"),
    }
}
