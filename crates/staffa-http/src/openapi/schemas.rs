//! The component schemas: problems, questions, reports, and each user schema in its forms.

use serde_json::{Map, Value as Json, json};

use staffa_codec::document;
use staffa_domain::SchemaSnapshot;

use super::{Schemas, aggregate, jobs};

/// A reference to a component schema.
pub(super) fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

pub(super) fn components(schemas: &Schemas) -> Json {
    let mut all = Map::new();
    for (name, schema) in fixed() {
        all.insert(name.to_owned(), schema);
    }
    for schema in schemas.values() {
        let name = schema.name();
        let data = data(schema);
        let mut partial = data.clone();
        if let Json::Object(members) = &mut partial {
            members.shift_remove("required");
        }
        all.insert(format!("{name}.data"), data);
        all.insert(format!("{name}.partial"), partial);
        all.insert(format!("{name}.record"), record(name));
        all.insert(format!("{name}.page"), page(name));
    }
    Json::Object(all)
}

/// What a new record's data must be.
fn data(schema: &SchemaSnapshot) -> Json {
    let mut data = document::json_schema(schema);
    if let Json::Object(members) = &mut data {
        members.shift_remove("$schema");
    }
    data
}

fn record(name: &str) -> Json {
    let time = json!({"type": "string", "format": "date-time"});
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "schema_name": {"const": name},
            "data": reference(&format!("{name}.partial")),
            "created_at": time,
            "updated_at": time,
            "version": {"type": "integer", "minimum": 1},
        },
        "required": ["id", "schema_name", "data", "created_at", "updated_at", "version"],
    })
}

fn page(name: &str) -> Json {
    let items = json!({"type": "array", "items": reference(&format!("{name}.record"))});
    json!({
        "type": "object",
        "properties": {
            "success": {"const": true},
            "message": {"type": "string"},
            "schema_name": {"const": name},
            "data": {
                "type": "object",
                "properties": {
                    "items": items,
                    "total": {"type": ["integer", "null"]},
                    "total_relation": {"enum": ["eq", "approx", null]},
                    "page": {"type": ["integer", "null"]},
                    "size": {"type": "integer"},
                    "has_next": {"type": "boolean"},
                    "has_previous": {"type": "boolean"},
                    "next_cursor": {"type": ["string", "null"]},
                },
                "required": ["items", "total", "has_next", "has_previous", "next_cursor"],
            },
            "execution_time_ms": {"type": "number"},
        },
        "required": ["success", "message", "schema_name", "data", "execution_time_ms"],
    })
}

fn fixed() -> Vec<(&'static str, Json)> {
    vec![
        ("problem", problem()),
        ("cause", cause()),
        ("schema", schema()),
        ("proposal", proposal()),
        ("filters", filters()),
        ("filter", filter()),
        ("question", question()),
        ("aggregation", aggregate::aggregation()),
        ("groups", aggregate::groups()),
        ("report", report()),
        ("job", jobs::job()),
        ("count", count()),
        ("affected", affected()),
    ]
}

fn problem() -> Json {
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457)",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string"},
            "code": {"type": "string"},
            "errors": {"type": "array", "items": reference("cause")},
            "request_id": {"type": "string"},
            "retryable": {"type": "boolean"},
        },
        "required": [
            "type", "title", "status", "detail", "instance", "code", "errors", "request_id",
            "retryable",
        ],
    })
}

/// A schema proposed from a sample.
fn proposal() -> Json {
    json!({
        "type": "object",
        "properties": {
            "success": {"const": true},
            "schema": {"type": "object", "description": "The proposed document"},
            "null_value": {
                "type": ["string", "null"],
                "description": "What stands for null in the sample, where the request does not say",
            },
            "rows_read": {"type": "integer"},
            "rows_unreadable": {"type": "integer"},
            "truncated": {
                "type": "boolean",
                "description": "Whether the sample is longer than what was read of it",
            },
            "remarks": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "property": {"type": ["string", "null"]},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
                "required": ["property", "code", "message"],
            }},
            "execution_time_ms": {"type": "number"},
        },
        "required": [
            "success", "schema", "null_value", "rows_read", "rows_unreadable", "truncated",
            "remarks", "execution_time_ms",
        ],
    })
}

