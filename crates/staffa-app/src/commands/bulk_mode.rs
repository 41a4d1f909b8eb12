//! What a bulk write does with each record, and by which properties it finds others.

use staffa_codec::question::{QuestionCode, QuestionProblem};
use staffa_domain::{SchemaSnapshot, WriteMode};

use crate::commands::read_modify_write::refuse_append_only;
use crate::error::Error;

const PLACE: &str = "/on_conflict";

/// What a bulk write does with each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BulkMode {
    /// Adds it.
    #[default]
    Insert,
    /// Adds it, or replaces the data of the record with its key.
    Upsert,
    /// Adds it, or leaves the record with its key as it is.
    Ignore,
    /// Changes what it gives of the record with its key.
    Update,
    /// Removes the record with its key.
    Delete,
}

impl BulkMode {
    /// The mode for records of a schema. Its key is what `on_conflict` names: the primary key
    /// or one unique property. If that is absent it is the primary key, or else the only
    /// unique property.
    pub(super) fn resolve(
        self,
        schema: &SchemaSnapshot,
        on_conflict: Option<&[String]>,
    ) -> Result<WriteMode, Error> {
        if self == Self::Insert {
            return match on_conflict {
                None => Ok(WriteMode::Insert),
                Some(_) => Err(problem("on_conflict goes with modes other than insert").into()),
            };
        }
        refuse_append_only(schema)?;
        let key = match on_conflict {
            Some(names) => named_key(schema, names)?,
            None => usual_key(schema)?,
        };
        Ok(match self {
            Self::Insert => WriteMode::Insert,
            Self::Upsert => WriteMode::Upsert { key },
            Self::Ignore => WriteMode::Ignore { key },
            Self::Update => WriteMode::Update { key },
            Self::Delete => WriteMode::Delete { key },
        })
    }
}

fn named_key(schema: &SchemaSnapshot, names: &[String]) -> Result<Vec<usize>, QuestionProblem> {
    let mut key = Vec::with_capacity(names.len());
    for name in names {
        let Some(position) = schema.position(name) else {
            let shown: String = name.chars().take(64).collect();
            return Err(QuestionProblem {
                code: QuestionCode::UnknownField,
                pointer: PLACE.to_owned(),
                message: format!("{} has no property {shown}", schema.name()),
            });
        };
        if key.contains(&position) {
            return Err(problem(format!("{name} is named twice")));
        }
        key.push(position);
    }
    if schema.schema().is_unique_group(&key) {
        return Ok(key);
    }
    let message = format!(
        "{} are not unique together; {}",
        names.join(", "),
        keys_of(schema)
    );
    Err(problem(message))
}

fn usual_key(schema: &SchemaSnapshot) -> Result<Vec<usize>, QuestionProblem> {
    let mut groups = schema.schema().unique_groups();
    let has_primary = !schema.schema().primary_key.is_empty();
    if has_primary || groups.len() == 1 {
        return Ok(groups.swap_remove(0));
    }
    Err(problem(format!(
        "the mode needs a key; {}",
        keys_of(schema)
    )))
}

/// Says which keys a schema has.
fn keys_of(schema: &SchemaSnapshot) -> String {
    let properties = &schema.schema().properties;
    let name = |group: Vec<usize>| {
        let names: Vec<&str> = group
            .into_iter()
            .map(|at| properties[at].name.as_str())
            .collect();
        names.join(",")
    };
    let keys: Vec<String> = schema
        .schema()
        .unique_groups()
        .into_iter()
        .map(name)
        .collect();
    match keys.as_slice() {
        [] => format!(
            "{} has neither a primary key nor a unique property",
            schema.name()
        ),
        keys => format!("on_conflict can be {}", keys.join(" or ")),
    }
}

fn problem(message: impl Into<String>) -> QuestionProblem {
    QuestionProblem::invalid(PLACE, message)
}
