//! The settings and schemas in the files of `deploy/` are ones that the program takes.

use std::fs;
use std::path::Path;

use crate::program::{TestApp, run, staffa};

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    fs::read_to_string(root.join(path)).unwrap()
}

/// The texts of a `ConfigMap`, `  name: |` and below it lines that are indented by four.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        let content = line.strip_prefix("    ");
        if let Some(name) = line
            .strip_prefix("  ")
            .and_then(|it| it.strip_suffix(": |"))
        {
            blocks.push((name, String::new()));
            is_open = true;
        } else if is_open && (content.is_some() || line.is_empty()) {
            let (_, block) = blocks.last_mut().unwrap();
            block.push_str(content.unwrap_or_default());
            block.push('\n');
        } else {
            is_open = false;
        }
    }
    blocks
}

#[test]
fn the_config_map_is_valid() {
    let app = TestApp::new();
    let text = file("kubernetes/configmap.yaml");
    let blocks = blocks(&text);
    assert_eq!(blocks.len(), 2, "{blocks:?}");
    fs::create_dir(app.path().join("schemas")).unwrap();
    for (name, block) in blocks {
        let folder = if name == "staffa.toml" { "" } else { "schemas" };
        fs::write(app.path().join(folder).join(name), block).unwrap();
    }
    let said = run(app.path(), &["config", "check", "--schemas", "schemas"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stderr.contains("1 schemas"), "{}", said.stderr);
    // It waits for requests under way less long than it is given in all, with the pause before.
    let seconds = |file: &str, key: &str| -> u64 {
        let start = file.find(key).unwrap_or_else(|| panic!("{key}")) + key.len();
        let digits = file[start..].trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap();
        digits[..end].parse().unwrap()
    };
    let deployment = file("kubernetes/deployment.yaml");
    let needed =
        seconds(&deployment, "\n                seconds:") + seconds(&text, "\n    drain_timeout");
    let given = seconds(&deployment, "terminationGracePeriodSeconds:");
    assert!(needed < given, "{needed} s are needed and {given} s given");
}

#[test]
fn the_variables_are_known() {
    let app = TestApp::new();
    let compose = file("compose.yaml");
    let mut command = staffa(app.path());
    let mut names = Vec::new();
    for line in compose.lines() {
        let Some((name, value)) = line.trim_start().split_once(": ") else {
            continue;
        };
        if name.starts_with("STAFFA_") {
            let value = value
                .trim_matches('"')
                .replace("${POSTGRES_PASSWORD:?set it in deploy/.env}", "x");
            command.env(name, value);
            names.push(name);
        }
    }
    assert!(names.contains(&"STAFFA_STORAGE"), "{names:?}");
    let output = command.args(["config", "print"]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    for name in names {
        assert!(
            said.contains(&format!("# environment {name}")),
            "{name}:\n{said}"
        );
    }
}
