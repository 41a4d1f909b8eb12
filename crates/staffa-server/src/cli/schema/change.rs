//! `staffa schema plan` and `apply`: a folder of documents against what a server or a data
//! folder has.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value as Json;
use staffa_app::{Context, EvolveSchema, EvolvedSchema, Precondition};
use staffa_codec::document::{plan_json, write_schema};
use staffa_domain::Schema;

use crate::cli::transfer::{Place, with_app, with_place};
use crate::cli::{Invocation, UsageError, WorkToDo, block_on, settings};
use crate::client::{Client, PREFER, problem_text, read_json};
use crate::compose::App;
use crate::output::grouped;
use crate::schemas;

/// Between two looks at a job.
const PAUSE: Duration = Duration::from_millis(100);

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

pub(super) fn plan_command() -> Command {
    let about = "Show what would have to be done to come to the documents of the schemas folder";
    let check = "End with 2 where there is something to do";
    with_place(Command::new("plan").about(about)).arg(flag("check", check))
}

pub(super) fn apply_command() -> Command {
    let about = "Make the schemas what the documents of the schemas folder say";
    let destructive = "Carry out steps that drop values too";
    with_place(Command::new("apply").about(about))
        .arg(flag("yes", "Do not ask first"))
        .arg(flag("allow-destructive", destructive))
}

/// What one document takes, from the version that there was.
struct Planned {
    schema: Schema,
    from: Option<u32>,
    plan: Json,
}

impl Planned {
    fn steps(&self) -> &[Json] {
        self.plan["steps"].as_array().map_or(&[], Vec::as_slice)
    }

    fn is_destructive(&self) -> bool {
        self.plan["class"] == "destructive"
    }
}

pub(super) fn plan(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let (target, documents) = open(matches, invocation)?;
    let planned = block_on(target.with(async |place| place.plan(documents).await))?;
    invocation.output.data(told(&planned).as_bytes())?;
    if matches.get_flag("check") && !planned.is_empty() {
        return Err(WorkToDo.into());
    }
    Ok(())
}

pub(super) fn apply(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let (target, documents) = open(matches, invocation)?;
    let allow = matches.get_flag("allow-destructive");
    let sure = matches.get_flag("yes");
    block_on(target.with(async |place| {
        let planned = place.plan(documents).await?;
        invocation.output.data(told(&planned).as_bytes())?;
        if planned.is_empty() {
            return Ok(());
        }
        if !allow && planned.iter().any(Planned::is_destructive) {
            anyhow::bail!("values would be dropped; give --allow-destructive to do so");
        }
        if !sure && !is_confirmed(invocation)? {
            anyhow::bail!("nothing was done");
        }
        for one in planned {
            let name = one.schema.name.clone();
            place.carry_out(one, allow).await?;
            invocation.output.note(&format!("{name} is done"));
        }
        Ok(())
    }))
}

fn open(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<(Target, Vec<Schema>)> {
    let (_, config) = settings::load(matches, invocation)?;
    let documents = schemas::read_folder(&config.schemas, true)?;
    Ok((Target(Place::of(matches, invocation)?), documents))
}

fn is_confirmed(invocation: &Invocation) -> anyhow::Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(UsageError("nobody can be asked here; give --yes".to_owned()).into());
    }
    invocation.output.note("carry this out? [y/N]");
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

struct Target(Place);

