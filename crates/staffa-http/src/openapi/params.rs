//! The parameters of operations.

use serde_json::{Value as Json, json};

fn query(name: &str, description: &str, schema: Json) -> Json {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

fn header(name: &str, description: &str) -> Json {
    json!({"name": name, "in": "header", "description": description, "schema": {"type": "string"}})
}

/// What lets a write be sent again without being carried out again.
pub(super) fn idempotency_key() -> Json {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Lets the request be sent again: it is carried out once, and the first \
                        answer is told again with Idempotency-Replayed: true",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    })
}

fn filters() -> Json {
    json!({
        "name": "filters",
        "in": "query",
        "description": "Which records: a list of conditions that must all hold, or a tree. \
                        Short form: filter[property][operator]=value",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/filters"}}},
    })
}

fn sort() -> Json {
    let description = "The order: -time_hour,carrier, or a JSON list of {field, order, nulls}";
    query("sort", description, json!({"type": "string"}))
}

fn fields() -> Json {
    query(
        "fields",
        "Which properties: carrier,dep_delay",
        json!({"type": "string"}),
    )
}

pub(super) fn of_list() -> Json {
    let words = json!({"type": "string", "enum": ["exact", "estimated", "none"]});
    json!([
        query(
            "page",
            "The page, from 1",
            json!({"type": "integer", "minimum": 1, "default": 1})
        ),
        query(
            "size",
            "Records on the page",
            json!({
                "type": "integer", "minimum": 1, "maximum": 10_000, "default": 10,
            })
        ),
        query(
            "cursor",
            "next_cursor of the page before",
            json!({"type": "string"})
        ),
        filters(),
        sort(),
        fields(),
        query("count", "Whether to count all that match", words),
    ])
}

pub(super) fn of_stream() -> Json {
    json!([
        filters(),
        sort(),
        fields(),
        query(
            "limit",
            "At most this many",
            json!({"type": "integer", "minimum": 0})
        ),
        query(
            "format",
            "Instead of Accept",
            json!({"type": "string", "enum": ["ndjson", "csv", "arrow", "parquet"]})
        ),
        query(
            "shape",
            "Whole records, or the properties alone",
            json!({
                "type": "string", "enum": ["record", "data"],
            })
        ),
        query(
            "end_marker",
            "A last line that says that all was sent",
            json!({"type": "boolean"})
        ),
    ])
}

pub(super) fn of_count() -> Json {
    let words = json!({"type": "string", "enum": ["exact", "estimated"], "default": "exact"});
    json!([
        filters(),
        query("count", "Whether an estimate will do", words)
    ])
}

pub(super) fn of_affected() -> Json {
    let mut filters = filters();
    filters["required"] = true.into();
    json!([
        filters,
        query(
            "max_affected",
            "How many records there may be; at more nothing is done",
            json!({"type": "integer", "minimum": 1, "default": 1_000}),
        ),
        query(
            "dry_run",
            "Whether the records are counted only",
            json!({"type": "boolean", "default": false}),
        ),
    ])
}

pub(super) fn of_create_records() -> Json {
    let words = json!({"type": "string", "enum": ["none", "ids", "records"], "default": "records"});
    json!([
        query("return", "What the answer repeats", words),
        errors_max()
    ])
}

pub(super) fn of_ingest() -> Json {
    let on_error = json!({"type": "string", "enum": ["abort", "continue"], "default": "abort"});
    let mut all = json!([
        query(
            "mode",
            "What to do with each record",
            json!({
                "type": "string", "enum": ["insert", "upsert", "ignore", "update", "delete"],
                "default": "insert",
            })
        ),
        query(
            "on_conflict",
            "The key by which records are found: the primary key or a unique \
                              property",
            json!({"type": "string"})
        ),
        query("on_error", "Whether one bad record stops all", on_error),
        errors_max(),
        query(
            "return",
            "What the answer repeats",
            json!({
                "type": "string", "enum": ["none", "ids"], "default": "none",
            })
        ),
        header(
            "Prefer",
            "respond-async: answer once the body is received, and write it by a job"
        ),
    ]);
    extend(&mut all, csv());
    all
}

/// A sample from which a schema is proposed.
pub(super) fn of_infer() -> Json {
    let name = json!({"type": "string", "default": "records"});
    let mut all = json!([query(
        "name",
        "The name of the schema; one that no schema can have is changed into one like it",
        name
    )]);
    extend(&mut all, csv());
    all
}

/// How CSV is written, and how a body is packed.
fn csv() -> Vec<Json> {
    vec![
        query(
            "null_value",
            "What stands for null in CSV",
            json!({"type": "string"}),
        ),
        query(
            "delimiter",
            "What stands between the cells of CSV",
            json!({
                "type": "string", "minLength": 1, "maxLength": 1, "default": ",",
            }),
        ),
        json!({
            "name": "Content-Encoding",
            "in": "header",
            "description": "How the body is packed",
            "schema": {"type": "string", "enum": ["gzip", "zstd"]},
        }),
    ]
}

fn errors_max() -> Json {
    query(
        "max_errors",
        "How many errors are reported",
        json!({
            "type": "integer", "minimum": 1, "maximum": 100_000, "default": 1_000,
        }),
    )
}

fn id() -> Json {
    json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "The record",
        "schema": {"type": "string", "format": "uuid"},
    })
}

