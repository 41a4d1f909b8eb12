//! The files: what a scenario is made of, as it is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

/// One file: some schemas, and what happens with them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The name of the file, such as `0101-create-record`.
    #[serde(skip)]
    pub name: String,
    /// The schema documents that the server starts with.
    #[serde(default)]
    pub schemas: Vec<Json>,
    /// One after the other.
    pub steps: Vec<Step>,
}

/// One request and its answer. In a request, `<name>` stands for what an earlier answer had
/// there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it shows.
    pub name: String,
    /// The method and the target, such as `GET /api/v1/schemas`. What a target cannot hold is
    /// escaped on the way; `%`, `+`, `&` and `#` are not.
    pub request: String,
    /// Names in small letters. Those of HTTP itself are added.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A text is sent as it is, all else as JSON with its content type.
    #[serde(default, deserialize_with = "present")]
    pub body: Option<Json>,
    /// A file of `tests/scenarios/files` to send instead.
    #[serde(default)]
    pub file: Option<String>,
    /// What must be answered.
    pub answer: Expected,
}

/// What must be answered: to the byte, but for `<id>`, `<time>`, `<ms>` (a duration) and
/// `<cursor>`, which stand for any of them. `<name: id>` keeps it under a name, and `<name>` is
/// what was kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The status.
    pub status: u16,
    /// Names in small letters. Null: the header is not there.
    #[serde(default)]
    pub headers: BTreeMap<String, Option<String>>,
    /// A text as it is, or JSON, whose members come in this order and without spaces. Absent:
    /// whatever it is, all engines answer the same.
    #[serde(default, deserialize_with = "present")]
    pub body: Option<Json>,
    /// Instead of the body, what is special about a problem document.
    pub problem: Option<Problem>,
}

/// A problem document without what follows from its code and its request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The stable code.
    pub code: String,
    /// The title of the code.
    pub title: String,
    /// What is wrong this time.
    pub detail: String,
    /// The causes. Absent: the document has none.
    pub errors: Option<Json>,
    /// Whether the same request may succeed when it is sent again.
    #[serde(default)]
    pub retryable: bool,
}

/// Tells a member that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl Scenario {
    /// Every scenario, in the order of the names.
    ///
    /// # Panics
    /// When a file cannot be read or is none, which it names.
    pub fn all() -> Vec<Self> {
        let mut paths: Vec<PathBuf> = fs::read_dir(folder())
            .expect("tests/scenarios is there")
            .map(|entry| entry.expect("tests/scenarios can be listed").path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "yaml")
            })
            .collect();
        paths.sort_unstable();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("a scenario can be read");
        let options = serde_saphyr::options! { strict_booleans: true };
        let mut scenario: Self = serde_saphyr::from_str_with_options(&text, options)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        scenario.name = path.file_stem().unwrap_or_default().display().to_string();
        scenario
    }
}

/// Reads a body that is a file of its own.
pub(super) fn read(name: &str) -> Vec<u8> {
    let path = folder().join("files").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios")
}
