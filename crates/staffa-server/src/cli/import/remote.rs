//! Through a running server, by a job: the file is sent, and then it is told how far it is.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use serde_json::Value as Json;
use staffa_app::OnError;
use staffa_codec::decode::{Compression, InputFormat};
use staffa_domain::ports::SpoolWriter;

use super::failure::Failure;
use super::{Request, Summary};
use crate::cli::source;
use crate::cli::transfer::records_path;
use crate::client::{Client, PREFER, problem_text, read_json};
use crate::output::{Output, grouped};
use crate::spool;

/// Between two looks at a job that is not waited for.
const PAUSE: Duration = Duration::from_millis(100);

/// Imports one file.
pub(super) async fn import(
    client: &Client,
    request: &Request,
    (file, output): (&str, Output),
) -> anyhow::Result<Summary> {
    let source = request.open(file, output).await?;
    let path = bulk_path(request, source.format)?;
    let mut headers = vec![
        (CONTENT_TYPE, source::content_type(source.format)),
        (PREFER, "respond-async"),
    ];
    match source.compression {
        Compression::None => {}
        Compression::Gzip => headers.push((CONTENT_ENCODING, "gzip")),
        Compression::Zstd => headers.push((CONTENT_ENCODING, "zstd")),
    }
    let answer = client.post(&path, &headers, source.body).await?;
    let (status, json) = read_json(answer).await.context("reading the answer")?;
    let id = json.get("id").and_then(Json::as_str);
    let (StatusCode::ACCEPTED, Some(id)) = (status, id) else {
        bail!(problem_text(status, &json));
    };
    let place = format!("/api/v1/jobs/{id}");
    let job = follow(client, &place, (file, output)).await?;
    let failures = failures(client, &place, request).await?;
    let text = |json: &Json, name: &str| json[name].as_str().unwrap_or_default().to_owned();
    if failures.is_empty() && job["problem"].is_object() {
        let (detail, code) = (
            text(&job["problem"], "detail"),
            text(&job["problem"], "code"),
        );
        bail!("{detail} ({code})");
    }
    let state = text(&job, "state");
    if !["succeeded", "partial", "failed"].contains(&state.as_str()) {
        bail!("the job was {state}; nothing is stored");
    }
    Ok(Summary {
        stored: job["inserted"].as_u64().unwrap_or(0),
        failed: job["failed"].as_u64().unwrap_or(0),
        failures,
    })
}

/// Shows how far a job is until it has ended.
async fn follow(
    client: &Client,
    place: &str,
    (file, output): (&str, Output),
) -> anyhow::Result<Json> {
    let mut shown = None;
    let mut done = 0;
    loop {
        let job = client.job(place).await?;
        if job["finished_at"].is_string() {
            return Ok(job);
        }
        let progress = shown.get_or_insert_with(|| output.progress(file, job["bytes"].as_u64()));
        let records = job["received"].as_u64().unwrap_or(0);
        progress.label(&format!("{file}, {} records", grouped(records)));
        let read = job["bytes_read"].as_u64().unwrap_or(0);
        progress.add(usize::try_from(read.saturating_sub(done)).unwrap_or(0));
        done = done.max(read);
        tokio::time::sleep(PAUSE).await;
    }
}

/// The lines of a job's error file, which is kept where it was asked for.
async fn failures(client: &Client, place: &str, request: &Request) -> anyhow::Result<Vec<Failure>> {
    let path = format!("{place}/errors");
    let answer = client.get(&path, "application/x-ndjson").await?;
    if !answer.status().is_success() {
        let (status, problem) = read_json(answer).await?;
        bail!(problem_text(status, &problem));
    }
    let mut file: Option<Box<dyn SpoolWriter>> = match &request.errors {
        Some(path) => Some(spool::create(path.clone()).await?),
        None => None,
    };
    let mut body = answer.into_body();
    let (mut failures, mut held) = (Vec::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.context("the server broke off")?;
        let Some(bytes) = frame.data_ref() else {
            continue;
        };
        if let Some(file) = &mut file {
            file.write(bytes).await?;
        }
        held.extend_from_slice(bytes);
        while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = held.drain(..=end).collect();
            failures.push(Failure::from(&serde_json::from_slice::<Json>(&line)?));
        }
    }
    if let Some(file) = file {
        file.finish().await?;
    }
    Ok(failures)
}

fn bulk_path(request: &Request, format: InputFormat) -> anyhow::Result<String> {
    let on_error = match request.on_error {
        OnError::Abort => "abort",
        OnError::Continue => "continue",
    };
    let records = records_path(&request.schema)?;
    let mut parameters = vec![
        "return=none".to_owned(),
        format!("on_error={on_error}"),
        format!("max_errors={}", request.errors_max),
    ];
    if format == InputFormat::Csv {
        if let Some(null) = &request.csv.null_value {
            parameters.push(format!("null_value={}", percent_encoded(null.as_bytes())));
        }
        if request.csv.delimiter != b',' {
            parameters.push(format!(
                "delimiter={}",
                percent_encoded(&[request.csv.delimiter])
            ));
        }
    }
    Ok(format!("{records}/bulk?{}", parameters.join("&")))
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "%{byte:02X}");
        text
    })
}
