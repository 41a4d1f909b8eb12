//! The program `staffa`: its command line, its configuration, and the server it puts together.

mod output;

mod config;

mod compose;
mod cursor_secret;
mod schemas;
mod serve;
mod shutdown;
mod spool;

mod client;
mod demo;

mod bench;

mod cli;

/// Serves the storage engine too, whose allocations are most of the program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