/// A place that is open.
enum Open<'a> {
    Local(&'a App),
    Remote(&'a Client),
}

impl Target {
    async fn with<T>(
        self,
        work: impl AsyncFnOnce(Open<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        match self.0 {
            // Nothing is declared: that is what this command is for.
            Place::Local(config, _) => {
                with_app(&config, Vec::new(), async |app| {
                    work(Open::Local(app)).await
                })
                .await
            }
            Place::Remote(client) => work(Open::Remote(&client)).await,
        }
    }
}

impl Open<'_> {
    /// The plans of those documents that have any step.
    async fn plan(&self, documents: Vec<Schema>) -> anyhow::Result<Vec<Planned>> {
        let mut planned = Vec::new();
        for schema in documents {
            let one = self.plan_one(schema).await?;
            if !one.steps().is_empty() {
                planned.push(one);
            }
        }
        Ok(planned)
    }

    async fn plan_one(&self, schema: Schema) -> anyhow::Result<Planned> {
        let (from, plan) = match self {
            Self::Local(app) => {
                let asked = EvolveSchema {
                    schema: schema.clone(),
                    dry_run: true,
                    allow_destructive: false,
                };
                let done = evolve_here(app, asked, &Precondition::None).await?;
                let from = done.schema.map(|current| current.version());
                (from, plan_json(&done.plan, done.records.records))
            }
            Self::Remote(client) => {
                let path = format!("/api/v1/schemas/{}?dry_run=true", schema.name);
                let mut json = put(client, &path, &[], &schema).await?;
                let from = json["from_version"].as_u64();
                let from = from.and_then(|version| u32::try_from(version).ok());
                (from, json["plan"].take())
            }
        };
        Ok(Planned { schema, from, plan })
    }

    /// Brings one schema to its document, from the version that the plan was shown for.
    async fn carry_out(&self, planned: Planned, allow_destructive: bool) -> anyhow::Result<()> {
        let Planned { schema, from, .. } = planned;
        match self {
            Self::Local(app) => {
                let asked = EvolveSchema {
                    schema,
                    dry_run: false,
                    allow_destructive,
                };
                let on = match from {
                    Some(version) => Precondition::Versions(vec![version.into()]),
                    None => Precondition::Absent,
                };
                evolve_here(app, asked, &on).await?;
            }
            Self::Remote(client) => {
                let name = &schema.name;
                let path = format!("/api/v1/schemas/{name}?allow_destructive={allow_destructive}");
                let (header, wanted) = match from {
                    Some(version) => (http::header::IF_MATCH, format!("\"{version}\"")),
                    None => (http::header::IF_NONE_MATCH, "*".to_owned()),
                };
                let headers = [(header, &*wanted), (PREFER, "respond-async")];
                let job = put(client, &path, &headers, &schema).await?;
                end_of(client, job).await?;
            }
        }
        Ok(())
    }
}

async fn evolve_here(
    app: &App,
    asked: EvolveSchema,
    on: &Precondition,
) -> anyhow::Result<EvolvedSchema> {
    let ctx = Context::new("schema-change");
    Ok(app.commands.evolve_schema(&ctx, asked, on).await?)
}

/// Waits for the end of a job, however long that takes.
async fn end_of(client: &Client, mut job: Json) -> anyhow::Result<()> {
    let id = job["id"]
        .as_str()
        .context("the server answered with no job")?;
    let place = format!("/api/v1/jobs/{id}");
    while !job["finished_at"].is_string() {
        tokio::time::sleep(PAUSE).await;
        job = client.job(&place).await?;
    }
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    if job["problem"].is_object() {
        let problem = &job["problem"];
        anyhow::bail!("{} ({})", text(&problem["detail"]), text(&problem["code"]));
    }
    let state = text(&job["state"]);
    anyhow::ensure!(
        state == "succeeded",
        "the job was {state}; nothing was done"
    );
    Ok(())
}

/// Sends a document, and reads the answer to it.
async fn put(
    client: &Client,
    path: &str,
    headers: &[(http::HeaderName, &str)],
    schema: &Schema,
) -> anyhow::Result<Json> {
    let document = write_schema(schema).to_string();
    let answer = client.put(path, headers, document).await?;
    let (status, json) = read_json(answer).await?;
    anyhow::ensure!(status.is_success(), problem_text(status, &json));
    Ok(json)
}

/// The plans as lines, coloured where a terminal shows them.
fn told(planned: &[Planned]) -> String {
    let colored = std::io::stdout().is_terminal();
    let mut out = String::new();
    if planned.is_empty() {
        return "there is nothing to do\n".to_owned();
    }
    for one in planned {
        let _ = writeln!(out, "{}", one.schema.name);
        for step in one.steps() {
            let text = |name: &str| step[name].as_str().unwrap_or_default();
            let (sign, color) = match text("step") {
                word if word.starts_with("create") || word.starts_with("add") => ('+', 32),
                word if word.starts_with("drop") => ('-', 31),
                _ => ('~', 33),
            };
            let records = step["records"].as_u64().unwrap_or(0);
            let millis = step["estimated_ms"].as_u64().unwrap_or(0);
            let line = format!(
                "  {sign} {:<22} {:<12} {:>14} records {:>9} ms  blocks {:<17} {}",
                text("step"),
                text("class"),
                grouped(records),
                grouped(millis),
                text("blocks"),
                text("message")
            );
            let _ = match colored {
                true => writeln!(out, "\u{1b}[{color}m{line}\u{1b}[0m"),
                false => writeln!(out, "{line}"),
            };
        }
    }
    out
}
