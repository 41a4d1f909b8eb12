//! The routers of the two listeners, made from the route table.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};

use crate::frame::Api;
use crate::problem::{Code, Problem};
use crate::route_table::{INFER, Operation, ROUTES, Route, SCHEMA};
use crate::routes;
use crate::state::{ApiState, MetricsText, Shared};

/// Below this is the API.
const API: &str = "/api/v1";

/// The API: every route of the contract, documentation and health.
pub fn router(state: ApiState) -> Api {
    build(ROUTES.iter(), state, None)
}

/// What the admin listener serves: health and metrics.
pub fn admin_router(state: ApiState, metrics: MetricsText) -> Api {
    let health = ROUTES
        .iter()
        .filter(|route| route.path.starts_with("/health/"));
    build(health, state, Some(metrics))
}

fn build<'a>(
    table: impl Iterator<Item = &'a Route>,
    state: ApiState,
    metrics: Option<MetricsText>,
) -> Api {
    let table: Vec<&Route> = table.collect();
    let mut router = Router::new();
    for of_path in table.chunk_by(|one, next| one.path == next.path) {
        let path = of_path[0].path;
        let mut of_path = of_path.to_vec();
        if path == INFER {
            // This path hides that of a schema which is called so.
            of_path.extend(ROUTES.iter().filter(|route| route.path == SCHEMA));
        }
        router = router.route(path, methods(&of_path));
        if metrics.is_none() && !path.starts_with(API) {
            // Whoever has the address of the API finds what is around it there too.
            router = router.route(&format!("{API}{path}"), methods(&of_path));
        }
    }
    if let Some(metrics) = metrics {
        let allow = HeaderValue::from_static("GET, HEAD, OPTIONS");
        let route = on(MethodFilter::GET, move || {
            std::future::ready(routes::metrics::metrics(&metrics))
        });
        router = router.route("/metrics", with_fallback(route, allow));
    }
    let shared = Shared::new(state.clone());
    Api::new(router.fallback(no_route).with_state(shared), state)
}

/// The routes of one path, and the answer to methods that it does not have.
fn methods(of_path: &[&Route]) -> MethodRouter<Shared> {
    let mut methods = MethodRouter::new();
    let mut allow = String::new();
    for route in of_path {
        methods = methods.merge(handler(route));
        allow.push_str(route.method.as_str());
        allow.push_str(if route.method == Method::GET {
            ", HEAD, "
        } else {
            ", "
        });
    }
    allow.push_str("OPTIONS");
    let allow = HeaderValue::from_str(&allow).expect("methods are visible ASCII");
    with_fallback(methods, allow)
}

fn with_fallback(methods: MethodRouter<Shared>, allow: HeaderValue) -> MethodRouter<Shared> {
    methods.fallback(move |method: Method| std::future::ready(other_method(&method, &allow)))
}

fn other_method(method: &Method, allow: &HeaderValue) -> Response {
    if method == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, [(ALLOW, allow.clone())]).into_response();
    }
    let allowed = allow.to_str().unwrap_or_default();
    let detail = format!("the methods of this path are {allowed}");
    Problem::new(Code::METHOD_NOT_ALLOWED, detail)
        .allow(allow.clone())
        .into_response()
}

async fn no_route() -> Problem {
    Problem::new(
        Code::ROUTE_NOT_FOUND,
        "there is nothing at this path; /docs lists what there is",
    )
}

fn handler(route: &Route) -> MethodRouter<Shared> {
    let method = MethodFilter::try_from(route.method.clone()).expect("the table has known methods");
    match route.operation {
        Operation::ListSchemas => on(method, routes::list_schemas::list_schemas),
        Operation::DescribeSchema => on(method, routes::describe_schema::describe_schema),
        Operation::EvolveSchema => on(method, routes::evolve_schema::evolve_schema),
        Operation::DropSchema => on(method, routes::drop_schema::drop_schema),
        Operation::InferSchema => on(method, routes::infer_schema::infer_schema),
        Operation::ListVersions => on(method, routes::list_versions::list_versions),
        Operation::DescribeVersion => on(method, routes::describe_version::describe_version),
        Operation::DescribeJsonSchema => {
            on(method, routes::describe_json_schema::describe_json_schema)
        }
        Operation::CreateRecordEnveloped => on(
            method,
            routes::create_record_enveloped::create_record_enveloped,
        ),
        Operation::CreateRecords => on(method, routes::create_records::create_records),
        Operation::CreateRecord => on(method, routes::create_record::create_record),
        Operation::PatchRecords => on(method, routes::patch_records::patch_records),
        Operation::DeleteRecords => on(method, routes::delete_records::delete_records),
        Operation::IngestRecords => on(method, routes::ingest_records::ingest_records),
        Operation::ListRecords => on(method, routes::list_records::list_records),
        Operation::QueryRecords => on(method, routes::query_records::query_records),
        Operation::StreamRecords => on(method, routes::stream_records::stream_records),
        Operation::CountRecords => on(method, routes::count_records::count_records),
        Operation::AggregateRecords => on(method, routes::aggregate_records::aggregate_records),
        Operation::GetRecord => on(method, routes::get_record::get_record),
        Operation::ReplaceRecord => on(method, routes::replace_record::replace_record),
        Operation::PatchRecord => on(method, routes::patch_record::patch_record),
        Operation::DeleteRecord => on(method, routes::delete_record::delete_record),
        Operation::RunTransaction => on(method, routes::run_transaction::run_transaction),
        Operation::GetJob => on(method, routes::get_job::get_job),
        Operation::CancelJob => on(method, routes::cancel_job::cancel_job),
        Operation::ReadJobErrors => on(method, routes::read_job_errors::read_job_errors),
        Operation::CheckLive => on(method, routes::health::check_live),
        Operation::CheckReady => on(method, routes::health::check_ready),
        Operation::DescribeApi => on(method, routes::describe_api::describe_api),
        Operation::ShowDocs => on(method, crate::docs::show_docs),
        Operation::ShowDocsScript => on(method, crate::docs::show_docs_script),
        Operation::ShowDocsStyle => on(method, crate::docs::show_docs_style),
    }
}
