//! The HTTP side over the reference engine: every route, every error, the server loop.
#![expect(clippy::unwrap_used, reason = "a test may end at once")]

mod affected;
mod app;
mod bad_input;
mod bulk;
mod frame;
mod questions;
mod records;
mod schemas;
mod server;
mod streams;
mod transactions;
