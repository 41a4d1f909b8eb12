//! What a transaction is, and what it answers.

use serde_json::{Value as Json, json};

const VERBS: [&str; 6] = ["create", "update", "replace", "upsert", "delete", "assert"];

/// The body, over schemas with these names.
pub(super) fn body<'a>(schemas: impl Iterator<Item = &'a String>) -> Json {
    let names: Vec<&String> = schemas.collect();
    let operation = json!({
        "type": "object",
        "description": "{\"$ref\": \"name.id\"} may stand for any value: it points at an \
                        earlier operation's result",
        "properties": {
            "op": {"enum": VERBS},
            "schema": {"type": "string", "examples": names},
            "id": {"description": "The record, a UUID"},
            "data": {"type": "object"},
            "if_match": {"description": "The version that the record must have"},
            "filters": {"description": "The condition of an assert"},
            "exists": {"type": "boolean", "default": true},
            "as": {"type": "string", "pattern": "^[^.]+$"},
        },
        "required": ["op", "schema"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "operations": {"type": "array", "items": operation, "maxItems": 10_000},
        },
        "required": ["operations"],
        "additionalProperties": false,
    })
}

/// The answer, in which any of these records may be.
pub(super) fn results(record: Json) -> Json {
    let result = json!({
        "type": "object",
        "properties": {
            "op": {"enum": VERBS},
            "as": {"type": "string"},
            "id": {"type": "string", "format": "uuid"},
            "version": {"type": "integer", "minimum": 1},
            "record": record,
        },
        "required": ["op"],
    });
    json!({
        "type": "object",
        "properties": {
            "success": {"const": true},
            "results": {"type": "array", "items": result},
            "execution_time_ms": {"type": "number"},
        },
        "required": ["success", "results", "execution_time_ms"],
    })
}
