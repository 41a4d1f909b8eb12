//! The component schemas of aggregations.

use serde_json::{Value as Json, json};

use super::schemas::reference;

/// The name of an output.
fn name() -> Json {
    json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,62}$"})
}

/// What is asked.
pub(super) fn aggregation() -> Json {
    let key = json!({
        "type": "object",
        "properties": {
            "field": {"type": "string", "description": "The name of an output"},
            "order": {"type": "string", "enum": ["asc", "desc"], "default": "asc"},
        },
        "required": ["field"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "group_by": {"type": "array", "items": group(), "maxItems": 64},
            "metrics": {"type": "array", "items": metric(), "maxItems": 64},
            "filters": reference("filters"),
            "having": {"type": "array", "items": having(), "maxItems": 64},
            "sort": {"anyOf": [
                {"type": "string"},
                {"type": "array", "items": key, "maxItems": 16},
            ]},
            "limit": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1_000},
        },
        "additionalProperties": false,
    })
}

fn group() -> Json {
    let units = ["year", "quarter", "month", "week", "day", "hour", "minute"];
    json!({"anyOf": [
        {"type": "string", "description": "A field, by its value"},
        {
            "type": "object",
            "properties": {
                "field": {"type": "string"},
                "unit": {"type": "string", "enum": units},
                "width": {"type": "number", "exclusiveMinimum": 0},
                "as": name(),
            },
            "required": ["field"],
            "not": {"required": ["unit", "width"]},
            "additionalProperties": false,
        },
    ]})
}

fn metric() -> Json {
    let ops = [
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
    json!({
        "type": "object",
        "properties": {
            "op": {"type": "string", "enum": ops},
            "field": {"type": "string"},
            "p": {"type": "number", "minimum": 0, "maximum": 1},
            "as": name(),
        },
        "required": ["op"],
        "additionalProperties": false,
    })
}

fn having() -> Json {
    json!({
        "type": "object",
        "properties": {
            "field": {"type": "string", "description": "The name of a metric"},
            "operator": {"type": "string", "enum": ["eq", "ne", "gt", "gte", "lt", "lte"]},
            "value": true,
        },
        "required": ["field", "operator", "value"],
        "additionalProperties": false,
    })
}

/// What is answered.
pub(super) fn groups() -> Json {
    let items = json!({"type": "array", "items": {"type": "object"}});
    json!({
        "type": "object",
        "properties": {
            "success": {"const": true},
            "schema_name": {"type": "string"},
            "data": {"type": "object", "properties": {"items": items}, "required": ["items"]},
            "execution_time_ms": {"type": "number"},
        },
        "required": ["success", "schema_name", "data", "execution_time_ms"],
    })
}
