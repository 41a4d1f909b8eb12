//! `GET /records/{schema}`: a page of records, asked for by the query.

use axum::extract::State;

use staffa_app::Queries;

use super::{Answer, read};
use crate::from_wire::{Call, question};
use crate::to_wire::page;

pub(crate) async fn list_records(State(queries): State<Queries>, call: Call) -> Answer {
    read(&queries, || async {
        let asked = question::list_records(&queries, &call)?;
        let (select, size) = (asked.select.clone(), asked.size);
        let found = queries.list_records(call.context(), asked).await?;
        page::page(&call.exchange, found, (select.as_deref(), size)).await
    })
    .await
}
