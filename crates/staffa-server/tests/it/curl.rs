//! Every curl line that we show works when it is pasted into a shell.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{Running, TestApp};

/// Where the lines say that the server is.
const SHOWN: &str = "http://127.0.0.1:8080";
/// Says the status on stderr and leaves everything else as it is.
const CURL: &str = r#"curl() { command curl -sS -w '%{stderr}status %{http_code}\n' "$@"; }"#;

fn document(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

/// The part of a document below a heading.
#[track_caller]
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text
        .split_once(&format!("\n## {heading}\n"))
        .expect(heading);
    rest.split_once("\n## ")
        .map_or(rest, |(section, _)| section)
}

/// The commands that begin with curl, with the lines that they go on in.
fn commands(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().map(str::trim) {
        if goes_on {
            let last = found.last_mut().unwrap();
            last.push('\n');
            last.push_str(line);
        } else if line.starts_with("curl ") {
            found.push(line.to_owned());
        } else {
            continue;
        }
        goes_on = line.ends_with('\\');
    }
    found
}

/// Runs a command in a shell, in a folder; it must be answered with a success.
fn paste(server: &Running, folder: &Path, command: &str) {
    let command = command.replace(SHOWN, &server.url());
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(format!("{CURL}\n{command}"));
    let output = shell
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.lines().any(|line| line.starts_with("status 2")),
        "{command}\n{said}\n{answer}"
    );
    assert!(!answer.is_empty(), "{command}");
}

fn is_missing() -> bool {
    let found = Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if found.is_err() {
        println!("skipped: curl is not installed");
    }
    found.is_err()
}

#[test]
fn the_lines_of_the_demo_and_of_its_readme() {
    if is_missing() {
        return;
    }
    let app = TestApp::new();
    let server = app.start(&["demo"]);
    let readme = document("README.md");
    let shown = commands(section(&readme, "Try it"));
    assert!(shown.len() >= 5, "{shown:?}");
    let example = commands(&document("examples/flights/README.md"));
    for command in shown.iter().chain(&example) {
        paste(&server, app.path(), command);
    }
    // What the demo itself says once it is ready.
    let said = commands(&server.wait_for("Ctrl-C ends the server"));
    assert!(said.len() >= 7, "{said:?}");
    for command in &said {
        paste(&server, app.path(), command);
    }
    assert!(server.terminate().0.success());
}

#[test]
fn the_lines_on_data_of_ones_own() {
    if is_missing() {
        return;
    }
    let readme = document("README.md");
    let section = section(&readme, "Your own data");
    let (_, schema) = section.split_once("```yaml\n").unwrap();
    let (schema, _) = schema.split_once("```").unwrap();
    let app = TestApp::new().with_schema("well_production.yaml", schema);
    let well = r#"{"well_code": 7, "production_period": "2026-01-01T00:00:00Z", "status": "shut"}"#;
    fs::write(app.path().join("wells.ndjson"), well).unwrap();
    let server = app.start(&["serve"]);
    let shown = commands(section);
    assert!(!shown.is_empty());
    for command in &shown {
        paste(&server, app.path(), command);
    }
    assert_eq!(server.count("well_production"), 1);
    assert!(server.terminate().0.success());
}
