//! The position of a page in an order, as a cursor holds it.

use serde_json::{Value as Json, json};

use staffa_domain::query::{Position, Sort};
use staffa_domain::record::RecordId;
use staffa_domain::schema::SchemaSnapshot;

use super::QuestionProblem;
use super::operand::operand;
use super::place::Place;
use crate::document::{Node, item};
use crate::text::format::value_text;

/// Writes a position exactly: every value is the shortest text that reads back as the same.
pub fn write_position(schema: &SchemaSnapshot, sort: &[Sort], position: &Position) -> Json {
    let values = sort.iter().zip(&position.values).map(|(key, value)| {
        if value.is_null() {
            return Json::Null;
        }
        value_text(key.field.property_type(schema), value).into()
    });
    let values: Json = values.collect();
    json!({ "values": values, "id": position.id.to_string() })
}

/// Reads what [`write_position`] wrote for the same sort.
pub fn read_position(
    schema: &SchemaSnapshot,
    sort: &[Sort],
    position: &Json,
    pointer_base: &str,
) -> Result<Position, QuestionProblem> {
    let broken = || QuestionProblem::invalid(pointer_base, "the cursor is of another order");
    let written = position
        .get("values")
        .and_then(Json::as_array)
        .ok_or_else(broken)?;
    if written.len() != sort.len() {
        return Err(broken());
    }
    let mut values = Vec::with_capacity(sort.len());
    for (index, (key, json)) in sort.iter().zip(written).enumerate() {
        if json.is_null() {
            values.push(staffa_domain::Value::Null);
            continue;
        }
        let node = Node::from(json);
        let place = Place::new(&node, &item(pointer_base, index));
        values.push(operand(&place, key.field.property_type(schema))?);
    }
    let id = position
        .get("id")
        .and_then(Json::as_str)
        .ok_or_else(broken)?;
    let id: RecordId = id.parse().map_err(|_| broken())?;
    Ok(Position { values, id })
}
