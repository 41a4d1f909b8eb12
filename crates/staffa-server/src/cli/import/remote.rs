//! Through a running server, by a job: the file is sent, and then it is told how far it is.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value as Json;
use staffa_app::{OnError, Tally};
use staffa_codec::decode::{Compression, InputFormat};
use staffa_domain::ports::SpoolWriter;

use super::failure::Failure;
use super::{Interrupted, Request, Summary, word};
use crate::cli::source::{self, Source};
use crate::cli::transfer::{percent_encoded, records_path, refusal};
use crate::client::{Client, PREFER, Sent, problem_text, read_json};
use crate::output::{Output, grouped};
use crate::shutdown::Signals;
use crate::spool;

/// Between two looks at a job that is not waited for.
const PAUSE: Duration = Duration::from_millis(100);

/// Imports one file. A signal ends it, and cancels what it began.
pub(super) async fn import(
    (client, signals): (&Client, &mut Signals),
    request: &Request,
    (file, output): (&str, Output),
) -> anyhow::Result<Summary> {
    let source = request.open(file, output).await?;
    let sent = Sent::default();
    let mut starting = pin!(start(client, request, (source, &sent)));
    let place = tokio::select! {
        place = starting.as_mut() => place?,
        () = signals.next() => {
            if !sent.is_whole() {
                // The server takes no part of a body for the whole.
                let text = format!("{file}: interrupted while it was sent; nothing of it is stored");
                return Err(Interrupted(text).into());
            }
            output.note("interrupted; the job is cancelled once the server has answered");
            let place = tokio::select! {
                place = starting => place?,
                () = signals.next() => {
                    let text = format!("{file}: the server has it and may store it");
                    return Err(Interrupted(text).into());
                }
            };
            return Err(cancel((client, signals), &place, file).await.into());
        }
    };
    let job = tokio::select! {
        job = follow(client, &place, (file, output)) => job?,
        () = signals.next() => {
            return Err(cancel((client, signals), &place, file).await.into());
        }
    };
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
    let count = |name: &str| job[name].as_u64().unwrap_or(0);
    let tally = Tally {
        received: count("received"),
        inserted: count("inserted"),
        updated: count("updated"),
        ignored: count("ignored"),
        deleted: count("deleted"),
        failed: count("failed"),
        errors_truncated: job["errors_truncated"] == true,
    };
    Ok(Summary { tally, failures })
}

/// Sends a file; answers the place of the job that writes it.
async fn start(
    client: &Client,
    request: &Request,
    (source, sent): (Source, &Sent),
) -> anyhow::Result<String> {
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
    let answer = client.post(&path, &headers, (source.body, sent)).await?;
    let (status, json) = read_json(answer).await.context("reading the answer")?;
    let id = json.get("id").and_then(Json::as_str);
    let (StatusCode::ACCEPTED, Some(id)) = (status, id) else {
        return Err(refusal(status, &json));
    };
    Ok(format!("/api/v1/jobs/{id}"))
}

/// Cancels a job and says what came of that. A second signal does not wait for it.
async fn cancel(
    (client, signals): (&Client, &mut Signals),
    place: &str,
    file: &str,
) -> Interrupted {
    let told = tokio::select! {
        told = end_job(client, place) => told,
        () = signals.next() => Err(anyhow::Error::msg("nobody waited for that")),
    };
    let told = told.unwrap_or_else(|error| {
        format!("its job could not be cancelled and may go on, see {place}: {error:#}")
    });
    Interrupted(format!("{file}: interrupted; {told}"))
}

/// Cancels a job that has not ended, and says how it stands.
async fn end_job(client: &Client, place: &str) -> anyhow::Result<String> {
    let (status, mut job) = read_json(client.get(place, "application/json").await?).await?;
    if status.is_success() && !job["finished_at"].is_string() {
        let answer = client.delete(place).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok("its job came to its end first, and what it did stands".to_owned());
        }
        job = read_json(answer).await?.1;
    }
    match job["state"].as_str() {
        Some("cancelled") => Ok("its job is cancelled; nothing of it is stored".to_owned()),
        Some(state) => Ok(format!(
            "its job came to its end first: it {state}, see {place}"
        )),
        None => Err(anyhow::Error::msg(problem_text(status, &job))),
    }
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
    let mut answer = client.get(&path, "application/x-ndjson").await?;
    if !answer.status().is_success() {
        let (status, problem) = read_json(answer).await?;
        bail!(problem_text(status, &problem));
    }
    let mut file: Option<Box<dyn SpoolWriter>> = match &request.errors {
        Some(path) => Some(spool::create(path.clone()).await?),
        None => None,
    };
    let (mut failures, mut held) = (Vec::new(), Vec::new());
    while let Some(bytes) = answer.next().await? {
        if let Some(file) = &mut file {
            file.write(&bytes).await?;
        }
        held.extend_from_slice(&bytes);
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
        format!("mode={}", word(request.mode)),
        format!("on_error={on_error}"),
        format!("max_errors={}", request.errors_max),
    ];
    if let Some(names) = &request.on_conflict {
        let names = percent_encoded(&names.join(","));
        parameters.push(format!("on_conflict={names}"));
    }
    if format == InputFormat::Csv {
        if let Some(null) = &request.csv.null_value {
            parameters.push(format!("null_value={}", percent_encoded(null)));
        }
        if request.csv.delimiter != b',' {
            let delimiter = char::from(request.csv.delimiter).to_string();
            parameters.push(format!("delimiter={}", percent_encoded(&delimiter)));
        }
    }
    Ok(format!("{records}/bulk?{}", parameters.join("&")))
}
