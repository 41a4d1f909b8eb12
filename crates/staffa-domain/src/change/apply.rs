//! Steps carried out on a declaration alone.

use std::collections::HashMap;

use crate::change::{Step, constraint, convert, renames};
use crate::schema::{Property, PropertyName, Schema};

/// Carries out all steps in order. Renamings that follow each other happen at once, so that a
/// name may pass from one property to another.
pub(super) fn apply_all(steps: &[Step], from: &Schema) -> Schema {
    let mut schema = renames::forgotten(from);
    let is_rename = |step: &Step| matches!(step, Step::RenameProperty { .. });
    for run in steps.chunk_by(|one, next| is_rename(one) && is_rename(next)) {
        match run {
            [Step::RenameProperty { .. }, ..] => rename(run, &mut schema),
            steps => steps.iter().for_each(|step| apply(step, &mut schema)),
        }
    }
    schema
}

fn rename(steps: &[Step], schema: &mut Schema) {
    let mut names: HashMap<PropertyName, PropertyName> = HashMap::new();
    for step in steps {
        if let Step::RenameProperty { from, to } = step {
            names.insert(from.clone(), to.clone());
        }
    }
    let swap = |name: &mut PropertyName| {
        if let Some(to) = names.get(&*name) {
            *name = to.clone();
        }
    };
    schema
        .properties
        .iter_mut()
        .map(|property| &mut property.name)
        .chain(&mut schema.primary_key)
        .chain(&mut schema.distributed_by)
        .for_each(swap);
}

/// Carries out one step that is no renaming.
pub(super) fn apply(step: &Step, schema: &mut Schema) {
    if let Some(property) = step.property().and_then(|name| find(schema, name)) {
        return apply_to(step, property, schema);
    }
    match step {
        Step::CreateSchema(made) => *schema = (**made).clone(),
        Step::AddProperty { property, after } => {
            let behind = after
                .as_ref()
                .and_then(|name| schema.position(name.as_str()))
                .map_or(0, |position| position + 1);
            schema.properties.insert(behind, (**property).clone());
        }
        Step::SetPrimaryKey { to, .. } => schema.primary_key.clone_from(to),
        Step::SetAppendOnly(append_only) => schema.append_only = *append_only,
        Step::SetUnknownProperties(unknown) => schema.unknown_properties = *unknown,
        Step::SetDescription { property: None, to } => schema.description.clone_from(to),
        Step::ReorderProperties(order) => {
            let place = |property: &Property| order.iter().position(|name| *name == property.name);
            schema.properties.sort_by_key(place);
        }
        _ => {}
    }
}

fn find(schema: &Schema, name: &PropertyName) -> Option<usize> {
    schema.position(name.as_str())
}

fn apply_to(step: &Step, position: usize, schema: &mut Schema) {
    let property = &mut schema.properties[position];
    match step {
        Step::ChangeType { to, .. } => *property = convert::retype(property, to),
        Step::SetRequired(_) => property.required = true,
        Step::DropRequired(_) => property.required = false,
        Step::SetDefault { to, .. } => property.default.clone_from(to),
        Step::AddIndex(_) => property.indexed = true,
        Step::DropIndex(_) => property.indexed = false,
        Step::AddUnique(_) => property.unique = true,
        Step::DropUnique(_) => property.unique = false,
        Step::SetConstraint { key, to, .. } => {
            constraint::set(&mut property.constraints, *key, to.clone());
        }
        Step::SetDescription { to, .. } => property.description.clone_from(to),
        Step::DropProperty(_) => {
            schema.properties.remove(position);
        }
        _ => {}
    }
}
