//! `staffa schema infer`, and `staffa import --create`.

use std::fs;
use std::path::{Path, PathBuf};

use staffa_codec::document::{DocumentForm, read_schema};
use staffa_domain::{PropertyName, Schema};

use crate::program::{TestApp, run};

/// The schemas of the example data.
const EXAMPLES: [&str; 5] = ["airlines", "airports", "planes", "weather", "flights"];

const READINGS: &str = "sensor,at,celsius\na,2026-01-01 00:00:00,1.5\nb,2026-01-01 00:00:00,NA\n";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights")
}

fn read(text: &str) -> Schema {
    read_schema(text, DocumentForm::Yaml).unwrap()
}

#[test]
fn the_example_data_has_the_types_of_the_example_schemas() {
    let app = TestApp::new();
    let folder = examples();
    let data = EXAMPLES.map(|name| folder.join(format!("data/{name}.csv.zst")));
    let mut arguments = vec!["schema", "infer", "--to", "."];
    arguments.extend(data.iter().map(|path| path.to_str().unwrap()));
    let said = run(app.path(), &arguments);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let types = |schema: &Schema| -> Vec<(String, String)> {
        let properties = schema.properties.iter();
        properties
            .map(|p| (p.name.to_string(), p.property_type.to_string()))
            .collect()
    };
    for name in EXAMPLES {
        let proposed = fs::read_to_string(app.path().join(format!("{name}.yaml"))).unwrap();
        let example = fs::read_to_string(folder.join(format!("schemas/{name}.yaml"))).unwrap();
        assert_eq!(types(&read(&proposed)), types(&read(&example)), "{name}");
        // What the examples require was seen in every row.
        let example = read(&example);
        let required = read(&proposed).properties;
        for (proposed, example) in required.iter().zip(&example.properties) {
            assert!(
                proposed.required || !example.required,
                "{name}.{}",
                example.name
            );
        }
        let key: Vec<&str> = example
            .primary_key
            .iter()
            .map(PropertyName::as_str)
            .collect();
        let remark = match *key {
            [] => continue,
            [alone] => format!("name: {alone}, "),
            _ => format!("[{}] is unique", key.join(", ")),
        };
        let line = proposed
            .lines()
            .find(|line| line.contains(&remark))
            .unwrap();
        assert!(line.contains("candidate for primary_key"), "{name}: {line}");
    }
    // None is written over.
    let again = run(app.path(), &arguments);
    assert_eq!(again.code, Some(1), "{}", again.stderr);
}

#[test]
fn a_document_is_printed_or_a_mistake_told() {
    let app = TestApp::new();
    fs::write(app.path().join("My Readings.csv"), READINGS).unwrap();
    fs::write(app.path().join("b.ndjson"), "{\"a\": 1}\n").unwrap();
    fs::write(app.path().join("none"), "x").unwrap();
    let said = run(
        app.path(),
        &["schema", "infer", "My Readings.csv", "b.ndjson"],
    );
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let expected = "\
# Proposed from a sample.
# My Readings is called my_readings here
# after 2 rows
# NA stands for null: import with --null-value 'NA'
name: my_readings
properties:
  - {name: sensor, type: string, required: true}  # at most 1 characters
  - {name: at, type: datetime, required: true}  # moments without an offset are taken as UTC
  - {name: celsius, type: number}  # null in 1 rows
---
# Proposed from a sample.
# after 1 rows
name: b
properties:
  - {name: a, type: integer, required: true}
";
    assert_eq!(said.stdout, expected);
    let named = [
        "schema", "infer", "b.ndjson", "--name", "things", "--rows", "1",
    ];
    let said = run(app.path(), &named);
    assert!(said.stdout.contains("\nname: things\n"), "{}", said.stdout);
    for (arguments, code, words) in [
        (vec!["none"], 2, "the name tells no format"),
        (vec!["-"], 2, "stdin needs --format"),
        (
            vec!["b.ndjson", "none", "--name", "x"],
            2,
            "--name goes with one file",
        ),
        (vec!["nowhere.csv"], 1, "nowhere.csv"),
        (
            vec!["b.ndjson", "--format", "parquet"],
            1,
            "no Parquet file",
        ),
    ] {
        let all = [vec!["schema", "infer"], arguments].concat();
        let said = run(app.path(), &all);
        assert_eq!(said.code, Some(code), "{all:?}: {}", said.stderr);
        assert!(said.stderr.contains(words), "{all:?}: {}", said.stderr);
    }
}

#[test]
fn an_import_makes_its_schema() {
    let app = TestApp::new();
    fs::write(app.path().join("readings.csv"), READINGS).unwrap();
    let said = run(app.path(), &["import", "readings.csv", "--create"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(
        said.stderr.contains("NA stands for null"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.ends_with("readings.csv: 2 records stored\n"),
        "{}",
        said.stderr
    );
    let shown = run(app.path(), &["schema", "show", "readings"]);
    let types: Vec<String> = read(&shown.stdout)
        .properties
        .iter()
        .map(|property| property.property_type.to_string())
        .collect();
    assert_eq!(types, ["string", "datetime", "number"]);
    let again = run(
        app.path(),
        &["import", "readings", "readings.csv", "--create"],
    );
    assert_eq!(again.code, Some(1));
    assert!(
        again.stderr.contains("is there already"),
        "{}",
        again.stderr
    );

    let server = app.start(&["serve"]);
    let url = server.url();
    let remote = [
        "import",
        "others",
        "readings.csv",
        "--create",
        "--server",
        &url,
    ];
    let said = run(app.path(), &remote);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!((server.count("readings"), server.count("others")), (2, 2));
    let said = run(app.path(), &remote);
    assert!(said.stderr.contains("is there already"), "{}", said.stderr);
}

#[test]
fn an_import_that_cannot_succeed_makes_nothing() {
    let app = TestApp::new();
    fs::write(app.path().join("a.ndjson"), "{\"x\": 1}\n{\"x\": \"y\"}\n").unwrap();
    fs::write(app.path().join("b.csv"), "id,x\n1,2\n").unwrap();
    for (arguments, code, words) in [
        (vec!["a.ndjson"], 1, "no type holds them all"),
        (vec!["b.csv"], 1, "was id"),
        (vec!["-", "--format", "csv"], 2, "stdin"),
        (vec!["Not-a-name", "b.csv"], 2, "no name of a schema"),
    ] {
        let all = [vec!["import"], arguments, vec!["--create"]].concat();
        let said = run(app.path(), &all);
        assert_eq!(said.code, Some(code), "{all:?}: {}", said.stderr);
        assert!(said.stderr.contains(words), "{all:?}: {}", said.stderr);
    }
    let list = run(app.path(), &["schema", "list"]);
    assert_eq!(list.stdout.lines().count(), 1, "{}", list.stdout);
}
