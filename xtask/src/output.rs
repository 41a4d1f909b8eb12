//! The only place of xtask that writes to the terminal.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool answers on its terminal, and only through this file"
)]

/// The answer of a command, on stdout.
pub(crate) fn say(message: &str) {
    println!("{message}");
}

/// What a command is doing, on stderr so that stdout holds answers alone.
pub(crate) fn note(message: &str) {
    eprintln!("xtask: {message}");
}

pub(crate) fn warning(message: &str) {
    eprintln!("warning: {message}");
}

pub(crate) fn error(message: &str) {
    eprintln!("error: {message}");
}
