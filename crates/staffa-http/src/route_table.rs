//! Every route, once: the router and the OpenAPI document are both made from this table.

use http::Method;

/// What a route does, named like its use case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    ListSchemas,
    DescribeSchema,
    DescribeJsonSchema,
    EvolveSchema,
    DropSchema,
    InferSchema,
    ListVersions,
    DescribeVersion,
    CreateRecordEnveloped,
    CreateRecords,
    CreateRecord,
    PatchRecords,
    DeleteRecords,
    IngestRecords,
    ListRecords,
    QueryRecords,
    StreamRecords,
    CountRecords,
    AggregateRecords,
    GetRecord,
    ReplaceRecord,
    PatchRecord,
    DeleteRecord,
    RunTransaction,
    GetJob,
    CancelJob,
    ReadJobErrors,
    CheckLive,
    CheckReady,
    DescribeApi,
    ShowDocs,
    ShowDocsScript,
    ShowDocsStyle,
}

/// One method of one path.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) operation: Operation,
}

const fn route(method: Method, path: &'static str, operation: Operation) -> Route {
    Route {
        method,
        path,
        operation,
    }
}

/// Where one schema is.
pub(crate) const SCHEMA: &str = "/api/v1/schemas/{name}";

/// Where samples are sent. A schema may have this name too: whatever other methods there are
/// on [`SCHEMA`] are there as well.
pub(crate) const INFER: &str = "/api/v1/schemas/infer";

/// Where the records of one schema are.
pub(crate) const RECORDS: &str = "/api/v1/records/{schema}";

/// The routes in the order in which documentation lists them; those of a path stand together.
pub(crate) const ROUTES: &[Route] = &[
    route(Method::GET, "/api/v1/schemas", Operation::ListSchemas),
    route(Method::POST, INFER, Operation::InferSchema),
    route(Method::GET, SCHEMA, Operation::DescribeSchema),
    route(Method::PUT, SCHEMA, Operation::EvolveSchema),
    route(Method::DELETE, SCHEMA, Operation::DropSchema),
    route(
        Method::GET,
        "/api/v1/schemas/{name}/versions",
        Operation::ListVersions,
    ),
    route(
        Method::GET,
        "/api/v1/schemas/{name}/versions/{version}",
        Operation::DescribeVersion,
    ),
    route(
        Method::GET,
        "/api/v1/schemas/{name}/json-schema",
        Operation::DescribeJsonSchema,
    ),
    route(
        Method::POST,
        "/api/v1/records",
        Operation::CreateRecordEnveloped,
    ),
    route(
        Method::POST,
        "/api/v1/records/bulk",
        Operation::CreateRecords,
    ),
    route(Method::GET, RECORDS, Operation::ListRecords),
    route(Method::POST, RECORDS, Operation::CreateRecord),
    route(Method::PATCH, RECORDS, Operation::PatchRecords),
    route(Method::DELETE, RECORDS, Operation::DeleteRecords),
    route(
        Method::POST,
        "/api/v1/records/{schema}/bulk",
        Operation::IngestRecords,
    ),
    route(
        Method::POST,
        "/api/v1/records/{schema}/query",
        Operation::QueryRecords,
    ),
    route(
        Method::GET,
        "/api/v1/records/{schema}/stream",
        Operation::StreamRecords,
    ),
    route(
        Method::GET,
        "/api/v1/records/{schema}/count",
        Operation::CountRecords,
    ),
    route(
        Method::POST,
        "/api/v1/records/{schema}/aggregate",
        Operation::AggregateRecords,
    ),
    route(
        Method::GET,
        "/api/v1/records/{schema}/{id}",
        Operation::GetRecord,
    ),
    route(
        Method::PUT,
        "/api/v1/records/{schema}/{id}",
        Operation::ReplaceRecord,
    ),
    route(
        Method::PATCH,
        "/api/v1/records/{schema}/{id}",
        Operation::PatchRecord,
    ),
    route(
        Method::DELETE,
        "/api/v1/records/{schema}/{id}",
        Operation::DeleteRecord,
    ),
    route(
        Method::POST,
        "/api/v1/transactions",
        Operation::RunTransaction,
    ),
    route(Method::GET, "/api/v1/jobs/{id}", Operation::GetJob),
    route(Method::DELETE, "/api/v1/jobs/{id}", Operation::CancelJob),
    route(
        Method::GET,
        "/api/v1/jobs/{id}/errors",
        Operation::ReadJobErrors,
    ),
    route(Method::GET, "/health/live", Operation::CheckLive),
    route(Method::GET, "/health/ready", Operation::CheckReady),
    route(Method::GET, "/openapi.json", Operation::DescribeApi),
    route(Method::GET, "/docs", Operation::ShowDocs),
    route(Method::GET, "/docs/app.js", Operation::ShowDocsScript),
    route(Method::GET, "/docs/style.css", Operation::ShowDocsStyle),
];
