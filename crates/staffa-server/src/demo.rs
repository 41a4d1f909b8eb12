//! The example data, carried in the program, and its way into a server.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use staffa_app::{
    BulkMode, ByteStream, Commands, Context, IngestRecords, OnError, Queries, Return, StreamRecords,
};
use staffa_codec::decode::{Compression, CsvOptions, InputFormat};
use staffa_codec::document::{DocumentForm, read_schema};
use staffa_domain::batch::record_id;
use staffa_domain::{RecordId, Schema};

use crate::output::{Output, Progress, grouped};

/// How much of the packed data is handed over at once.
const CHUNK_BYTES: usize = 32 << 10;

/// One schema of the example data.
#[derive(Debug)]
struct Example {
    name: &'static str,
    document: &'static str,
    packed: &'static [u8],
}

macro_rules! example {
    ($name:literal) => {
        Example {
            name: $name,
            document: include_str!(concat!(
                "../../../examples/flights/schemas/",
                $name,
                ".yaml"
            )),
            packed: include_bytes!(concat!(
                "../../../examples/flights/data/",
                $name,
                ".csv.zst"
            )),
        }
    };
}

static EXAMPLES: [Example; 5] = [
    example!("airlines"),
    example!("airports"),
    example!("planes"),
    example!("weather"),
    example!("flights"),
];

/// The schemas of the example data.
pub(crate) fn schemas() -> anyhow::Result<Vec<Schema>> {
    EXAMPLES.iter().map(read_example).collect()
}

fn read_example(example: &Example) -> anyhow::Result<Schema> {
    read_schema(example.document, DocumentForm::Yaml).map_err(|error| {
        let problems = error.into_problems();
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the schema {}: {}", example.name, lines.join("; "))
    })
}

/// Loads what is not there yet, the way that a bulk request would.
pub(crate) async fn load(
    commands: &Commands,
    queries: &Queries,
    output: Output,
) -> anyhow::Result<()> {
    let mut missing = Vec::new();
    for example in &EXAMPLES {
        if count(queries, example.name).await? == 0 {
            missing.push(example);
        }
    }
    let total: usize = missing.iter().map(|example| example.packed.len()).sum();
    let progress = Arc::new(output.progress("loading", Some(total as u64)));
    for example in missing {
        progress.label(&format!("loading {}", example.name));
        load_one(commands, example, &progress)
            .await
            .with_context(|| format!("loading {}", example.name))?;
    }
    Ok(())
}

async fn load_one(
    commands: &Commands,
    example: &Example,
    progress: &Arc<Progress>,
) -> anyhow::Result<()> {
    let body = Packed {
        rest: Bytes::from_static(example.packed),
        progress: Arc::clone(progress),
    };
    let body: ByteStream = Box::pin(body);
    let request = IngestRecords {
        schema: example.name.to_owned(),
        format: InputFormat::Csv,
        compression: Compression::Zstd,
        csv: CsvOptions {
            null_value: Some("NA".to_owned()),
            ..CsvOptions::default()
        },
        mode: BulkMode::Insert,
        on_conflict: None,
        on_error: OnError::Abort,
        errors_max: 1,
        returning: Return::None,
        body_bytes_max: None,
        body,
    };
    let report = commands
        .ingest_records(&Context::new("demo"), request)
        .await?;
    if let Some(error) = report.errors.first() {
        anyhow::bail!(
            "record {}: {}: {}",
            error.index,
            error.pointer,
            error.message
        );
    }
    Ok(())
}

/// The number of records of a schema.
async fn count(queries: &Queries, name: &str) -> anyhow::Result<u64> {
    let schema = queries.schema(name)?;
    Ok(queries
        .count_records(&Context::new("demo"), &schema, None, true)
        .await?
        .records)
}

/// What to tell a newcomer: where the server is, what is in it, and what to try.
pub(crate) async fn welcome(queries: &Queries, url: &str) -> anyhow::Result<String> {
    let mut lines = vec![format!("Staffa is ready on {url}"), String::new()];
    for example in EXAMPLES.iter().rev() {
        let records = grouped(count(queries, example.name).await?);
        lines.push(format!("  {:<10} {records:>9} records", example.name));
    }
    let id = first_flight(queries).await?;
    lines.extend([
        String::new(),
        "Try:".to_owned(),
        format!("  curl '{url}/api/v1/schemas/flights'"),
        format!("  curl '{url}/api/v1/records/flights/count'"),
        format!("  curl '{url}/api/v1/records/flights/{id}'"),
        format!(
            "  curl -g '{url}/api/v1/records/flights?filter[carrier]=UA&filter[dep_delay][gt]=120\
             &sort=-dep_delay&size=3'"
        ),
        format!(
            "  curl '{url}/api/v1/records/weather/query' -H 'Content-Type: application/json' \
             -d '{{\"filters\": [{{\"field\": \"temp\", \"operator\": \"gte\", \"value\": 100}}]}}'"
        ),
        format!(
            "  curl '{url}/api/v1/records/airlines' -H 'Content-Type: application/json' \
             -d '{{\"carrier\": \"ST\", \"name\": \"Staffa Air\"}}'"
        ),
        format!("  curl -s '{url}/api/v1/records/flights/stream' | head -n 3"),
        String::new(),
        format!("The API is described at {url}/docs. Ctrl-C ends the server."),
    ]);
    Ok(lines.join("\n"))
}

async fn first_flight(queries: &Queries) -> anyhow::Result<RecordId> {
    let request = StreamRecords {
        schema: queries.schema("flights")?,
        filter: None,
        sort: Vec::new(),
        select: None,
        limit: Some(1),
    };
    let mut view = queries
        .stream_records(&Context::new("demo"), request)
        .await?;
    let batch = view
        .batches
        .next()
        .await
        .context("there are no flights")??;
    ensure!(batch.num_rows() > 0, "there are no flights");
    record_id(&batch, 0).context("a flight has no id")
}

/// The packed data, chunk by chunk.
struct Packed {
    rest: Bytes,
    progress: Arc<Progress>,
}

impl Stream for Packed {
    type Item = Result<Bytes, staffa_app::BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.rest.len().min(CHUNK_BYTES);
        self.progress.add(size);
        Poll::Ready(Some(Ok(self.rest.split_to(size))))
    }
}

#[cfg(test)]
mod tests {
    use super::{EXAMPLES, schemas};

    #[test]
    fn every_example_has_a_valid_schema_of_its_name() {
        let schemas = schemas().unwrap();
        assert_eq!(schemas.len(), EXAMPLES.len());
        for (schema, example) in schemas.iter().zip(&EXAMPLES) {
            assert_eq!(schema.name.as_str(), example.name);
        }
    }
}
