//! A proposed schema with its remarks: as JSON, and as a YAML document with comments.

use serde_json::{Value as Json, json};

use staffa_domain::infer::{Proposal, Remark};

use super::write::write_schema;
use super::write_yaml::write_commented;

/// The proposal as the API answers it.
pub fn proposal_json(proposal: &Proposal) -> Json {
    let properties = &proposal.schema.properties;
    let remark = |remark: &Remark| {
        let property = remark.property.and_then(|at| properties.get(at));
        json!({
            "property": property.map(|property| property.name.as_str()),
            "code": remark.code.as_str(),
            "message": remark.message,
        })
    };
    json!({
        "schema": write_schema(&proposal.schema),
        "null_value": proposal.null_value,
        "rows_read": proposal.rows,
        "rows_unreadable": proposal.unreadable,
        "truncated": proposal.truncated,
        "remarks": proposal.remarks.iter().map(remark).collect::<Json>(),
    })
}

/// The proposed document, with each remark as a comment: those of the whole above it, those of
/// a property beside it.
pub fn proposal_yaml(proposal: &Proposal) -> String {
    let mut out = String::from("# Proposed from a sample.\n");
    for remark in &proposal.remarks {
        if remark.property.is_none() {
            out.push_str("# ");
            out.push_str(&remark.message);
            out.push('\n');
        }
    }
    out + &write_commented(&proposal.schema, |position| {
        let here = proposal
            .remarks
            .iter()
            .filter(|remark| remark.property == Some(position));
        let messages: Vec<&str> = here.map(|remark| remark.message.as_str()).collect();
        messages.join("; ")
    })
}