pub(super) fn of_get() -> Json {
    json!([
        id(),
        fields(),
        header("If-None-Match", "The version that the reader has: \"1\"")
    ])
}

pub(super) fn of_change() -> Json {
    json!([
        id(),
        header("If-Match", "The version that the record must have: \"1\"")
    ])
}

/// A schema that is made or changed. Its name may be new.
pub(super) fn of_evolution() -> Json {
    let boolean = || json!({"type": "boolean", "default": false});
    let mut all = of_schema(std::iter::empty());
    extend(
        &mut all,
        vec![
            query("dry_run", "Answer the plan and do nothing", boolean()),
            query(
                "allow_destructive",
                "Let values go that no step brings back",
                boolean(),
            ),
            header("If-Match", "The version that the schema must have: \"1\""),
            by_job(),
        ],
    );
    all
}

/// A change that may be done by a job.
fn by_job() -> Json {
    let wish = "respond-async: answer once the change is accepted, and do it by a job";
    header("Prefer", wish)
}

/// A schema that is removed.
pub(super) fn of_drop() -> Json {
    let mut all = of_schema(std::iter::empty());
    extend(
        &mut all,
        vec![
            json!({
                "name": "confirm", "in": "query", "required": true,
                "description": "The name of the schema once more",
                "schema": {"type": "string"},
            }),
            header("If-Match", "The version that the schema must have: \"1\""),
            by_job(),
        ],
    );
    all
}

/// One version of a schema.
pub(super) fn of_version<'a>(names: impl Iterator<Item = &'a str>) -> Json {
    let mut all = of_schema(names);
    let version = json!({
        "name": "version", "in": "path", "required": true,
        "description": "The version, from 1",
        "schema": {"type": "integer", "minimum": 1},
    });
    extend(&mut all, vec![version]);
    all
}

/// A job that may be waited for.
pub(super) fn of_job(may_wait: bool) -> Json {
    let mut id = id();
    id["description"] = "The job".into();
    if may_wait {
        let prefer = header(
            "Prefer",
            "wait=10: answer once the job has ended, or after 10 seconds",
        );
        return json!([id, prefer]);
    }
    json!([id])
}

fn extend(all: &mut Json, more: Vec<Json>) {
    if let Json::Array(all) = all {
        all.extend(more);
    }
}

/// The name of a schema, in the path.
pub(super) fn of_schema<'a>(names: impl Iterator<Item = &'a str>) -> Json {
    let names: Vec<&str> = names.collect();
    let schema = if names.is_empty() {
        json!({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$"})
    } else {
        json!({"type": "string", "enum": names})
    };
    json!([{
        "name": "name",
        "in": "path",
        "required": true,
        "description": "The schema",
        "schema": schema,
    }])
}
