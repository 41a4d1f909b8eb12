//! `staffa copy`: all schemas and records from one storage into another.

use anyhow::{Context as _, ensure};
use clap::{Arg, ArgMatches, Command};
use staffa_app::{Checksum, Context};
use staffa_domain::Schema;

use crate::cli::transfer::with_app;
use crate::cli::{AlreadySaid, Invocation, UsageError, block_on, settings};
use crate::compose::App;
use crate::config::{Config, PLACE_EXPECTED, masked, place};
use crate::output::{Output, grouped};

/// A stream out of the source waits while the target commits, which may take long.
const PATIENCE: (&str, &str) = ("http.stream_timeout", "1h");

pub(super) fn command() -> Command {
    let side = |name: &'static str, help: &'static str| {
        let help = format!("{help}: {PLACE_EXPECTED}");
        Arg::new(name)
            .long(name)
            .value_name("STORAGE")
            .required(true)
            .help(help)
    };
    let command = Command::new("copy")
        .about(
            "Copy all schemas and records into another storage, with their ids, times and \
             versions, and compare both sides. Broken off, it goes on where it ended",
        )
        .arg(side(
            "from",
            "The storage to read, which no server may write to",
        ))
        .arg(side("to", "The storage to write"));
    settings::with_settings(command)
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let (from, to) = (
        side("from", matches, invocation)?,
        side("to", matches, invocation)?,
    );
    if from.text == to.text {
        return Err(UsageError("--from and --to name one storage".to_owned()).into());
    }
    ensure!(
        from.config.has_data(),
        "there are no records in {}",
        from.shown()
    );
    let output = invocation.output;
    let equal = block_on(async {
        with_app(&from.config, Vec::new(), async |source| {
            let declared = schemas(source);
            with_app(&to.config, declared, async |target| {
                copy_all(source, target, output).await
            })
            .await
            .with_context(|| format!("copying to {}", to.shown()))
        })
        .await
        .with_context(|| format!("copying from {}", from.shown()))
    })?;
    if equal {
        Ok(())
    } else {
        Err(AlreadySaid.into())
    }
}

/// One end of the copy.
struct Side {
    text: String,
    config: Config,
}

impl Side {
    /// Its name without any password.
    fn shown(&self) -> String {
        masked(&self.text)
    }
}

fn side(name: &str, matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<Side> {
    let text = matches.get_one::<String>(name).cloned().unwrap_or_default();
    let Some(mut made) = place(&text) else {
        let shown = masked(&text);
        let message = format!("--{name}: {shown:?} is no storage; expected {PLACE_EXPECTED}");
        return Err(UsageError(message).into());
    };
    made.push((PATIENCE.0, PATIENCE.1.to_owned()));
    let (_, config) = settings::load_with(matches, invocation, &made)?;
    Ok(Side { text, config })
}

fn schemas(source: &App) -> Vec<Schema> {
    let all = source.queries.catalog().all();
    all.values()
        .map(|snapshot| snapshot.schema().clone())
        .collect()
}

/// Copies and compares schema after schema; answers whether all are equal.
async fn copy_all(source: &App, target: &App, output: Output) -> anyhow::Result<bool> {
    let mut all_equal = true;
    for schema in schemas(source) {
        let name = schema.name.as_str();
        let copied = copy_one(source, target, name, output).await;
        let copied = copied.with_context(|| format!("copying {name}"))?;
        let here = checksum(source, name, output).await?;
        let there = checksum(target, name, output).await?;
        let (copied, records) = (grouped(copied), grouped(here.records));
        if here == there {
            output.note(&format!(
                "{name}: {copied} copied, {records} records, checksum {here}"
            ));
        } else {
            all_equal = false;
            let found = grouped(there.records);
            output.error(&format!(
                "{name}: the copy differs: {records} records with checksum {here} became \
                 {found} with {there}"
            ));
        }
    }
    Ok(all_equal)
}

async fn copy_one(source: &App, target: &App, name: &str, output: Output) -> anyhow::Result<u64> {
    let total = count(source, name).await? - count(target, name).await?;
    let progress =
        output.progress_of_records(&format!("copying {name}"), u64::try_from(total).ok());
    let add = |records: usize| progress.add(records);
    let ctx = Context::new("copy");
    Ok(target
        .commands
        .copy_records(&ctx, &source.queries, name, &add)
        .await?)
}

async fn count(app: &App, name: &str) -> anyhow::Result<i64> {
    let schema = app.queries.schema(name)?;
    let ctx = Context::new("copy");
    let count = app
        .queries
        .count_records(&ctx, &schema, None, false)
        .await?;
    Ok(i64::try_from(count.records)?)
}

async fn checksum(app: &App, name: &str, output: Output) -> anyhow::Result<Checksum> {
    let total = u64::try_from(count(app, name).await?).ok();
    let progress = output.progress_of_records(&format!("comparing {name}"), total);
    let add = |records: usize| progress.add(records);
    let ctx = Context::new("copy");
    Ok(app.queries.checksum_records(&ctx, name, &add).await?)
}
