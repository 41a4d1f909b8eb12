//! `staffa bench`: what the server does in a second and how long it takes, beside what the raw
//! engine and PostgreSQL do with the same rows on the same machine in the same run.

mod figure;

mod data;

mod answer;
mod client;
mod ids;
mod load;
mod process;
mod server;
mod tally;

mod postgres;
mod raw;

mod bed;
mod change;
mod read;
mod write;

mod html;
mod plot;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{ArgMatches, Args, Command, FromArgMatches as _};

use crate::output::Output;
use bed::Bed;
use report::Report;

/// What to measure, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    /// Measure this running server instead of starting one; it must have the schemas that
    /// `--print-schemas` shows, and empty
    #[arg(long, value_name = "URL", conflicts_with_all = ["storage", "server_flags"])]
    url: Option<String>,
    /// Only these scenarios; see --list
    #[arg(long, value_name = "NAME", num_args = 1..)]
    scenario: Vec<String>,
    /// Say which scenarios there are
    #[arg(long)]
    list: bool,
    /// Write the schema documents of the benchmark to stdout
    #[arg(long)]
    print_schemas: bool,
    /// Few rows and short times, to see that everything works
    #[arg(long)]
    quick: bool,
    /// How many rows the large scenarios work on
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(100..))]
    rows: Option<u64>,
    /// How long each load lasts
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// With how many connections at a time
    #[arg(long, value_name = "COUNT", value_delimiter = ',', num_args = 1..)]
    connections: Vec<usize>,
    /// How many requests a second arrive in open loops; 0.7 of what a closed one reaches by default
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// The engine of the server that is started: duckdb, the postgres:// URL of a server, or
    /// postgres for a throw-away one
    #[arg(long, value_name = "ENGINE")]
    storage: Option<String>,
    /// Leave out the raw engine and PostgreSQL
    #[arg(long)]
    no_reference: bool,
    /// Write everything as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a report with plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Where databases and files of rows lie while it runs
    #[arg(long, value_name = "FOLDER")]
    work_dir: Option<PathBuf>,
    /// Flags for the server that is started, after `--`
    #[arg(last = true, value_name = "FLAG")]
    server_flags: Vec<String>,
}

impl BenchArgs {
    /// How many rows, where the user did not say.
    fn rows_or(&self, default: u64) -> u64 {
        let quick = if self.quick {
            default.min(100_000)
        } else {
            default
        };
        self.rows.unwrap_or(quick)
    }

    /// Whether the server that is measured stores in PostgreSQL.
    fn is_on_postgres(&self) -> bool {
        let storage = self.storage.as_deref();
        storage.is_some_and(|storage| storage.starts_with("postgres"))
    }

    /// How long each load lasts.
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 2 } else { 10 }))
    }

    /// With how many connections, where the user did not say.
    fn connections(&self, default: &[usize]) -> Vec<usize> {
        if self.connections.is_empty() {
            default.to_vec()
        } else {
            self.connections.clone()
        }
    }
}

