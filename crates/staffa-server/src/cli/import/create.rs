//! `staffa import --create`: the schema that the first file suggests, made before it is read.

use anyhow::bail;
use staffa_app::{Context, EvolveSchema, Precondition};
use staffa_codec::decode::InputFormat;
use staffa_codec::document::write_schema;
use staffa_domain::Schema;

use super::{Request, Target};
use crate::cli::source::{Source, stem};
use crate::cli::{UsageError, infer};
use crate::client::{problem_text, read_json};
use crate::output::Output;

/// The schema that a file suggests, under which all of it can be stored. The request is then
/// for that schema, and for what stands for null in the file.
pub(super) async fn propose(
    request: &mut Request,
    file: &str,
    output: Output,
) -> anyhow::Result<Schema> {
    if file == "-" {
        let text = "--create reads the file twice, which stdin cannot be";
        return Err(UsageError(text.to_owned()).into());
    }
    let name = match request.schema.is_empty() {
        true => stem(file).to_owned(),
        false => request.schema.clone(),
    };
    let source = Source::open(file, request.format, output).await?;
    let is_csv = source.format == InputFormat::Csv;
    let proposal = infer::infer(source, &name, request.csv.clone(), None).await?;
    if !request.schema.is_empty() && proposal.schema.name.as_str() != request.schema {
        let text = format!("{:?} is no name of a schema", request.schema);
        return Err(UsageError(text).into());
    }
    let mut obstacles = 0;
    for obstacle in proposal.obstacles() {
        let properties = &proposal.schema.properties;
        let property = obstacle.property.and_then(|at| properties.get(at));
        let place = property.map_or_else(String::new, |property| format!("{}: ", property.name));
        output.error(&format!("{file}: {place}{}", obstacle.message));
        obstacles += 1;
    }
    if obstacles > 0 {
        bail!(
            "{file} does not fit any schema as it is: see staffa schema infer {file}; nothing was made"
        );
    }
    if let (true, Some(null)) = (is_csv, proposal.null_value) {
        output.note(&format!("{file}: {null} stands for null"));
        request.csv.null_value = Some(null.to_owned());
    }
    proposal
        .schema
        .name
        .as_str()
        .clone_into(&mut request.schema);
    Ok(proposal.schema)
}

/// Makes the schema, which must not be there yet.
pub(super) async fn create(
    target: &Target<'_>,
    schema: Schema,
    output: Output,
) -> anyhow::Result<()> {
    let name = schema.name.clone();
    let count = schema.properties.len();
    match target {
        Target::Local(app) => {
            if app.queries.schema(name.as_str()).is_ok() {
                bail!("the schema {name} is there already; import without --create");
            }
            let asked = EvolveSchema {
                schema,
                dry_run: false,
                allow_destructive: false,
            };
            let ctx = Context::new("import");
            let commands = &app.commands;
            commands
                .evolve_schema(&ctx, asked, &Precondition::None)
                .await?;
        }
        Target::Remote(client) => {
            let path = format!("/api/v1/schemas/{name}");
            let answer = client.get(&path, "application/json").await?;
            if answer.status().is_success() {
                bail!("the schema {name} is there already; import without --create");
            }
            let answer = client
                .put(&path, &[], write_schema(&schema).to_string())
                .await?;
            let (status, json) = read_json(answer).await?;
            anyhow::ensure!(status.is_success(), problem_text(status, &json));
        }
    }
    output.note(&format!(
        "the schema {name} was made, with {count} properties"
    ));
    Ok(())
}
