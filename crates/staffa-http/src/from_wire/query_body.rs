//! Questions as a JSON body: the parameters of a list of records as members.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use serde_json::error::Category;
use serde_json::value::RawValue;

use staffa_app::{ListRecords, Queries};
use staffa_codec::question;
use staffa_domain::query::Aggregate;

use super::call::Call;
use super::params::unknown;
use super::question::{SIZE_DEFAULT, count_mode, limits, start};
use crate::problem::{Cause, Code, Problem};

const MEMBERS: [&str; 7] = [
    "filters", "sort", "fields", "page", "size", "count", "cursor",
];

/// Reads `POST …/query`.
pub(crate) fn query_records(
    queries: &Queries,
    call: &Call,
    body: &[u8],
) -> Result<ListRecords, Problem> {
    call.params(&[])?;
    let schema = queries.schema(&call.schema)?;
    let members = Members::read(body)?;
    let filter = match members.get("filters") {
        Some(text) => {
            question::parse_filters_text(&schema, text, "/filters", &limits(queries.limits()))?
        }
        None => None,
    };
    let sort = members
        .value("sort", "a list or a text")?
        .unwrap_or(Json::Null);
    let fields = members
        .value("fields", "a list of names")?
        .unwrap_or(Json::Null);
    let page = members.value("page", "a whole number")?;
    let start = start(page, members.value("cursor", "a text")?)?;
    let count: Option<String> = members.value("count", "a text")?;
    Ok(ListRecords {
        filter,
        sort: question::parse_sort_json(&schema, &sort, "/sort")?,
        select: question::parse_fields_json(&schema, &fields, "/fields")?,
        size: members
            .value("size", "a whole number")?
            .unwrap_or(SIZE_DEFAULT),
        count: count_mode(count.as_deref(), &start)?,
        start,
        schema,
    })
}

/// Reads `POST …/aggregate`.
pub(crate) fn aggregate_records(
    queries: &Queries,
    call: &Call,
    body: &[u8],
) -> Result<Aggregate, Problem> {
    call.params(&[])?;
    let schema = queries.schema(&call.schema)?;
    let text: &RawValue = serde_json::from_slice(body).map_err(|error| refused(&error))?;
    let limits = limits(queries.limits());
    Ok(question::parse_aggregate_text(
        &schema,
        text.get(),
        &limits,
    )?)
}

/// The members of a question, read as strictly as parameters: each known, and once.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Problem> {
        let members: Self = serde_json::from_slice(body).map_err(|error| refused(&error))?;
        for (at, (name, _)) in members.0.iter().enumerate() {
            if !MEMBERS.contains(&name.as_str()) {
                return Err(unknown(name, &MEMBERS));
            }
            if members.0[..at].iter().any(|(earlier, _)| earlier == name) {
                let message = format!("{name} is given more than once");
                return Err(Problem::parameter(name, message));
            }
        }
        Ok(members)
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.get())
    }

    /// The value of a member; null is none.
    fn value<T: DeserializeOwned>(&self, name: &str, kind: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let value = serde_json::from_str::<Option<T>>(text);
        value.map_err(|_| Problem::parameter(name, format!("{name} is {kind}")))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfAnObject;

        impl<'de> Visitor<'de> for OfAnObject {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(OfAnObject)
    }
}

/// Text that is no JSON, or JSON that is no object.
fn refused(error: &serde_json::Error) -> Problem {
    let (code, message) = match error.classify() {
        Category::Data => (
            Code::INVALID_PARAMETER,
            "a question is an object".to_owned(),
        ),
        _ => (Code::MALFORMED_JSON, error.to_string()),
    };
    let cause = Cause::new(String::new(), code.as_str(), message.clone());
    Problem::new(code, message).with_causes(vec![cause])
}
