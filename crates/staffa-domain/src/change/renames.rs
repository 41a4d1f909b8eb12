//! Which property of a new version is which of the one before.

use std::collections::HashMap;

use crate::schema::{PropertyName, Schema, SchemaProblem};

/// For each property of `to`, the position in `from` that it comes from; none for a new one.
///
/// A property keeps its name, unless it says `renamed_from` and its own name is new, or was
/// freed by another renaming. So a document that was carried out once means no more renaming.
/// A name that was freed and is still declared belongs to a new property.
pub(super) fn sources(
    from: &Schema,
    to: &Schema,
) -> Result<Vec<Option<usize>>, Vec<SchemaProblem>> {
    let wanted: Vec<Option<&PropertyName>> = to
        .properties
        .iter()
        .map(|property| {
            let before = property.renamed_from.as_ref()?;
            from.position(before.as_str()).map(|_| before)
        })
        .collect();
    let mut in_force = vec![false; wanted.len()];
    loop {
        let next = (0..wanted.len()).find(|at| {
            let name = &to.properties[*at].name;
            let is_free = from.position(name.as_str()).is_none()
                || (0..wanted.len()).any(|other| in_force[other] && wanted[other] == Some(name));
            !in_force[*at] && wanted[*at].is_some() && is_free
        });
        match next {
            Some(at) => in_force[at] = true,
            None => break,
        }
    }
    let mut problems = Vec::new();
    let mut taken: HashMap<usize, &PropertyName> = HashMap::new();
    let sources = to.properties.iter().enumerate().map(|(at, property)| {
        let before = match wanted[at].filter(|_| in_force[at]) {
            Some(before) => before,
            // Its own name, unless another property has gone off with it.
            None if is_renamed_away(&property.name, &wanted, &in_force) => return None,
            None => &property.name,
        };
        let source = from.position(before.as_str())?;
        if let Some(other) = taken.insert(source, &property.name) {
            let message = format!("{before} would become both {other} and {}", property.name);
            let place = format!("/properties/{at}/renamed_from");
            problems.push(SchemaProblem::new(place, message));
        }
        Some(source)
    });
    let sources: Vec<Option<usize>> = sources.collect();
    if problems.is_empty() {
        Ok(sources)
    } else {
        Err(problems)
    }
}

/// Whether what had this name goes on under another.
fn is_renamed_away(
    name: &PropertyName,
    wanted: &[Option<&PropertyName>],
    in_force: &[bool],
) -> bool {
    wanted
        .iter()
        .zip(in_force)
        .any(|(wanted, in_force)| *in_force && *wanted == Some(name))
}

/// A declaration without its words on renamings, which are carried out once.
pub(super) fn forgotten(schema: &Schema) -> Schema {
    let mut schema = schema.clone();
    for property in &mut schema.properties {
        property.renamed_from = None;
    }
    schema
}
