//! The scenarios of `tests/scenarios` over the engine in memory, by which they are judged.

use http::HeaderMap;
use tokio::runtime::Runtime;

use staffa_codec::document::{DocumentForm, read_schema};
use staffa_testkit::scenario::{Answer, Request, Scenario, play};

use crate::app::App;

#[test]
fn the_engine_in_memory_answers_as_it_is_written() {
    let runtime = Runtime::new().unwrap();
    let failures: Vec<String> = Scenario::all()
        .iter()
        .filter_map(|scenario| {
            let read = |document: &serde_json::Value| {
                read_schema(&document.to_string(), DocumentForm::Json).unwrap()
            };
            let declared = scenario.schemas.iter().map(read).collect();
            let app = runtime.block_on(App::with_schemas(declared));
            play(scenario, |request| runtime.block_on(send(&app, request))).err()
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

async fn send(app: &App, request: Request) -> Answer {
    let headers: Vec<(&str, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let (method, target) = (&request.method, &request.target);
    let answer = app.call(method, target, &headers, request.body).await;
    Answer {
        status: answer.status.as_u16(),
        headers: pairs(&answer.headers),
        body: answer.body.unwrap().to_vec(),
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}
