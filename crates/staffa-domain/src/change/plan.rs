//! Finds the steps between two declarations.

use std::collections::HashSet;

use crate::change::{ChangePlan, ConstraintKey, Step, apply, constraint, convert, renames};
use crate::schema::{Property, PropertyName, Schema, SchemaProblem};

/// The steps that make `to` out of `from`. Both hold together and have one name. What `to` says
/// of renamings is carried out, and is no part of the result.
///
/// # Errors
/// Where `to` asks for what no step does, by places in its document.
pub fn plan(from: &Schema, to: &Schema) -> Result<ChangePlan, Vec<SchemaProblem>> {
    let sources = renames::sources(from, to)?;
    let mut draft = Draft {
        schema: apply::apply_all(&[], from),
        steps: Vec::new(),
        problems: Vec::new(),
    };
    draft.rename(from, to, &sources);
    draft.add_properties(to, &sources);
    for (position, property) in to.properties.iter().enumerate() {
        draft.change_property(position, property);
    }
    draft.change_schema(to);
    if draft.problems.is_empty() {
        Ok(ChangePlan { steps: draft.steps })
    } else {
        Err(draft.problems)
    }
}

/// The steps so far, and the declaration as they leave it: what follows is compared with that.
struct Draft {
    schema: Schema,
    steps: Vec<Step>,
    problems: Vec<SchemaProblem>,
}

impl Draft {
    fn step(&mut self, step: Step) {
        apply::apply(&step, &mut self.schema);
        self.steps.push(step);
    }

    fn rename(&mut self, from: &Schema, to: &Schema, sources: &[Option<usize>]) {
        for (property, source) in to.properties.iter().zip(sources) {
            let before = source.map(|source| &from.properties[source].name);
            if let Some(before) = before.filter(|before| **before != property.name) {
                self.steps.push(Step::RenameProperty {
                    from: before.clone(),
                    to: property.name.clone(),
                });
            }
        }
        let renamed = apply::apply_all(&self.steps, &self.schema);
        let kept: HashSet<usize> = sources.iter().flatten().copied().collect();
        let dropped = (0..from.properties.len()).filter(|position| !kept.contains(position));
        let dropped: Vec<PropertyName> = dropped
            .map(|position| renamed.properties[position].name.clone())
            .collect();
        self.schema = renamed;
        for name in dropped {
            self.step(Step::DropProperty(name));
        }
    }

    fn add_properties(&mut self, to: &Schema, sources: &[Option<usize>]) {
        let mut after = None;
        for (property, source) in to.properties.iter().zip(sources) {
            if source.is_none() {
                self.step(Step::AddProperty {
                    property: Box::new(Property {
                        renamed_from: None,
                        ..property.clone()
                    }),
                    after: after.clone(),
                });
            }
            after = Some(property.name.clone());
        }
    }

    fn change_property(&mut self, position: usize, to: &Property) {
        let Some(at) = self.schema.position(to.name.as_str()) else {
            return;
        };
        self.change_type(position, at, to);
        let name = || to.name.clone();
        let now = self.schema.properties[at].clone();
        for key in ConstraintKey::ALL {
            let from = constraint::get(&now.constraints, key);
            let wanted = constraint::get(&to.constraints, key);
            if from != wanted {
                self.step(Step::SetConstraint {
                    property: name(),
                    key,
                    from,
                    to: wanted,
                });
            }
        }
        if now.default != to.default {
            self.step(Step::SetDefault {
                property: name(),
                to: to.default.clone(),
            });
        }
        match (now.required, to.required) {
            (false, true) => self.step(Step::SetRequired(name())),
            (true, false) => self.step(Step::DropRequired(name())),
            _ => {}
        }
        match (now.unique, to.unique) {
            (false, true) => self.step(Step::AddUnique(name())),
            (true, false) => self.step(Step::DropUnique(name())),
            _ => {}
        }
        match (now.indexed, to.indexed) {
            (false, true) => self.step(Step::AddIndex(name())),
            (true, false) => self.step(Step::DropIndex(name())),
            _ => {}
        }
        if now.description != to.description {
            self.step(Step::SetDescription {
                property: Some(name()),
                to: to.description.clone(),
            });
        }
    }

    fn change_type(&mut self, position: usize, at: usize, to: &Property) {
        let from = &self.schema.properties[at].property_type;
        if *from == to.property_type {
            return;
        }
        if convert::type_change(from, &to.property_type).is_none() {
            let message = format!(
                "{} is of type {from}, which can't become {}; add a property of the new type \
                 beside it",
                to.name, to.property_type
            );
            let place = format!("/properties/{position}/type");
            self.problems.push(SchemaProblem::new(place, message));
            return;
        }
        self.step(Step::ChangeType {
            property: to.name.clone(),
            from: from.clone(),
            to: to.property_type.clone(),
        });
    }

    fn change_schema(&mut self, to: &Schema) {
        if self.schema.primary_key != to.primary_key {
            self.step(Step::SetPrimaryKey {
                from: self.schema.primary_key.clone(),
                to: to.primary_key.clone(),
            });
        }
        if self.schema.distributed_by != to.distributed_by {
            let message = "records are distributed once, when their schema is made";
            let problem = SchemaProblem::new("/distributed_by", message);
            self.problems.push(problem);
        }
        if self.schema.append_only != to.append_only {
            self.step(Step::SetAppendOnly(to.append_only));
        }
        if self.schema.unknown_properties != to.unknown_properties {
            self.step(Step::SetUnknownProperties(to.unknown_properties));
        }
        if self.schema.description != to.description {
            self.step(Step::SetDescription {
                property: None,
                to: to.description.clone(),
            });
        }
        let order = |schema: &Schema| -> Vec<PropertyName> {
            let names = schema.properties.iter().map(|property| &property.name);
            names.cloned().collect()
        };
        if order(&self.schema) != order(to) {
            self.step(Step::ReorderProperties(order(to)));
        }
    }
}
