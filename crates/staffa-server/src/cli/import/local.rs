//! Into a data folder, which this process has open.

use std::sync::Arc;

use staffa_app::{Context, Error, IngestRecords, Return, Tally};
use staffa_domain::RecordError;

use super::failure::Failure;
use super::{Request, Summary};
use crate::cli::UsageError;
use crate::cli::source::Source;
use crate::compose::App;
use crate::output::Output;
use crate::spool;

/// Imports one file.
pub(super) async fn import(
    app: &App,
    request: &Request,
    (file, output): (&str, Output),
) -> anyhow::Result<Summary> {
    if request.errors.is_some() && file == "-" {
        let text = "--errors takes a FILE that can be read twice, and stdin is none";
        return Err(UsageError(text.to_owned()).into());
    }
    let source = request.open(file, output).await?;
    let ctx = Context::new("import");
    ctx.set_progress(Arc::clone(&source.records));
    let done = app.commands.ingest_records(&ctx, ingest(request, source));
    let (errors, summary) = told(done.await)?;
    if let Some(path) = &request.errors {
        let again = ingest(request, request.open(file, output).await?);
        let out = spool::create(path.clone()).await?;
        app.commands.write_errors(again, &errors, out).await?;
    }
    Ok(summary)
}

fn ingest(request: &Request, source: Source) -> IngestRecords {
    IngestRecords {
        schema: request.schema.clone(),
        format: source.format,
        compression: source.compression,
        csv: request.csv.clone(),
        mode: request.mode,
        on_conflict: request.on_conflict.clone(),
        on_error: request.on_error,
        errors_max: request.errors_max,
        returning: Return::None,
        body_bytes_max: None,
        body: source.body,
    }
}

/// What is wrong with records, and what became of all of them.
fn told(
    done: Result<staffa_app::IngestReport, Error>,
) -> anyhow::Result<(Vec<RecordError>, Summary)> {
    let failed = |failed| Tally {
        failed,
        ..Tally::default()
    };
    let (tally, errors) = match done {
        Ok(report) => (Tally::of(&report), report.errors),
        Err(Error::Malformed(error)) => {
            let summary = Summary {
                tally: failed(1),
                failures: vec![Failure::from(&error)],
            };
            return Ok((Vec::new(), summary));
        }
        Err(Error::Invalid { errors } | Error::Refused { errors }) => {
            (failed(errors.len() as u64), errors)
        }
        // The mode and its key are all that is asked.
        Err(Error::Question(problem)) => return Err(UsageError(problem.message).into()),
        Err(error) => return Err(error.into()),
    };
    let failures = errors.iter().map(Failure::from).collect();
    let summary = Summary { tally, failures };
    Ok((errors, summary))
}
