//! The program `staffa`: its command line, its configuration, and the server it puts together.

mod output;

mod config;

mod compose;
mod cursor_secret;
mod memory;
mod schemas;
mod serve;
mod shutdown;
mod spool;

mod client;
mod demo;

mod bench;

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
