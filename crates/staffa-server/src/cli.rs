//! The command line: one file for each command, and what they share.

mod answer;
mod configure;
mod copy;
mod demo;
mod export;
mod import;
mod infer;
mod init;
mod query;
mod schema;
mod serve;
mod settings;
mod source;
mod transfer;

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, Command};

use crate::config::ConfigProblems;
use crate::output::Output;
use crate::schemas::FolderProblems;

/// What the process was started with, read once.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// Where text goes.
    pub(crate) output: Output,
    /// The environment, as far as it is text.
    pub(crate) environment: Vec<(String, String)>,
}

/// Wrong usage that the parser of arguments could not see.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// A check found that there is something to do.
#[derive(Debug)]
pub(crate) struct WorkToDo;

impl fmt::Display for WorkToDo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is something to do")
    }
}

impl std::error::Error for WorkToDo {}

/// A failure of which everything has been said.
#[derive(Debug)]
pub(crate) struct AlreadySaid;

impl fmt::Display for AlreadySaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the command failed")
    }
}

impl std::error::Error for AlreadySaid {}

/// Runs the command that the arguments ask for: 0 done, 1 failed, 2 wrong usage.
pub(crate) fn run() -> ExitCode {
    let output = Output::new();
    let matches = command().get_matches();
    let done = read_environment(std::env::vars_os()).and_then(|environment| {
        let invocation = Invocation {
            output,
            environment,
        };
        dispatch(&matches, &invocation)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error, output),
    }
}

/// The variables that are text. One of ours that is none must not count as one that is not set.
fn read_environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> anyhow::Result<Vec<(String, String)>> {
    let texts = variables.filter_map(|(name, text)| {
        let name = name.into_string().ok()?;
        match text.into_string() {
            Ok(text) => Some(Ok((name, text))),
            Err(_) if name.starts_with("STAFFA_") => {
                let told = format!("the environment variable {name} is not UTF-8");
                Some(Err(UsageError(told).into()))
            }
            Err(_) => None,
        }
    });
    texts.collect()
}

fn command() -> Command {
    Command::new("staffa")
        .about("A data API over millions of records, from schemas that you declare")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(serve::command())
        .subcommand(demo::command())
        .subcommand(init::command())
        .subcommand(schema::command())
        .subcommand(import::command())
        .subcommand(export::command())
        .subcommand(query::command())
        .subcommand(copy::command())
        .subcommand(configure::command())
        .subcommand(crate::bench::command())
}

fn dispatch(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("serve", matches)) => serve::run(matches, invocation),
        Some(("demo", matches)) => demo::run(matches, invocation),
        Some(("init", matches)) => init::run(matches, invocation),
        Some(("schema", matches)) => schema::run(matches, invocation),
        Some(("import", matches)) => import::run(matches, invocation),
        Some(("export", matches)) => export::run(matches, invocation),
        Some(("query", matches)) => query::run(matches, invocation),
        Some(("copy", matches)) => copy::run(matches, invocation),
        Some(("config", matches)) => configure::run(matches, invocation),
        Some(("bench", matches)) => crate::bench::run(matches, invocation.output),
        _ => Err(UsageError("a command is needed; see staffa --help".to_owned()).into()),
    }
}

fn report(error: &anyhow::Error, output: Output) -> ExitCode {
    if error.is::<AlreadySaid>() {
        return ExitCode::from(1);
    }
    if error.is::<WorkToDo>() {
        return ExitCode::from(2);
    }
    if is_broken_pipe(error) {
        // Whoever read the data has had enough, as in `staffa export … | head`.
        return ExitCode::SUCCESS;
    }
    let lists_problems = error.is::<ConfigProblems>() || error.is::<FolderProblems>();
    if lists_problems {
        for line in error.to_string().lines() {
            output.error(line);
        }
    } else {
        output.error(&chain(error));
    }
    let usage = error.is::<ConfigProblems>() || error.is::<UsageError>();
    ExitCode::from(if usage { 2 } else { 1 })
}

/// The error and its causes in one line, without causes that the line says already.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

/// How long a read that nobody waits for any more may hold up the end of the program.
const LINGER: Duration = Duration::from_secs(1);

/// Runs async work on all cores.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    // Stdin may never come to an end, and a read of it cannot be taken back.
    runtime.shutdown_timeout(LINGER);
    done
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn a_variable_of_ours_that_is_no_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt as _;
        let read = |name: &str| {
            let text = OsString::from_vec(vec![b'a', 0xff]);
            let variables = [(name.into(), text), ("B".into(), "b".into())];
            read_environment(variables.into_iter())
        };
        assert_eq!(read("A").unwrap(), [("B".to_owned(), "b".to_owned())]);
        let error = read("STAFFA_DATA_DIR").unwrap_err();
        assert!(error.to_string().contains("STAFFA_DATA_DIR"), "{error}");
    }

    #[test]
    fn a_cause_is_said_once() {
        let error = std::io::Error::other("no room");
        let error = anyhow::Error::new(error)
            .context("writing: no room")
            .context("exporting");
        assert_eq!(chain(&error), "exporting: writing: no room");
        let error: anyhow::Result<()> = Err(UsageError("b".to_owned())).context("a");
        assert_eq!(chain(&error.unwrap_err()), "a: b");
    }
}
