//! Records under the next version of their schema.

use std::sync::Arc;

use staffa_domain::change::{Example, Incompatible, convert};
use staffa_domain::error::RecordErrorCode;
use staffa_domain::{PropertyType, SchemaSnapshot, StorageError, Transition, Value};

use super::content::Content;
use crate::record::{Record, batch_of};

/// All records as the next version has them, or why they cannot be.
pub(super) fn evolve(
    content: &Content,
    from: &Arc<SchemaSnapshot>,
    to: &Arc<SchemaSnapshot>,
) -> Result<Content, StorageError> {
    let transition = Transition::between(from, to);
    let mut findings = Incompatible::default();
    if let Some(question) = transition.question() {
        let batch = batch_of(from, &question.selected(), content.records().values());
        transition.examine(&batch, &mut findings);
    }
    let mut next = Content::new(to.schema());
    if findings.is_empty() {
        for record in content.records().values() {
            let record = carried(&transition, record);
            let id = record.id;
            if let Err(names) = next.insert(record) {
                findings.note(taken(id, &names));
            }
        }
    }
    match findings.is_empty() {
        true => Ok(next),
        false => Err(StorageError::Incompatible(Box::new(findings))),
    }
}

fn taken(id: staffa_domain::RecordId, names: &[String]) -> Example {
    Example {
        id,
        property: names.join(", "),
        value: None,
        property_type: PropertyType::String,
        code: RecordErrorCode::UniqueViolation,
        message: format!("another record has the same {}", names.join(", ")),
    }
}

fn carried(transition: &Transition, record: &Record) -> Record {
    let (from, to) = (transition.from().schema(), transition.to().schema());
    let mut values = vec![Value::Null; to.properties.len()];
    for (before, after) in transition.kept() {
        let kinds = (
            &from.properties[*before].property_type,
            &to.properties[*after].property_type,
        );
        let value = convert(&record.values[*before], kinds.0, kinds.1);
        values[*after] = value.expect("the values were examined");
    }
    for after in transition.added() {
        let default = to.properties[*after].default.clone();
        values[*after] = default.unwrap_or(Value::Null);
    }
    let forgets = transition.changes_append_only() && to.append_only;
    Record {
        values,
        version: if forgets { 1 } else { record.version },
        updated_at: if forgets {
            record.created_at
        } else {
            record.updated_at
        },
        ..record.clone()
    }
}
