//! The HTTP side over the reference engine: every route, every error, the server loop.

mod app;
mod bad_input;
mod bulk;
mod frame;
mod questions;
mod records;
mod schemas;
mod server;
mod streams;
