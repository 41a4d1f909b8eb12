//! `GET /records/{schema}/count`: how many records match.

use axum::extract::State;
use http::StatusCode;
use serde_json::json;

use staffa_app::Queries;

use super::{Answer, read};
use crate::from_wire::{Call, question};
use crate::to_wire::json_of;

pub(crate) async fn count_records(State(queries): State<Queries>, call: Call) -> Answer {
    read(&queries, || async {
        let schema = queries.schema(&call.schema)?;
        let (filter, exact) = question::count_records(&queries, &schema, &call)?;
        let count = queries
            .count_records(call.context(), &schema, filter.as_ref(), exact)
            .await?;
        let body = json!({
            "success": true,
            "message": format!("{} records", count.records),
            "schema_name": schema.name(),
            "count": count.records,
            "relation": count.relation(),
            "execution_time_ms": call.exchange.elapsed_ms(),
        });
        json_of(StatusCode::OK, &body)
    })
    .await
}
