//! A schema document as a body: JSON, or YAML where the body says that it is.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;

use staffa_app::Error;
use staffa_codec::document::{DocumentError, DocumentForm, read_schema};
use staffa_domain::Schema;
use staffa_domain::schema::SchemaProblem;

use super::body::{JsonBody, coding, media_type, require_json, unsupported};
use crate::problem::{Cause, Code, Problem};

const YAML: [&str; 4] = [
    "application/yaml",
    "application/x-yaml",
    "text/yaml",
    "text/x-yaml",
];

/// The text of a document and its form.
pub(crate) struct DocumentBody(Bytes, DocumentForm);

impl<S: Send + Sync> FromRequest<S> for DocumentBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = media_type(request.headers());
        let form = match kind.as_deref() {
            Some(kind) if YAML.contains(&kind) => DocumentForm::Yaml,
            _ => DocumentForm::Json,
        };
        match form {
            DocumentForm::Json => require_json(request.headers())?,
            DocumentForm::Yaml if coding(request.headers())?.is_some() => {
                return Err(unsupported("a document has no Content-Encoding"));
            }
            DocumentForm::Yaml => {}
        }
        let JsonBody(bytes) = JsonBody::whole(request).await?;
        Ok(Self(bytes, form))
    }
}

impl DocumentBody {
    /// The schema, which must have the name that the path gives it.
    pub(crate) fn schema_named(&self, name: &str) -> Result<Schema, Problem> {
        let text = std::str::from_utf8(&self.0).map_err(|error| {
            let place = error.valid_up_to();
            Problem::new(
                Code::MALFORMED_JSON,
                format!("the document is not UTF-8 at byte {place}"),
            )
        })?;
        let schema = read_schema(text, self.1).map_err(refuse)?;
        if schema.name.as_str() != name {
            let message = format!("the document is of {}, the path of {name}", schema.name);
            let problem = SchemaProblem::new("/name", message);
            return Err(Error::SchemaInvalid(vec![problem]).into());
        }
        Ok(schema)
    }
}

/// A text that is no document is no matter of the schema in it.
fn refuse(error: DocumentError) -> Problem {
    let (code, problem) = match error {
        DocumentError::Invalid(problems) => return Error::SchemaInvalid(problems).into(),
        DocumentError::Malformed(problem) => (Code::MALFORMED_JSON, problem),
        DocumentError::TooLong(problem) => (Code::PAYLOAD_TOO_LARGE, problem),
    };
    let SchemaProblem { pointer, message } = problem;
    let cause = Cause::new(pointer, code.as_str(), message.clone());
    Problem::new(code, message).with_causes(vec![cause])
}
