//! `POST /records/{schema}/aggregate`: figures over groups of records.

use axum::extract::State;

use staffa_app::Queries;

use super::{Answer, read};
use crate::from_wire::{Call, JsonBody, query_body};
use crate::to_wire::groups;

pub(crate) async fn aggregate_records(
    State(queries): State<Queries>,
    call: Call,
    JsonBody(body): JsonBody,
) -> Answer {
    read(&queries, || async {
        let asked = query_body::aggregate_records(&queries, &call, &body)?;
        let found = queries.aggregate_records(call.context(), asked).await?;
        groups::groups(&call.exchange, &found).await
    })
    .await
}
