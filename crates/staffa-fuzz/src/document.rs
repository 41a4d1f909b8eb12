//! Schema documents, as YAML and as JSON.

use staffa_codec::document::{
    DocumentForm, describe, json_schema, read_schema, read_stored, write_schema, write_stored,
    write_yaml,
};
use staffa_domain::ports::StoredSchema;
use staffa_domain::{Schema, SchemaSnapshot, Timestamp};

use crate::common::check_pointer;

/// A document, read in both forms.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for form in [DocumentForm::Yaml, DocumentForm::Json] {
        match read_schema(text, form) {
            Ok(schema) => check_schema(schema),
            Err(error) => {
                let problems = error.into_problems();
                assert!(!problems.is_empty(), "a document is refused for nothing");
                for problem in problems {
                    check_pointer(&problem.pointer);
                    assert!(!problem.message.is_empty(), "{problem:?}");
                }
            }
        }
    }
}

fn check_schema(schema: Schema) {
    let json = write_schema(&schema).to_string();
    let again = read_schema(&json, DocumentForm::Json);
    assert_eq!(again.as_ref(), Ok(&schema), "{json}");
    let yaml = write_yaml(&schema);
    let again = read_schema(&yaml, DocumentForm::Yaml);
    assert_eq!(again.as_ref(), Ok(&schema), "{yaml}");
    let snapshot = SchemaSnapshot::first(schema);
    assert!(describe(&snapshot, None).is_object());
    assert!(json_schema(&snapshot).is_object());
    let document = write_stored(&snapshot);
    let stored = StoredSchema {
        name: snapshot.name().to_owned(),
        version: snapshot.version(),
        created_at: Timestamp::from_micros(0),
        document,
    };
    let again = read_stored(&stored).map(|again| again.schema().clone());
    assert_eq!(again.as_ref(), Ok(snapshot.schema()), "{}", stored.document);
}
