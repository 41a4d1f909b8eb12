//! The HTTP side over the reference engine: every route, every error, the server loop.
#![expect(clippy::unwrap_used, reason = "a test may end at once")]

mod affected;
mod app;
mod bad_input;
mod bodies;
mod bulk;
mod every_route;
mod frame;
mod http1;
mod http2;
mod infer;
mod memory;
mod moved;
mod once;
mod questions;
mod records;
mod scenarios;
mod schemas;
mod server;
mod slow;
mod socket;
mod streams;
mod transactions;
mod values;
