//! The rows are what the reports say they are.

use staffa_codec::document::{DocumentForm, read_schema};

use super::{PROPERTIES, Row, SCHEMAS, document, write_csv};

#[test]
fn every_document_is_a_schema() {
    for (name, declared) in SCHEMAS {
        let schema = read_schema(&document(name, declared), DocumentForm::Yaml)
            .unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        assert_eq!(schema.properties.len(), PROPERTIES.len());
        assert_eq!(schema.append_only, declared.append_only);
        let indexed = schema
            .properties
            .iter()
            .filter(|property| property.indexed)
            .count();
        assert_eq!(indexed, declared.indexes, "{name}");
    }
}

#[test]
fn a_row_is_json_of_the_stated_size() {
    let mut out = Vec::new();
    for index in 500_000..501_000 {
        Row::new(index).write_json(&mut out);
        out.push(b'\n');
    }
    let mean = out.len() / 1_000;
    assert!((480..=560).contains(&mean), "{mean} bytes");
    for line in out
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).unwrap();
        assert!(
            row.keys()
                .map(String::as_str)
                .eq(PROPERTIES.map(|(name, _)| name))
        );
    }
}

#[test]
fn the_same_number_is_the_same_row() {
    let text = |row: Row| {
        let mut out = Vec::new();
        row.write_json(&mut out);
        out
    };
    assert_eq!(text(Row::new(7)), text(Row::new(7)));
    assert_ne!(text(Row::new(7)), text(Row::new(8)));
    assert_ne!(text(Row::new(7)), text(Row::salted(7, 1)));
    assert_eq!(Row::new(7).well_code(), Row::salted(7, 1).well_code());
    assert_eq!(Row::new(7).values().len(), PROPERTIES.len());
}

#[test]
fn csv_has_one_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    write_csv(&path, (0..3).map(Row::new)).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 4);
    assert_eq!(text.matches("field_code,").count(), 1);
}
