//! What a query may take of the engine's memory and disk: more is refused, and costs nobody else.

use serde_json::{Value as Json, json};

use crate::program::{Running, TestApp, get, post};

const NOTES: &str =
    "name: notes\nproperties:\n  - {name: number, type: integer}\n  - {name: text, type: string}\n";
const ROWS: u64 = 400_000;
/// The engine's own budget is the least that there is, and nearly nothing may spill.
const LITTLE: [&str; 4] = [
    "--duckdb-memory-limit",
    "64MiB",
    "--duckdb-temp-bytes-max",
    "1MiB",
];

/// Records whose texts are all different.
fn notes() -> Vec<u8> {
    let line = |number: u64| {
        let text = format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        format!("{{\"number\":{number},\"text\":\"{}\"}}\n", text.repeat(12))
    };
    (0..ROWS).map(line).collect::<String>().into_bytes()
}

fn aggregate(server: &Running, question: &Json) -> (u16, Json) {
    let path = "/api/v1/records/notes/aggregate";
    let body = question.to_string();
    let (status, text) =
        post(&server.main, path, "application/json", body.as_bytes()).expect("an answer");
    (status, serde_json::from_str(&text).unwrap())
}

#[test]
fn a_query_that_needs_more_memory_than_there_is() {
    let app = TestApp::new().with_schema("notes.yaml", NOTES);
    let server = app.start(&[&["serve"][..], &LITTLE].concat());
    let bulk = "/api/v1/records/notes/bulk";
    let (status, said) =
        post(&server.main, bulk, "application/x-ndjson", &notes()).expect("an answer");
    assert_eq!(status, 201, "{said}");

    // A group for each record, and in each two collections.
    let large = json!({
        "group_by": ["text"],
        "metrics": [
            {"op": "median", "field": "number", "as": "middle"},
            {"op": "count_distinct", "field": "text", "as": "texts"},
        ],
        "sort": "-middle,text",
        "limit": 10,
    });
    for _ in 0..3 {
        let (status, problem) = aggregate(&server, &large);
        assert_eq!(
            (status, &problem["code"]),
            (503, &json!("overloaded")),
            "{problem}"
        );
        // Neither the engine nor what it holds is the worse for it.
        assert_eq!(get(&server.main, "/health/ready").0, 200);
        let (status, sum) = aggregate(
            &server,
            &json!({"metrics": [{"op": "sum", "field": "number", "as": "sum"}]}),
        );
        assert_eq!(status, 200, "{sum}");
        assert_eq!(
            sum["data"]["items"][0]["sum"],
            json!(ROWS * (ROWS - 1) / 2),
            "{sum}"
        );
        let (status, said) = post(
            &server.main,
            "/api/v1/records/notes",
            "application/json",
            br#"{"number": 0, "text": "one more"}"#,
        )
        .expect("an answer");
        assert_eq!(status, 201, "{said}");
    }
    assert_eq!(server.count("notes"), ROWS + 3);
    let (status, text) = server.terminate();
    assert!(status.success(), "{text}");
    assert!(!text.contains("opened again"), "{text}");
}
