//! Routes, problems, OpenAPI and the accept loop: the API over HTTP, and no rules of its own.
#![doc = include_str!("../README.md")]

mod docs;
mod exchange;
mod frame;
mod from_wire;
mod openapi;
mod problem;
mod route_table;
mod router;
mod routes;
mod server;
mod state;
mod to_wire;

pub use frame::Api;
pub use problem::{CODES, tell_failure};
pub use router::{admin_router, router};
pub use server::{ServeOptions, serve};
pub use state::{ApiState, MetricsText, Observer, RequestSummary, Settings};
