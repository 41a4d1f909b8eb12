//! `staffa schema plan`, `apply` and `show`, on a data folder and through a server.

use std::fs;

use crate::program::{Said, TestApp, run};

const FIRST: &str = "
name: wells
properties:
  - {name: code, type: integer, required: true}
  - {name: title, type: string}
";

const SECOND: &str = "
name: wells
properties:
  - {name: code, type: integer, required: true}
  - {name: name, type: string, renamed_from: title}
  - {name: depth, type: number}
";

const THIRD: &str = "
name: wells
properties:
  - {name: code, type: integer, required: true}
  - {name: depth, type: number}
";

fn write(app: &TestApp, document: &str) {
    fs::write(app.path().join("schemas/wells.yaml"), document).unwrap();
}

#[track_caller]
fn check(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    for words in words {
        let found = said.stdout.contains(words) || said.stderr.contains(words);
        assert!(found, "{words}: {said:?}");
    }
}

/// All steps of a schema's life; `place` says where it is.
fn live(app: &TestApp, place: &[&str]) {
    let staffa = |arguments: &[&str]| run(app.path(), &[arguments, place].concat());

    check(&staffa(&["schema", "plan"]), 0, &["wells", "create_schema"]);
    check(
        &staffa(&["schema", "plan", "--check"]),
        2,
        &["create_schema"],
    );
    check(
        &staffa(&["schema", "show", "wells"]),
        1,
        &["schema", "wells"],
    );
    // Nobody is there who could say yes.
    check(&staffa(&["schema", "apply"]), 2, &["give --yes"]);
    check(
        &staffa(&["schema", "apply", "--yes"]),
        0,
        &["wells is done"],
    );
    check(
        &staffa(&["schema", "plan", "--check"]),
        0,
        &["there is nothing to do"],
    );
    check(
        &staffa(&["schema", "apply"]),
        0,
        &["there is nothing to do"],
    );
    let shown = staffa(&["schema", "show", "wells"]);
    check(
        &shown,
        0,
        &["  - {name: code, type: integer, required: true}"],
    );
    write(app, &shown.stdout);
    check(
        &staffa(&["schema", "plan", "--check"]),
        0,
        &["there is nothing to do"],
    );

    write(app, SECOND);
    let steps = ["rename_property", "add_property", "instant"];
    check(&staffa(&["schema", "plan", "--check"]), 2, &steps);
    check(
        &staffa(&["schema", "apply", "--yes"]),
        0,
        &["wells is done"],
    );
    let shown = staffa(&["schema", "show", "wells"]);
    check(&shown, 0, &["name: name", "name: depth"]);
    assert!(!shown.stdout.contains("title"), "{}", shown.stdout);

    write(app, THIRD);
    check(
        &staffa(&["schema", "plan"]),
        0,
        &["drop_property", "destructive"],
    );
    let refused = staffa(&["schema", "apply", "--yes"]);
    check(&refused, 1, &["give --allow-destructive"]);
    check(&staffa(&["schema", "show", "wells"]), 0, &["name: name"]);
    let allowed = ["schema", "apply", "--yes", "--allow-destructive"];
    check(&staffa(&allowed), 0, &["wells is done"]);
    let shown = staffa(&["schema", "show", "wells"]);
    assert!(!shown.stdout.contains("name: name"), "{}", shown.stdout);
}

#[test]
fn a_schema_lives_in_a_data_folder() {
    let app = TestApp::new().with_schema("wells.yaml", FIRST);
    live(&app, &[]);
}

#[test]
fn a_schema_lives_in_a_server() {
    let app = TestApp::new().with_schema("wells.yaml", FIRST);
    fs::create_dir(app.path().join("none")).unwrap();
    let server = app.start(&["serve", "--schemas", "none"]);
    let url = server.url();
    live(&app, &["--server", &url]);
}

#[test]
fn mistakes_are_told() {
    let app = TestApp::new();
    check(&run(app.path(), &["schema", "plan"]), 1, &["schemas"]);
    let app = TestApp::new().with_schema("wells.yaml", "name: wells\nproperties: 1\n");
    check(&run(app.path(), &["schema", "plan"]), 1, &["wells.yaml:2"]);
    check(&run(app.path(), &["schema", "apply", "--no"]), 2, &["--no"]);
    check(&run(app.path(), &["schema"]), 2, &[]);
}
