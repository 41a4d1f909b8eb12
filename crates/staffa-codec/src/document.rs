//! Schema documents: YAML or JSON to a checked schema, and the forms a schema is shown in.

mod describe;
mod json;
mod json_schema;
mod nearest;
mod node;
mod plan;
mod proposal;
mod read;
mod read_property;
mod stored;
mod write;
mod write_yaml;
mod yaml;

pub use describe::describe;
pub use json_schema::json_schema;
pub use plan::{example_value, plan_json, steps_json};
pub use proposal::{proposal_json, proposal_yaml};
pub use read::{DocumentError, DocumentForm, read_schema};
pub use stored::{read_stored, write_stored};
pub use write::write_schema;
pub use write_yaml::write_yaml;

pub(crate) use json::read_json;
pub(crate) use nearest::suggestion;
pub(crate) use node::{Kind, Node, Texts, item, step};

/// The precision of a decimal that names none.
pub const DECIMAL_PRECISION: u8 = 18;
/// The scale of a decimal that names none.
pub const DECIMAL_SCALE: i8 = 6;

#[cfg(test)]
mod tests;
