//! The real program, run as a user runs it.

mod config;
mod copy;
mod curl;
mod demo;
mod kill;
mod program;
mod refusals;
mod transfer;
