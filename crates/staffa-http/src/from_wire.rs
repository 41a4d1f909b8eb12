//! What requests say, read strictly: paths, parameters, headers and bodies. No rules of
//! schemas, no use cases.

pub(crate) mod accept;
pub(crate) mod affected;
pub(crate) mod body;
pub(crate) mod bulk;
pub(crate) mod call;
pub(crate) mod document;
pub(crate) mod params;
pub(crate) mod precondition;
pub(crate) mod prefer;
pub(crate) mod query_body;
pub(crate) mod question;
pub(crate) mod sample;
pub(crate) mod stream;

pub(crate) use body::JsonBody;
pub(crate) use call::{BareCall, Call, JobCall, RecordCall};
pub(crate) use document::DocumentBody;
