//! SQL text with its parameters. Values travel as parameters only; names come from our own
//! catalog through one quoting function.

pub(crate) mod aggregate;
pub(crate) mod filter;
pub(crate) mod names;
pub(crate) mod select;
pub(crate) mod sort;

use arrow_array::RecordBatch;
use duckdb::types::Value as Param;
use duckdb::{Connection, params_from_iter};
use staffa_domain::{PropertyType, RecordId, Value};

use crate::error::Fault;
use crate::types;

/// A statement under construction.
#[derive(Debug, Default)]
pub(crate) struct Sql {
    text: String,
    params: Vec<Param>,
}

impl Sql {
    /// Starts with a text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            params: Vec::new(),
        }
    }

    /// Adds text, which is ours alone.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a value of an abstract type as a parameter.
    pub(crate) fn bind(&mut self, value: &Value, property_type: &PropertyType) -> &mut Self {
        self.text.push_str(&types::placeholder(property_type));
        self.params.push(types::param(value, property_type));
        self
    }

    /// Adds a text as a parameter.
    pub(crate) fn bind_text(&mut self, text: &str) -> &mut Self {
        self.text.push('?');
        self.params.push(Param::Text(text.to_owned()));
        self
    }

    /// Adds `(id, id, …)`, which must not be empty. Ids are bytes that we format, so they
    /// stand in the text: the planner then sees constants. Without a cast, since a text that is
    /// compared with an id is taken for one and a list of casts takes twice as long to parse.
    pub(crate) fn id_list(&mut self, ids: impl IntoIterator<Item = RecordId>) -> &mut Self {
        let before = self.text.len();
        for id in ids {
            let open = if self.text.len() == before {
                "('"
            } else {
                ", '"
            };
            self.text.push_str(open);
            self.text.push_str(&id.to_string());
            self.text.push('\'');
        }
        self.push(")")
    }

    /// Adds a condition that always holds, and that the engine plans a statement only once for. It
    /// plans one over a table when it is prepared and again when it is carried out, but where a
    /// parameter has no type before it has a value, only then.
    pub(crate) fn planned_once(&mut self) -> &mut Self {
        self.params.push(Param::Null);
        self.push("? IS NULL")
    }

    /// The text so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The parameters so far.
    pub(crate) fn params(&self) -> impl Iterator<Item = &Param> {
        self.params.iter()
    }

    /// Runs it for its effect and answers how many rows it touched.
    pub(crate) fn execute(&self, connection: &Connection) -> Result<usize, Fault> {
        let mut statement = connection.prepare(&self.text)?;
        Ok(statement.execute(params_from_iter(self.params()))?)
    }

    /// Runs it and takes the whole, bounded result. Not by `query_arrow`, whose iterator
    /// panics on an error.
    pub(crate) fn fetch(&self, connection: &Connection) -> Result<Vec<RecordBatch>, Fault> {
        self.fetch_within(connection, None)
    }

    /// The same, if the result takes at most so many bytes.
    pub(crate) fn fetch_within(
        &self,
        connection: &Connection,
        bytes_max: Option<u64>,
    ) -> Result<Vec<RecordBatch>, Fault> {
        let mut statement = connection.prepare(&self.text)?;
        let mut found = Vec::new();
        let mut bytes = 0;
        for batch in statement.stream_arrow(params_from_iter(self.params()))? {
            let batch = batch?;
            bytes += batch.get_array_memory_size() as u64;
            if let Some(bytes_max) = bytes_max.filter(|most| bytes > *most) {
                return Err(Fault::too_large(bytes_max));
            }
            found.push(batch);
        }
        Ok(found)
    }
}
