//! `GET /records/{schema}/stream`: every record that matches, from one snapshot.

use axum::extract::State;

use staffa_app::Queries;

use super::{Answer, read};
use crate::from_wire::Call;
use crate::from_wire::stream as asked;
use crate::to_wire::stream;

pub(crate) async fn stream_records(State(queries): State<Queries>, call: Call) -> Answer {
    read(&queries, || async {
        let (asked, form) = asked::stream_records(&queries, &call)?;
        let view = queries.stream_records(call.context(), asked).await?;
        stream::stream(&call.exchange, view, form).await
    })
    .await
}
