//! The real program, run as a user runs it.

mod config;
mod demo;
mod program;
mod refusals;
mod transfer;
