//! Questions as a JSON body: the parameters of a list of records as members.

use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::error::Category;
use serde_json::value::RawValue;

use staffa_app::{ListRecords, Queries};
use staffa_codec::question;

use super::call::Call;
use super::question::{SIZE_DEFAULT, count_mode, limits, start};
use crate::problem::{Cause, Code, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    #[serde(default, borrow)]
    filters: Option<&'a RawValue>,
    #[serde(default)]
    sort: Option<Json>,
    #[serde(default)]
    fields: Option<Json>,
    #[serde(default)]
    page: Option<u64>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    count: Option<String>,
    #[serde(default)]
    cursor: Option<String>,
}

/// Reads `POST …/query`.
pub(crate) fn query_records(
    queries: &Queries,
    call: &Call,
    body: &[u8],
) -> Result<ListRecords, Problem> {
    call.params(&[])?;
    let schema = queries.schema(&call.schema)?;
    let wire: Wire<'_> = serde_json::from_slice(body).map_err(|error| refused(&error))?;
    let filter = match wire.filters {
        Some(text) => question::parse_filters_text(
            &schema,
            text.get(),
            "/filters",
            &limits(queries.limits()),
        )?,
        None => None,
    };
    let sort = wire.sort.unwrap_or(Json::Null);
    let fields = wire.fields.unwrap_or(Json::Null);
    let start = start(wire.page, wire.cursor)?;
    Ok(ListRecords {
        filter,
        sort: question::parse_sort_json(&schema, &sort, "/sort")?,
        select: question::parse_fields_json(&schema, &fields, "/fields")?,
        size: wire.size.unwrap_or(SIZE_DEFAULT),
        count: count_mode(wire.count.as_deref(), &start)?,
        start,
        schema,
    })
}

/// Text that is no JSON, or JSON that is no question.
fn refused(error: &serde_json::Error) -> Problem {
    let code = match error.classify() {
        Category::Data => Code::INVALID_PARAMETER,
        _ => Code::MALFORMED_JSON,
    };
    let message = error.to_string();
    let cause = Cause::new(String::new(), code.as_str(), message.clone());
    Problem::new(code, message).with_causes(vec![cause])
}
