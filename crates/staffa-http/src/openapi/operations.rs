//! What each operation takes and answers.

use http::Method;
use serde_json::{Map, Value as Json, json};

use staffa_domain::SchemaSnapshot;

use super::answers::{OF_A_BODY, answers, empty, of_json, of_record, of_type};
use super::schemas::reference;
use super::{Schemas, jobs, params, transaction};
use crate::route_table::{Operation, Route};

/// Describes one route; one that has a schema in its path, for that schema.
pub(super) fn describe(route: &Route, schema: Option<&SchemaSnapshot>, schemas: &Schemas) -> Json {
    let told = match (route.operation, schema) {
        (operation, Some(schema)) => of_one_schema(operation, schema.name()),
        (operation, None) => of_no_schema(operation, schemas),
    };
    let name = name(route.operation);
    let id = schema.map_or_else(
        || name.to_owned(),
        |schema| format!("{name}.{}", schema.name()),
    );
    let tag = match schema {
        Some(schema) => schema.name(),
        None if route.path.starts_with("/api/v1/schemas") => "schemas",
        None if route.path.starts_with("/api/v1/jobs") => "jobs",
        None if route.path.starts_with("/api/v1/") => "records",
        None => "server",
    };
    let mut out = Map::new();
    out.insert("operationId".into(), id.into());
    out.insert("tags".into(), json!([tag]));
    out.insert("summary".into(), told.summary.into());
    let mut parameters = told.parameters.unwrap_or_else(|| json!([]));
    if is_sent_once(route)
        && let Some(parameters) = parameters.as_array_mut()
    {
        parameters.push(params::idempotency_key());
    }
    if parameters.as_array().is_some_and(|all| !all.is_empty()) {
        out.insert("parameters".into(), parameters);
    }
    if let Some(content) = told.body {
        out.insert(
            "requestBody".into(),
            json!({"required": true, "content": content}),
        );
    }
    out.insert("responses".into(), told.answers);
    Json::Object(out)
}

/// Whether a request may carry a key that lets it be carried out once.
fn is_sent_once(route: &Route) -> bool {
    let path = route.path;
    let asks = path.ends_with("/query") || path.ends_with("/aggregate");
    let is_write = route.method != Method::GET && !asks;
    is_write && (path.starts_with("/api/v1/records") || path == "/api/v1/transactions")
}

pub(super) struct Told {
    pub(super) summary: &'static str,
    pub(super) parameters: Option<Json>,
    pub(super) body: Option<Json>,
    pub(super) answers: Json,
}

impl Told {
    pub(super) fn reading(summary: &'static str, good: Vec<(u16, Json)>) -> Self {
        Self {
            summary,
            parameters: None,
            body: None,
            answers: answers(good, &[]),
        }
    }

    pub(super) fn with(mut self, parameters: Json) -> Self {
        self.parameters = Some(parameters);
        self
    }
}

/// One JSON body.
fn json_body(schema: Json) -> Json {
    json!({"application/json": {"schema": schema}})
}

/// The same, or as YAML.
fn with_yaml(mut content: Json) -> Json {
    for kind in ["application/yaml", "text/yaml"] {
        content[kind] = json!({"schema": {"type": "string"}});
    }
    content
}

