//! The folder of schema documents: every file read, every problem of every file found.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use staffa_codec::document::{DocumentForm, read_schema};
use staffa_domain::Schema;
use staffa_domain::schema::SchemaProblem;

/// What is wrong with the folder's files, a line each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FolderProblems(Vec<String>);

impl fmt::Display for FolderProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for FolderProblems {}

/// Reads every `*.yaml`, `*.yml` and `*.json` of a folder in order of names. A folder that
/// is not there holds nothing, unless it `must_exist`.
pub(crate) fn read_folder(folder: &Path, must_exist: bool) -> Result<Vec<Schema>, FolderProblems> {
    let paths = match documents(folder) {
        Ok(paths) => paths,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Vec::new(),
        Err(error) => {
            let line = format!("{}: the folder of schemas: {error}", folder.display());
            return Err(FolderProblems(vec![line]));
        }
    };
    let mut schemas: BTreeMap<String, (PathBuf, Schema)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (path, form) in paths {
        match read_document(&path, form) {
            Ok(schema) => {
                let name = schema.name.as_str().to_owned();
                if let Some((first, _)) = schemas.get(&name) {
                    let first = first.display();
                    let line = format!("{}: {name} is declared in {first} too", path.display());
                    problems.push(line);
                } else {
                    schemas.insert(name, (path, schema));
                }
            }
            Err(lines) => problems.extend(lines),
        }
    }
    if problems.is_empty() {
        Ok(schemas.into_values().map(|(_, schema)| schema).collect())
    } else {
        Err(FolderProblems(problems))
    }
}

fn documents(folder: &Path) -> io::Result<Vec<(PathBuf, DocumentForm)>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let form = match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => DocumentForm::Yaml,
            Some("json") => DocumentForm::Json,
            _ => continue,
        };
        if !path.is_dir() {
            paths.push((path, form));
        }
    }
    paths.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(paths)
}

fn read_document(path: &Path, form: DocumentForm) -> Result<Schema, Vec<String>> {
    let text = fs::read_to_string(path).map_err(|e| vec![format!("{}: {e}", path.display())])?;
    read_schema(&text, form).map_err(|error| {
        error
            .into_problems()
            .iter()
            .map(|problem| line(&path.display().to_string(), problem))
            .collect()
    })
}

/// `file:line:column: pointer: message`, as editors jump to. The codec says the place last.
fn line(file: &str, problem: &SchemaProblem) -> String {
    let (message, place) = match problem.message.rsplit_once(" (at ") {
        Some((message, place)) => (message, place.strip_suffix(')')),
        None => (problem.message.as_str(), None),
    };
    let start = place.map_or_else(|| file.to_owned(), |place| format!("{file}:{place}"));
    if problem.pointer.is_empty() {
        format!("{start}: {message}")
    } else {
        format!("{start}: {}: {message}", problem.pointer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn document(name: &str) -> String {
        format!("name: {name}\nproperties:\n  - {{name: a, type: integer}}\n")
    }

    #[test]
    fn documents_of_both_forms_are_read() {
        let json = r#"{"name": "one", "properties": [{"name": "a", "type": "string"}]}"#;
        let yaml = document("two");
        let folder = folder(&[("z.json", json), ("a.yml", &yaml), ("note.txt", "x")]);
        let schemas = read_folder(folder.path(), true).unwrap();
        let names: Vec<_> = schemas.iter().map(|schema| schema.name.as_str()).collect();
        assert_eq!(names, ["one", "two"]);
    }

    #[test]
    fn all_problems_of_all_files_are_found() {
        let (good, tab) = (document("one"), "name: two\nproperties:\n\t- {name: a}\n");
        let files = [
            ("a.yaml", good.as_str()),
            ("b.yaml", &good),
            ("c.yaml", tab),
            ("d.json", ""),
        ];
        let folder = folder(&files);
        let problems = read_folder(folder.path(), true).unwrap_err().0;
        let start = folder.path().display().to_string();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(
            problems[0],
            format!("{start}/b.yaml: one is declared in {start}/a.yaml too")
        );
        assert!(
            problems[1].starts_with(&format!("{start}/c.yaml:3:")),
            "{problems:?}"
        );
        assert!(
            problems[2].starts_with(&format!("{start}/d.json")),
            "{problems:?}"
        );
    }

    #[test]
    fn a_missing_folder_is_an_error_only_where_it_was_asked_for() {
        let path = Path::new("/nowhere/at/all");
        assert_eq!(read_folder(path, false).unwrap().len(), 0);
        assert!(
            read_folder(path, true)
                .unwrap_err()
                .to_string()
                .starts_with("/nowhere/at/all: ")
        );
    }
}
