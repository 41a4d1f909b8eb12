//! The habits of this repository as commands: `cargo xtask <command>`. Nothing here ships.

mod bench;
mod ci;
mod cli;
mod deploy;
mod fuzz;
mod output;
mod postgres_cluster;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    cli::run(&arguments).unwrap_or_else(|error| {
        output::error(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}
