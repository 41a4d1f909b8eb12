//! `POST /records/{schema}/query`: a page of records, asked for by a JSON body.

use axum::extract::State;

use staffa_app::Queries;

use super::{Answer, read};
use crate::from_wire::{Call, JsonBody, query_body};
use crate::to_wire::page;

pub(crate) async fn query_records(
    State(queries): State<Queries>,
    call: Call,
    JsonBody(body): JsonBody,
) -> Answer {
    read(&queries, || async {
        let asked = query_body::query_records(&queries, &call, &body)?;
        let (select, size) = (asked.select.clone(), asked.size);
        let found = queries.list_records(call.context(), asked).await?;
        page::page(&call.exchange, found, (select.as_deref(), size)).await
    })
    .await
}
