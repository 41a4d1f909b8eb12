//! `staffa schema show`: one schema as its document.

use clap::{Arg, ArgMatches, Command};
use staffa_codec::document::{DocumentForm, read_schema, write_yaml};

use crate::cli::transfer::{Place, with_app, with_place};
use crate::cli::{Invocation, block_on};
use crate::client::{problem_text, read_json};

pub(super) fn command() -> Command {
    let name = Arg::new("name").value_name("SCHEMA").required(true);
    let about = "Print the document of a schema as YAML";
    with_place(Command::new("show").about(about).arg(name))
}

pub(super) fn run(matches: &ArgMatches, invocation: &Invocation) -> anyhow::Result<()> {
    let name = matches
        .get_one::<String>("name")
        .cloned()
        .unwrap_or_default();
    let place = Place::of(matches, invocation)?;
    let schema = block_on(async {
        match place {
            Place::Local(config, _) => {
                with_app(&config, Vec::new(), async |app| {
                    Ok(app.queries.schema(&name)?.schema().clone())
                })
                .await
            }
            Place::Remote(client) => {
                let versions = format!("/api/v1/schemas/{name}/versions");
                let answer = client.get(&versions, "application/json").await?;
                let (status, json) = read_json(answer).await?;
                anyhow::ensure!(status.is_success(), problem_text(status, &json));
                let newest = json.as_array().and_then(|all| all.last());
                let document = newest.map(|version| version["document"].to_string());
                let document = document.unwrap_or_default();
                read_schema(&document, DocumentForm::Json)
                    .map_err(|_| anyhow::anyhow!("the server answered with no document"))
            }
        }
    })?;
    invocation.output.data(write_yaml(&schema).as_bytes())?;
    Ok(())
}