/// A set of measurements that belong together.
#[derive(Debug, Clone, Copy)]
struct Scenario {
    name: &'static str,
    about: &'static str,
    run: fn(&mut Bed<'_>) -> anyhow::Result<()>,
}

/// The command, for the command line.
pub(crate) fn command() -> Command {
    let half = |name, about| BenchArgs::augment_args(Command::new(name).about(about));
    Command::new("bench")
        .about("Measure the server beside the raw engine and PostgreSQL")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(half("write", "Creates, bulks, files, updates and upserts"))
        .subcommand(half(
            "read",
            "Records by id, pages, filters, counts, aggregates and streams",
        ))
        .subcommand(half(
            "change",
            "Changes of a schema, and what writers and readers notice of them",
        ))
        .subcommand(half("all", "Writes and reads, in one report"))
}

/// Runs the command. Fails where a scenario could not be run, not where a goal was missed.
pub(crate) fn run(matches: &ArgMatches, output: Output) -> anyhow::Result<()> {
    let (half, matches) = matches
        .subcommand()
        .context("write, read, change or all is needed")?;
    let args = BenchArgs::from_arg_matches(matches)?;
    let scenarios = match half {
        "write" => write::SCENARIOS.to_vec(),
        "read" => read::SCENARIOS.to_vec(),
        "change" => change::SCENARIOS.to_vec(),
        _ => [&write::SCENARIOS[..], &read::SCENARIOS[..]].concat(),
    };
    if args.list {
        let lines = scenarios
            .iter()
            .map(|found| format!("{:<12} {}\n", found.name, found.about));
        return Ok(output.data(lines.collect::<String>().as_bytes())?);
    }
    if args.print_schemas {
        let documents = data::SCHEMAS.map(|(name, declared)| data::document(name, declared));
        return Ok(output.data(documents.join("---\n").as_bytes())?);
    }
    let chosen = choose(&scenarios, &args.scenario)?;
    measure(&args, &chosen, output)
}

fn choose(scenarios: &[Scenario], names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    for name in names {
        let known = scenarios.iter().any(|scenario| scenario.name == name);
        anyhow::ensure!(
            known,
            "there is no scenario {name}; --list says which there are"
        );
    }
    let wanted = |name| names.is_empty() || names.iter().any(|wanted| wanted == name);
    Ok(scenarios
        .iter()
        .filter(|scenario| wanted(scenario.name))
        .copied()
        .collect())
}

fn measure(args: &BenchArgs, scenarios: &[Scenario], output: Output) -> anyhow::Result<()> {
    let mut bed = Bed::new(args, output)?;
    let mut broken = Vec::new();
    for scenario in scenarios {
        output.note(&format!("{}: {}", scenario.name, scenario.about));
        // One scenario that can't be run must not cost the figures of all others.
        if let Err(error) = (scenario.run)(&mut bed) {
            output.error(&format!("{}: {error:#}", scenario.name));
            broken.push(scenario.name);
        }
    }
    let report = Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        storage: storage_name(args),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        rows: args.rows_or(1_000_000),
        outcomes: bed.into_outcomes(),
    };
    output.data(report.table().as_bytes())?;
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("{} can't be written", path.display()))?;
    }
    if let Some(path) = &args.html {
        std::fs::write(path, html::page(&report))
            .with_context(|| format!("{} can't be written", path.display()))?;
    }
    anyhow::ensure!(
        broken.is_empty(),
        "these scenarios could not be run: {}",
        broken.join(", ")
    );
    Ok(())
}

/// The engine in words, without the password that its URL may hold.
fn storage_name(args: &BenchArgs) -> String {
    match (&args.url, args.storage.as_deref()) {
        (Some(url), _) => format!("that of {url}"),
        (None, Some(storage)) if storage.starts_with("postgres") => "PostgreSQL".to_owned(),
        (None, other) => other.unwrap_or("duckdb").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::{ArgMatches, Args as _, BenchArgs, Duration, choose, command};

    fn parse(line: &str) -> Result<BenchArgs, clap::Error> {
        let matches: ArgMatches = command().try_get_matches_from(line.split(' '))?;
        let (_, matches) = matches.subcommand().unwrap();
        BenchArgs::from_arg_matches(matches)
    }

    #[test]
    fn arguments_hold_together() {
        command().debug_assert();
        let _ = BenchArgs::augment_args(super::Command::new("x"));
        let args = parse("bench write --quick --connections 1,8 --scenario create bulk").unwrap();
        assert_eq!(args.connections(&[64]), [1, 8]);
        assert_eq!(args.scenario, ["create", "bulk"]);
        assert_eq!(
            (args.time(), args.rows_or(5_000_000)),
            (Duration::from_secs(2), 100_000)
        );
        let args = parse("bench read --rows 500 -- --duckdb-threads 1").unwrap();
        assert_eq!(args.server_flags, ["--duckdb-threads", "1"]);
        assert_eq!((args.connections(&[64]), args.rows_or(1)), (vec![64], 500));
        assert!(parse("bench write --url http://a:1 --storage duckdb").is_err());
    }

    #[test]
    fn a_scenario_that_is_not_there_is_refused() {
        let all = super::write::SCENARIOS;
        assert_eq!(choose(&all, &[]).unwrap().len(), all.len());
        assert_eq!(choose(&all, &["bulk".to_owned()]).unwrap()[0].name, "bulk");
        assert!(choose(&all, &["bulks".to_owned()]).is_err());
    }
}
