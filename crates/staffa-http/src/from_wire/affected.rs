//! Changes by filter: which records they concern, and how many these may be.

use staffa_app::{Affected, Commands, Precondition};

use super::call::Call;
use super::params::SHORT_FILTERS;
use super::precondition::Insists;
use super::question::{filter, limits};
use crate::problem::Problem;

/// How many records a change may concern unless the request says otherwise.
const AFFECTED_DEFAULT: u64 = 1_000;

const PARAMS: [&str; 4] = ["filters", "max_affected", "dry_run", SHORT_FILTERS];

/// Reads `PATCH` and `DELETE /records/{schema}`.
pub(crate) fn affected(
    commands: &Commands,
    call: &Call,
    Insists(on): Insists,
) -> Result<Affected, Problem> {
    if on != Precondition::None {
        let message = "If-Match concerns one record; filter by version instead";
        return Err(Problem::parameter("if-match", message));
    }
    let schema = commands.catalog().get(&call.schema)?;
    let params = call.params(&PARAMS)?;
    let affected_max = params.number("max_affected")?.unwrap_or(AFFECTED_DEFAULT);
    if affected_max == 0 {
        return Err(Problem::parameter(
            "max_affected",
            "max_affected is at least 1",
        ));
    }
    // Where more match than one request may change, nothing is done, as where more match than
    // it allows.
    let affected_max = affected_max.min(commands.limits().affected_max);
    let filter = filter(&limits(commands.limits()), &schema, &params)?;
    let filter = filter.ok_or_else(|| {
        let message = "a filter is needed, so that no request changes all records by mistake";
        Problem::parameter("filters", message)
    })?;
    Ok(Affected {
        schema,
        filter,
        affected_max,
        dry_run: params.boolean("dry_run")?.unwrap_or(false),
    })
}
