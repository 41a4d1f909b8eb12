//! Into a data folder, which this process has open.

use std::sync::Arc;

use staffa_app::{BulkMode, Context, Error, IngestRecords, Return};
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
        mode: BulkMode::Insert,
        on_conflict: None,
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
    let (stored, failed, errors) = match done {
        Ok(report) => (report.receipt.inserted, report.failed, report.errors),
        Err(Error::Malformed(error)) => {
            let summary = Summary {
                stored: 0,
                failed: 1,
                failures: vec![Failure::from(&error)],
            };
            return Ok((Vec::new(), summary));
        }
        Err(Error::Invalid { errors } | Error::Refused { errors }) => {
            (0, errors.len() as u64, errors)
        }
        Err(error) => return Err(error.into()),
    };
    let failures = errors.iter().map(Failure::from).collect();
    let summary = Summary {
        stored,
        failed,
        failures,
    };
    Ok((errors, summary))
}
