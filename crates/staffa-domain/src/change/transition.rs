//! What an engine has to do and to look at between two versions of a schema.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};

use crate::batch::{check_array, check_value, record_id, value_at};
use crate::change::convert::{TypeChange, retype, type_change};
use crate::change::{ChangePlan, Example, Incompatible, Step, constraint, convert, renames};
use crate::error::RecordErrorCode;
use crate::query::RecordQuery;
use crate::record::{RecordId, system};
use crate::schema::{Property, PropertyId, Schema, SchemaSnapshot};

/// The next version of a schema: its properties keep their numbers whatever they are called,
/// and new ones take new numbers.
///
/// `plan` must be the one from `from` to `to`.
pub fn next_version(from: &SchemaSnapshot, to: &Schema, plan: &ChangePlan) -> SchemaSnapshot {
    let before: HashMap<&str, &str> = plan
        .steps()
        .iter()
        .filter_map(|step| match step {
            Step::RenameProperty { from, to } => Some((to.as_str(), from.as_str())),
            _ => None,
        })
        .collect();
    let added = plan.steps().iter().filter_map(|step| match step {
        Step::AddProperty { property, .. } => Some(property.name.as_str()),
        _ => None,
    });
    let added: Vec<&str> = added.collect();
    let mut next = from.next_property_id();
    let declared = plan.apply_to(from.schema());
    debug_assert_eq!(
        declared,
        renames::forgotten(to),
        "the plan leads to its end"
    );
    let ids = declared.properties.iter().map(|property| {
        let name = property.name.as_str();
        let position = from.position(before.get(name).copied().unwrap_or(name));
        match position.filter(|_| !added.contains(&name)) {
            Some(position) => from.property_ids()[position],
            None => {
                next += 1;
                PropertyId(next - 1)
            }
        }
    });
    let ids = ids.collect();
    SchemaSnapshot::restore(declared, from.version() + 1, ids, next)
}

/// Properties that become unique together, over records that were not held to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueQuestion {
    /// Their positions in the version before; those that are new have one value in all records.
    /// Empty where all are new: then no two records may be there.
    pub positions: Vec<usize>,
    /// Their names in the next version.
    pub names: Vec<String>,
}

/// The way from one version of a schema to the next, as an engine goes it.
#[derive(Debug)]
pub struct Transition {
    from: Arc<SchemaSnapshot>,
    to: Arc<SchemaSnapshot>,
    /// Positions before and after of the properties in both.
    kept: Vec<(usize, usize)>,
    /// Those of them whose values must be looked at, ascending by the position before.
    looked_at: Vec<(usize, usize)>,
    added: Vec<usize>,
    dropped: Vec<usize>,
}

impl Transition {
    /// Compares two versions of one schema.
    pub fn between(from: &Arc<SchemaSnapshot>, to: &Arc<SchemaSnapshot>) -> Self {
        let position = |of: &SchemaSnapshot, id: PropertyId| {
            of.property_ids().iter().position(|other| *other == id)
        };
        let mut kept = Vec::new();
        let mut dropped = Vec::new();
        for (before, id) in from.property_ids().iter().enumerate() {
            match position(to, *id) {
                Some(after) => kept.push((before, after)),
                None => dropped.push(before),
            }
        }
        let ids = to.property_ids().iter().enumerate();
        let added = ids.filter(|(_, id)| position(from, **id).is_none());
        let added = added.map(|(after, _)| after).collect();
        let pair = |(before, after): &(usize, usize)| {
            must_look(
                &from.schema().properties[*before],
                &to.schema().properties[*after],
            )
        };
        Self {
            from: Arc::clone(from),
            to: Arc::clone(to),
            looked_at: kept.iter().copied().filter(pair).collect(),
            kept,
            added,
            dropped,
        }
    }

    /// The version before.
    pub const fn from(&self) -> &Arc<SchemaSnapshot> {
        &self.from
    }

    /// The next version.
    pub const fn to(&self) -> &Arc<SchemaSnapshot> {
        &self.to
    }

    /// The positions in the next version of the properties that it adds. The records there are
    /// have their defaults.
    pub fn added(&self) -> &[usize] {
        &self.added
    }

    /// The positions in the version before of the properties that go.
    pub fn dropped(&self) -> &[usize] {
        &self.dropped
    }

    /// The positions, before and after, of the properties that are in both.
    pub fn kept(&self) -> &[(usize, usize)] {
        &self.kept
    }

    /// The positions, before and after, of the properties that get another type.
    pub fn retyped(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.kept.iter().copied().filter(|(before, after)| {
            let before = &self.from.schema().properties[*before];
            before.property_type != self.to.schema().properties[*after].property_type
        })
    }

    /// Whether records begin or cease to be only added.
    pub fn changes_append_only(&self) -> bool {
        self.from.schema().append_only != self.to.schema().append_only
    }

    /// Whether records lie otherwise afterwards: what was made for the version before can't
    /// read them.
    pub fn changes_layout(&self) -> bool {
        !self.added.is_empty()
            || !self.dropped.is_empty()
            || self.retyped().next().is_some()
            || self.changes_append_only()
    }

