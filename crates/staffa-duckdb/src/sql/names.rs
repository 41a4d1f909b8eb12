//! The names of tables, columns and indexes, and the only function that quotes one.

use staffa_domain::{Field, SchemaSnapshot};

/// The SQL schema of the record tables.
pub(crate) const RECORDS: &str = "records";

/// Quotes an identifier.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The table of a schema's records.
pub(crate) fn table(schema: &SchemaSnapshot) -> String {
    format!("{RECORDS}.{}", quote(schema.name()))
}

/// The physical column of the property at a position: stable whatever it is called.
pub(crate) fn property_column(schema: &SchemaSnapshot, position: usize) -> String {
    format!("c{}", schema.property_ids()[position].0)
}

/// The expression that reads a field. An append-only table stores two of the four system
/// fields, since the others follow from them.
pub(crate) fn expression(schema: &SchemaSnapshot, field: Field) -> String {
    match field {
        Field::Id => "id".to_owned(),
        Field::CreatedAt => "created_at".to_owned(),
        Field::UpdatedAt if schema.schema().append_only => "created_at".to_owned(),
        Field::UpdatedAt => "updated_at".to_owned(),
        Field::Version if schema.schema().append_only => "1::BIGINT".to_owned(),
        Field::Version => "version".to_owned(),
        Field::Property(position) => property_column(schema, position),
    }
}

/// The columns that are stored, in the order of the record layout, and the index of each in
/// that layout.
pub(crate) fn stored_columns(schema: &SchemaSnapshot) -> (Vec<usize>, Vec<String>) {
    let system = if schema.schema().append_only {
        vec![Field::Id, Field::CreatedAt]
    } else {
        vec![
            Field::Id,
            Field::CreatedAt,
            Field::UpdatedAt,
            Field::Version,
        ]
    };
    let properties = (0..schema.schema().properties.len()).map(Field::Property);
    system
        .into_iter()
        .chain(properties)
        .map(|field| (field.index(), expression(schema, field)))
        .unzip()
}

/// The name of the index that keeps a group of properties unique.
pub(crate) fn unique_index(schema: &SchemaSnapshot, group: &[usize]) -> String {
    index_name(schema, 'u', group)
}

/// The name of the index on an indexed property.
pub(crate) fn plain_index(schema: &SchemaSnapshot, position: usize) -> String {
    index_name(schema, 'i', &[position])
}

fn index_name(schema: &SchemaSnapshot, kind: char, positions: &[usize]) -> String {
    let mut name = format!("{}_{kind}", schema.name());
    for position in positions {
        name.push('_');
        name.push_str(&schema.property_ids()[*position].0.to_string());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_quote_inside_a_name_is_doubled() {
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
    }
}