fn of_one_schema(operation: Operation, name: &str) -> Told {
    let data = || reference(&format!("{name}.data"));
    let partial = || reference(&format!("{name}.partial"));
    let record = || reference(&format!("{name}.record"));
    let page = || of_json("A page of records", reference(&format!("{name}.page")));
    let change = |summary, body: Option<Json>, good| Told {
        summary,
        parameters: Some(params::of_change()),
        answers: answers(vec![good], &[&OF_A_BODY[..], &[409, 412]].concat()),
        body: body.map(json_body),
    };
    match operation {
        Operation::CreateRecord => Told {
            summary: "Create a record",
            parameters: None,
            body: Some(json_body(data())),
            answers: answers(
                vec![(201, of_record("The record", record(), true))],
                &[&OF_A_BODY[..], &[409]].concat(),
            ),
        },
        Operation::PatchRecords => affected(
            "Change some of the data of all records that match",
            Some(partial()),
        ),
        Operation::DeleteRecords => affected("Delete all records that match", None),
        Operation::IngestRecords => ingest(data()),
        Operation::ListRecords => {
            Told::reading("List records", vec![(200, page())]).with(params::of_list())
        }
        Operation::QueryRecords => Told {
            summary: "List records, asked for by a body",
            parameters: None,
            body: Some(json_body(reference("question"))),
            answers: answers(vec![(200, page())], &OF_A_BODY),
        },
        Operation::StreamRecords => stream(record()),
        Operation::CountRecords => {
            let count = of_json("How many there are", reference("count"));
            Told::reading("Count records", vec![(200, count)]).with(params::of_count())
        }
        Operation::AggregateRecords => Told {
            summary: "Compute figures over groups of records",
            parameters: None,
            body: Some(json_body(reference("aggregation"))),
            answers: answers(
                vec![(200, of_json("The groups", reference("groups")))],
                &OF_A_BODY,
            ),
        },
        Operation::GetRecord => {
            let found = of_record("The record", record(), false);
            let known = empty("The reader has this version");
            Told::reading("Read a record", vec![(200, found), (304, known)]).with(params::of_get())
        }
        Operation::ReplaceRecord => change(
            "Replace a record's data",
            Some(data()),
            (200, of_record("The record", record(), false)),
        ),
        Operation::PatchRecord => change(
            "Change some of a record's data (RFC 7396)",
            Some(partial()),
            (200, of_record("The record", record(), false)),
        ),
        _ => change("Delete a record", None, (204, empty("It is gone"))),
    }
}

fn affected(summary: &'static str, body: Option<Json>) -> Told {
    let good = of_json("How many there were", reference("affected"));
    Told {
        summary,
        parameters: Some(params::of_affected()),
        body: body.map(json_body),
        answers: answers(vec![(200, good)], &[&OF_A_BODY[..], &[409]].concat()),
    }
}

fn stream(record: Json) -> Told {
    let good = json!({
        "description": "Every record that matches, from one snapshot",
        "content": {
            "application/x-ndjson": {"schema": {"type": "string", "x-line": record}},
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.arrow.stream": {},
            "application/vnd.apache.parquet": {},
        },
    });
    Told::reading("Stream records", vec![(200, good)]).with(params::of_stream())
}

/// A body of many records, in any format.
fn many(data: Json) -> Json {
    json!({
        "application/json": {"schema": {"type": "array", "items": data}},
        "application/x-ndjson": {"schema": {"type": "string"}},
        "text/csv": {"schema": {"type": "string"}},
        "application/vnd.apache.arrow.stream": {},
        "application/vnd.apache.parquet": {},
    })
}

fn infer() -> Told {
    let mut good = of_json("The proposal", reference("proposal"));
    good["content"] = with_yaml(good["content"].take());
    Told {
        summary: "Propose a schema from a sample: of a long body the first 10,000 records, or 16 \
                  MiB once unpacked, are read. Nothing is stored",
        parameters: Some(params::of_infer()),
        body: Some(many(json!({"type": "object"}))),
        answers: answers(vec![(200, good)], &OF_A_BODY),
    }
}

fn ingest(data: Json) -> Told {
    let report = |description| of_json(description, reference("report"));
    let mut none = report("Nothing was stored");
    none["content"]["application/problem+json"] = json!({"schema": reference("problem")});
    let good = vec![
        (201, report("All was stored")),
        (202, jobs::accepted()),
        (207, report("Some was stored")),
        (422, none),
    ];
    Told {
        summary: "Write many records in one go",
        parameters: Some(params::of_ingest()),
        body: Some(many(data)),
        answers: answers(good, &[409, 415]),
    }
}

