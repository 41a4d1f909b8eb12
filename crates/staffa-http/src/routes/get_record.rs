//! `GET /records/{schema}/{id}`: one record, unless the reader has it already.

use axum::extract::State;

use staffa_app::Queries;

use super::{Answer, read};
use crate::from_wire::RecordCall;
use crate::from_wire::precondition::Known;
use crate::from_wire::question::fields;
use crate::to_wire::record;

pub(crate) async fn get_record(
    State(queries): State<Queries>,
    target: RecordCall,
    known: Known,
) -> Answer {
    let call = &target.call;
    let params = call.params(&["fields"])?;
    read(&queries, || async {
        let view = queries
            .get_record(call.context(), &call.schema, target.id)
            .await?;
        let select = fields(&view.schema, &params)?;
        match view.version() {
            Some(version) if known.has(version) => record::not_modified(&view),
            _ => record::record(call.context(), &view, select.as_deref()),
        }
    })
    .await
}
