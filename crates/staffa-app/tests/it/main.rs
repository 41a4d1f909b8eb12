//! The use cases over the reference engine, as a transport calls them.

mod app;
mod change;
mod copy;
mod create;
mod declare;
mod ingest;
mod pages;