fn of_no_schema(operation: Operation, schemas: &Schemas) -> Told {
    match operation {
        Operation::ListSchemas
        | Operation::DescribeSchema
        | Operation::EvolveSchema
        | Operation::DropSchema
        | Operation::InferSchema
        | Operation::ListVersions
        | Operation::DescribeVersion
        | Operation::DescribeJsonSchema => of_schemas(operation, schemas),
        Operation::CreateRecordEnveloped => enveloped(schemas),
        Operation::CreateRecords => enveloped_list(schemas),
        Operation::RunTransaction => Told {
            summary: "Carry out operations across schemas, all or none",
            parameters: None,
            body: Some(json_body(transaction::body(schemas.keys()))),
            answers: answers(
                vec![(
                    200,
                    of_json(
                        "What each one did",
                        transaction::results(any_record(schemas)),
                    ),
                )],
                &[&OF_A_BODY[..], &[409, 412]].concat(),
            ),
        },
        Operation::GetJob | Operation::CancelJob | Operation::ReadJobErrors => {
            jobs::describe(operation)
        }
        Operation::DescribeApi => {
            let good = vec![(200, of_json("This document", json!({"type": "object"})))];
            Told::reading("Read this document", good)
        }
        Operation::ShowDocs => file("Browse the API", "text/html"),
        Operation::ShowDocsScript => file("The script of /docs", "text/javascript"),
        Operation::ShowDocsStyle => file("The style of /docs", "text/css"),
        Operation::CheckLive => health("Whether the process runs"),
        _ => health("Whether the server serves"),
    }
}

/// The operations on schemas themselves.
fn of_schemas(operation: Operation, schemas: &Schemas) -> Told {
    let names = || schemas.keys().map(String::as_str);
    match operation {
        Operation::ListSchemas => {
            let list = json!({"type": "array", "items": reference("schema")});
            Told::reading(
                "List the schemas",
                vec![(200, of_json("The schemas", list))],
            )
        }
        Operation::DescribeSchema => {
            let good = vec![(200, of_json("The schema", reference("schema")))];
            Told::reading("Read a schema", good).with(params::of_schema(names()))
        }
        Operation::EvolveSchema => Told {
            summary: "Make a schema, or bring it to its next version",
            parameters: Some(params::of_evolution()),
            body: Some(with_yaml(json_body(json!({"type": "object"})))),
            answers: answers(
                vec![
                    (
                        200,
                        of_json("The schema and what was done", reference("schema")),
                    ),
                    (201, of_json("The new schema", reference("schema"))),
                    (202, jobs::accepted()),
                ],
                &[&OF_A_BODY[..], &[409, 412]].concat(),
            ),
        },
        Operation::DropSchema => Told {
            summary: "Remove a schema with its records",
            parameters: Some(params::of_drop()),
            body: None,
            answers: answers(
                vec![(202, jobs::accepted()), (204, empty("It is gone"))],
                &[409, 412],
            ),
        },
        Operation::InferSchema => infer(),
        Operation::ListVersions => {
            let list = json!({"type": "array", "items": version()});
            Told::reading(
                "List the versions of a schema",
                vec![(200, of_json("The versions", list))],
            )
            .with(params::of_schema(names()))
        }
        Operation::DescribeVersion => {
            let good = vec![(200, of_json("The version", version()))];
            Told::reading("Read a version of a schema", good).with(params::of_version(names()))
        }
        _ => {
            let good = vec![(200, of_json("The JSON Schema", json!({"type": "object"})))];
            Told::reading("Read a schema as JSON Schema", good).with(params::of_schema(names()))
        }
    }
}

/// One version of a schema and how it came about.
fn version() -> Json {
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "version": {"type": "integer", "minimum": 1},
            "created_at": {"type": "string", "format": "date-time"},
            "steps": {"type": ["array", "null"], "items": {"type": "object"}},
            "record_count": {"type": ["integer", "null"]},
            "duration_ms": {"type": ["integer", "null"]},
            "document": {"type": "object"},
        },
        "required": ["name", "version", "created_at", "document"],
    })
}

fn health(summary: &'static str) -> Told {
    let status = json!({
        "type": "object",
        "properties": {"status": {"type": "string"}},
        "required": ["status"],
    });
    Told::reading(summary, vec![(200, of_json("It does", status))])
}

fn file(summary: &'static str, kind: &str) -> Told {
    let good = of_type("The file", kind, json!({"type": "string"}));
    Told::reading(summary, vec![(200, good)])
}

