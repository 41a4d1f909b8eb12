//! From the domain's questions to SQL. Values travel as parameters, names come from the
//! catalog alone, and no other module spells out a query.

mod aggregate;
mod filter;
mod halves;
pub(crate) mod names;
pub(crate) mod select;
mod sort;

pub(crate) use aggregate::aggregate;
pub(crate) use halves::page;
pub(crate) use select::{count, exists, get, scan};

use arrow_schema::SchemaRef;

use crate::copy::Param;

/// A statement with its parameters and the layout of its answer.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) params: Vec<Param>,
    pub(crate) layout: SchemaRef,
}

/// The parameters of a statement in the making.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<Param>);

impl Params {
    /// Adds a parameter and answers its placeholder.
    fn add(&mut self, param: Param) -> String {
        self.0.push(param);
        format!("${}", self.0.len())
    }
}