    /// The question whose answer [`Transition::examine`] must see whole; none where no value
    /// stands in the way.
    pub fn question(&self) -> Option<RecordQuery> {
        if self.looked_at.is_empty() && self.unfilled().next().is_none() {
            return None;
        }
        let mut query = RecordQuery::all(Arc::clone(&self.from));
        let positions = self.looked_at.iter().map(|(before, _)| *before);
        query.select = Some(positions.collect());
        Some(query)
    }

    /// Added properties that must have a value and have none for the records there are.
    fn unfilled(&self) -> impl Iterator<Item = &Property> {
        let properties = self.added.iter();
        let properties = properties.map(|after| &self.to.schema().properties[*after]);
        properties.filter(|property| property.required && property.default.is_none())
    }

    /// Notes what stands in the way in some records of the answer.
    pub fn examine(&self, batch: &RecordBatch, findings: &mut Incompatible) {
        let id = |row| record_id(batch, row).unwrap_or(RecordId::from_bytes([0; 16]));
        for property in self.unfilled() {
            for row in 0..batch.num_rows() {
                findings.note(Example {
                    id: id(row),
                    property: property.name.as_str().to_owned(),
                    value: None,
                    property_type: property.property_type.clone(),
                    code: RecordErrorCode::Required,
                    message: "is required, and has no default for records there are".to_owned(),
                });
            }
        }
        for (column, (before, after)) in self.looked_at.iter().enumerate() {
            let array = batch.column(system::COUNT + column);
            let before = &self.from.schema().properties[*before];
            let after = &self.to.schema().properties[*after];
            look(before, after, array, &mut |row, (code, message)| {
                findings.note(Example {
                    id: id(row),
                    property: after.name.as_str().to_owned(),
                    value: value_at(&before.property_type, array, row),
                    property_type: before.property_type.clone(),
                    code,
                    message,
                });
            });
            if findings.is_full() {
                return;
            }
        }
    }

    /// The groups of properties that become unique.
    pub fn new_unique_groups(&self) -> Vec<UniqueQuestion> {
        let ids = |of: &SchemaSnapshot, group: &[usize]| -> Vec<PropertyId> {
            let mut ids: Vec<_> = group.iter().map(|at| of.property_ids()[*at]).collect();
            ids.sort_unstable();
            ids
        };
        let groups = |of: &SchemaSnapshot| of.schema().unique_groups();
        let held: Vec<_> = groups(&self.from)
            .iter()
            .map(|group| ids(&self.from, group))
            .collect();
        let new = groups(&self.to).into_iter();
        let new = new.filter(|group| !held.contains(&ids(&self.to, group)));
        new.filter_map(|group| self.unique_question(&group))
            .collect()
    }

    /// None where nulls keep the records apart: an added property without a default.
    fn unique_question(&self, group: &[usize]) -> Option<UniqueQuestion> {
        let mut positions = Vec::new();
        for after in group {
            match self.kept.iter().find(|(_, kept)| kept == after) {
                Some((before, _)) => positions.push(*before),
                None => {
                    self.to.schema().properties[*after].default.as_ref()?;
                }
            }
        }
        let name = |after: &usize| self.to.schema().properties[*after].name.as_str().to_owned();
        Some(UniqueQuestion {
            positions,
            names: group.iter().map(name).collect(),
        })
    }

    /// The example for a record that shares its values with another.
    pub fn duplicate(&self, question: &UniqueQuestion, id: RecordId) -> Example {
        let properties = &self.to.schema().properties;
        let first = self.to.position(&question.names[0]).unwrap_or(0);
        Example {
            id,
            property: question.names.join(", "),
            value: None,
            property_type: properties[first].property_type.clone(),
            code: RecordErrorCode::UniqueViolation,
            message: format!("another record has the same {}", question.names.join(", ")),
        }
    }
}

fn must_look(before: &Property, after: &Property) -> bool {
    let retyped = retype(before, &after.property_type);
    let may_not_convert = before.property_type != after.property_type
        && type_change(&before.property_type, &after.property_type) != Some(TypeChange::Widen);
    may_not_convert
        || (after.required && !before.required)
        || constraint::is_tighter(&retyped.constraints, &after.constraints)
}

/// Finds the rows whose value cannot go on as the property `after`.
fn look(
    before: &Property,
    after: &Property,
    array: &ArrayRef,
    found: &mut dyn FnMut(usize, (RecordErrorCode, String)),
) {
    if after.required {
        for row in (0..array.len()).filter(|row| array.is_null(*row)) {
            found(row, (RecordErrorCode::Required, "is required".to_owned()));
        }
    }
    if before.property_type == after.property_type {
        return check_array(after, array, found);
    }
    for row in 0..array.len() {
        let Some(value) = value_at(&before.property_type, array, row) else {
            continue;
        };
        let (from, to) = (&before.property_type, &after.property_type);
        match convert(&value, from, to) {
            Some(value) => {
                if let Err(breach) = check_value(after, &value) {
                    found(row, breach);
                }
            }
            None => {
                let message = format!("can't become {to} without loss");
                found(row, (RecordErrorCode::OutOfRange, message));
            }
        }
    }
}
