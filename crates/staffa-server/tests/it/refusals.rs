//! What a server refuses to start on: clear lines, exit code 1, and 2 where it is wrong usage.

use std::net::TcpListener;

use crate::program::{Said, TestApp, run};

const ORDERS: &str = "name: orders\nproperties:\n  - {name: number, type: integer}\n";

#[track_caller]
fn check(said: &Said, expected: &str) {
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let errors: Vec<_> = said
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{}", said.stderr);
    assert!(errors[0].contains(expected), "{}", said.stderr);
}

fn serve(app: &TestApp, more: &[&str]) -> Said {
    let mut arguments = vec!["serve", "--admin-listen", "127.0.0.1:0"];
    arguments.extend(more);
    run(app.path(), &arguments)
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = serve(&TestApp::new(), &["--listen", &address]);
    check(&said, &format!("the address {address} is in use"));
}

#[test]
fn an_address_that_others_can_reach() {
    let app = TestApp::new();
    for more in [["--listen", "0.0.0.0:0"], ["--admin-listen", "[::]:0"]] {
        let said = run(app.path(), &[&["serve"][..], &more].concat());
        let checked = run(app.path(), &[&["config", "check"][..], &more].concat());
        assert_eq!(said.code, Some(2), "{}", said.stderr);
        let name = more[0].trim_start_matches("--").replace('-', "_");
        let start = format!("error: {name}: {} can be reached from other", more[1]);
        assert!(said.stderr.starts_with(&start), "{}", said.stderr);
        assert!(said.stderr.contains("--allow-unauthenticated"));
        // What is checked is what would be served.
        assert_eq!((checked.code, &checked.stderr), (said.code, &said.stderr));
    }
    let allowed = [
        "config",
        "check",
        "--listen",
        "0.0.0.0:0",
        "--allow-unauthenticated",
    ];
    let said = run(app.path(), &allowed);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
}

#[test]
fn a_log_filter_that_cannot_be_read() {
    let app = TestApp::new();
    for command in [&["serve"][..], &["config", "check"]] {
        let said = run(
            app.path(),
            &[command, &["--log-level", "http=loud"]].concat(),
        );
        assert_eq!(said.code, Some(2), "{}", said.stderr);
        let start = "error: log.level: \"http=loud\" (flag --log-level) is not valid; expected ";
        assert!(said.stderr.starts_with(start), "{}", said.stderr);
    }
}

#[test]
fn a_schema_with_a_tab() {
    let app = TestApp::new().with_schema("orders.yaml", "name: orders\nproperties:\n\t- x\n");
    check(
        &serve(&app, &["--listen", "127.0.0.1:0"]),
        "./schemas/orders.yaml:3:",
    );
}

#[test]
fn a_folder_of_schemas_that_was_named_and_is_not_there() {
    let said = serve(
        &TestApp::new(),
        &["--listen", "127.0.0.1:0", "--schemas", "nowhere"],
    );
    check(&said, "nowhere: the folder of schemas: ");
}

#[test]
fn a_data_folder_that_cannot_be_made() {
    let app = TestApp::new();
    // A file in its place refuses every user; permissions would not refuse root.
    std::fs::write(app.path().join("data"), "a file").unwrap();
    check(
        &serve(&app, &["--listen", "127.0.0.1:0"]),
        "the data folder ",
    );
}

#[test]
fn a_database_file_from_elsewhere() {
    let app = TestApp::new();
    std::fs::create_dir(app.path().join("data")).unwrap();
    std::fs::write(app.path().join("data/staffa.duckdb"), vec![b'x'; 1 << 16]).unwrap();
    check(
        &serve(&app, &["--listen", "127.0.0.1:0"]),
        "is not a Staffa database",
    );
    assert_eq!(
        std::fs::read(app.path().join("data/staffa.duckdb")).unwrap(),
        vec![b'x'; 1 << 16]
    );
}

#[test]
fn a_schema_that_differs_from_the_stored_one() {
    let app = TestApp::new().with_schema("orders.yaml", ORDERS);
    assert!(app.start(&["serve"]).terminate().0.success());
    let app = app.with_schema("orders.yaml", &ORDERS.replace("integer", "string"));
    let said = serve(&app, &["--listen", "127.0.0.1:0"]);
    check(&said, "the schema orders differs from the stored version 1");
}

#[test]
fn a_data_folder_that_a_server_has_open() {
    let app = TestApp::new().with_schema("orders.yaml", ORDERS);
    let server = app.start(&["serve"]);
    check(
        &run(app.path(), &["export", "orders"]),
        "is open in another process",
    );
    assert!(server.terminate().0.success());
}