/// `{"schema_name", "data"}` for each schema, where `data` is made of its data by `of`.
fn envelopes(schemas: &Schemas, of: impl Fn(Json) -> Json) -> Json {
    let each: Vec<Json> = schemas
        .keys()
        .map(|name| {
            json!({
                "type": "object",
                "properties": {
                    "schema_name": {"const": name},
                    "data": of(reference(&format!("{name}.data"))),
                },
                "required": ["schema_name", "data"],
                "additionalProperties": false,
            })
        })
        .collect();
    if each.is_empty() {
        json!({"type": "object"})
    } else {
        json!({"oneOf": each})
    }
}

fn any_record(schemas: &Schemas) -> Json {
    let each: Vec<Json> = schemas
        .keys()
        .map(|name| reference(&format!("{name}.record")))
        .collect();
    if each.is_empty() {
        json!({"type": "object"})
    } else {
        json!({"oneOf": each})
    }
}

fn enveloped(schemas: &Schemas) -> Told {
    let good = json!({
        "type": "object",
        "properties": {
            "success": {"const": true},
            "message": {"type": "string"},
            "record": any_record(schemas),
        },
        "required": ["success", "message", "record"],
    });
    Told {
        summary: "Create a record of any schema",
        parameters: None,
        body: Some(json_body(envelopes(schemas, |data| data))),
        answers: answers(
            vec![(201, of_record("The record", good, true))],
            &[&OF_A_BODY[..], &[409]].concat(),
        ),
    }
}

fn enveloped_list(schemas: &Schemas) -> Told {
    let good = json!({
        "type": "object",
        "properties": {
            "success": {"const": true},
            "message": {"type": "string"},
            "records_created": {"type": "integer"},
            "records": {"type": "array", "items": any_record(schemas)},
            "ids": {"type": "array", "items": {"type": "string", "format": "uuid"}},
        },
        "required": ["success", "message", "records_created"],
    });
    Told {
        summary: "Create records of any schema, all or none",
        parameters: Some(params::of_create_records()),
        body: Some(json_body(envelopes(
            schemas,
            |data| json!({"type": "array", "items": data}),
        ))),
        answers: answers(
            vec![(201, of_json("The records", good))],
            &[&OF_A_BODY[..], &[409]].concat(),
        ),
    }
}

const fn name(operation: Operation) -> &'static str {
    match operation {
        Operation::ListSchemas => "list_schemas",
        Operation::DescribeSchema => "describe_schema",
        Operation::DescribeJsonSchema => "describe_json_schema",
        Operation::EvolveSchema => "evolve_schema",
        Operation::DropSchema => "drop_schema",
        Operation::InferSchema => "infer_schema",
        Operation::ListVersions => "list_versions",
        Operation::DescribeVersion => "describe_version",
        Operation::CreateRecordEnveloped => "create_record_enveloped",
        Operation::CreateRecords => "create_records",
        Operation::CreateRecord => "create_record",
        Operation::PatchRecords => "patch_records",
        Operation::DeleteRecords => "delete_records",
        Operation::IngestRecords => "ingest_records",
        Operation::ListRecords => "list_records",
        Operation::QueryRecords => "query_records",
        Operation::StreamRecords => "stream_records",
        Operation::CountRecords => "count_records",
        Operation::AggregateRecords => "aggregate_records",
        Operation::GetRecord => "get_record",
        Operation::ReplaceRecord => "replace_record",
        Operation::PatchRecord => "patch_record",
        Operation::DeleteRecord => "delete_record",
        Operation::RunTransaction => "run_transaction",
        Operation::GetJob => "get_job",
        Operation::CancelJob => "cancel_job",
        Operation::ReadJobErrors => "read_job_errors",
        Operation::CheckLive => "check_live",
        Operation::CheckReady => "check_ready",
        Operation::DescribeApi => "describe_api",
        Operation::ShowDocs => "show_docs",
        Operation::ShowDocsScript => "show_docs_script",
        Operation::ShowDocsStyle => "show_docs_style",
    }
}