fn cause() -> Json {
    json!({
        "type": "object",
        "properties": {
            "index": {"type": "integer"},
            "line": {"type": "integer"},
            "id": {"type": "string", "format": "uuid"},
            "property": {"type": "string"},
            "pointer": {"type": "string"},
            "code": {"type": "string"},
            "message": {"type": "string"},
            "value": true,
        },
        "required": ["pointer", "code", "message"],
    })
}

fn schema() -> Json {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "description": {"type": ["string", "null"]},
            "version": {"type": "integer"},
            "primary_key": {"type": "array", "items": {"type": "string"}},
            "properties": {"type": "array", "items": {"type": "object"}},
            "record_count": {"type": ["integer", "null"]},
            "record_count_relation": {"enum": ["eq", "approx", null]},
        },
        "required": ["name", "version", "primary_key", "properties", "record_count"],
    })
}

fn filters() -> Json {
    json!({"anyOf": [
        {"type": "array", "items": reference("filter"), "maxItems": 50},
        reference("filter"),
    ]})
}

fn filter() -> Json {
    let list = json!({"type": "array", "items": reference("filter")});
    let operators = [
        "eq",
        "ne",
        "gt",
        "gte",
        "lt",
        "lte",
        "in",
        "not_in",
        "between",
        "like",
        "ilike",
        "contains",
        "starts_with",
        "ends_with",
        "is_null",
        "is_not_null",
    ];
    json!({"oneOf": [
        {
            "type": "object",
            "properties": {
                "field": {"type": "string"},
                "operator": {"type": "string", "enum": operators},
                "value": true,
            },
            "required": ["field", "operator"],
            "additionalProperties": false,
        },
        {"type": "object", "properties": {"and": list}, "required": ["and"],
         "additionalProperties": false},
        {"type": "object", "properties": {"or": list}, "required": ["or"],
         "additionalProperties": false},
        {"type": "object", "properties": {"not": reference("filter")}, "required": ["not"],
         "additionalProperties": false},
    ]})
}

fn question() -> Json {
    let key = json!({
        "type": "object",
        "properties": {
            "field": {"type": "string"},
            "order": {"type": "string", "enum": ["asc", "desc"]},
            "nulls": {"type": "string", "enum": ["first", "last"]},
        },
        "required": ["field"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "filters": reference("filters"),
            "sort": {"anyOf": [{"type": "string"}, {"type": "array", "items": key}]},
            "fields": {"type": "array", "items": {"type": "string"}},
            "page": {"type": "integer", "minimum": 1},
            "size": {"type": "integer", "minimum": 1, "maximum": 10_000},
            "count": {"type": "string", "enum": ["exact", "estimated", "none"]},
            "cursor": {"type": "string"},
        },
        "additionalProperties": false,
    })
}

fn report() -> Json {
    let count = json!({"type": "integer", "minimum": 0});
    json!({
        "type": "object",
        "properties": {
            "success": {"type": "boolean"},
            "received": count,
            "inserted": count,
            "updated": count,
            "ignored": count,
            "deleted": count,
            "failed": count,
            "errors": {"type": "array", "items": reference("cause")},
            "errors_truncated": {"type": "boolean"},
            "ids": {"type": "array", "items": {"type": "string", "format": "uuid"}},
            "execution_time_ms": {"type": "number"},
        },
        "required": ["success", "received", "inserted", "failed", "errors", "errors_truncated"],
    })
}

fn count() -> Json {
    json!({
        "type": "object",
        "properties": {
            "success": {"const": true},
            "message": {"type": "string"},
            "schema_name": {"type": "string"},
            "count": {"type": "integer", "minimum": 0},
            "relation": {"enum": ["eq", "approx"]},
            "execution_time_ms": {"type": "number"},
        },
        "required": ["success", "schema_name", "count", "relation", "execution_time_ms"],
    })
}

fn affected() -> Json {
    json!({
        "type": "object",
        "properties": {
            "success": {"const": true},
            "affected": {"type": "integer", "minimum": 0},
            "execution_time_ms": {"type": "number"},
        },
        "required": ["success", "affected", "execution_time_ms"],
    })
}
