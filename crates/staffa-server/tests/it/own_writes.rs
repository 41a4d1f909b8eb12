//! Whoever asks after an acknowledged write sees it, however many ask the same at that moment
//! and whatever the server keeps of earlier answers.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::program::{Running, TestApp};
use crate::wire::{Reply, ask};

const COUNTERS: &str = "
name: counters
primary_key: [label]
properties:
  - {name: label, type: string, required: true}
  - {name: count, type: integer, required: true}
";
const WRITERS: usize = 4;
const READERS: usize = 4;
const ROUNDS: i64 = 40;

fn get(server: &Running, path: &str) -> Reply {
    ask(&server.main, ("GET", path), None, "").unwrap()
}

/// The version of a record, as a reader is told.
fn version(server: &Running, id: &str) -> i64 {
    let read = get(server, &format!("/api/v1/records/counters/{id}"));
    assert_eq!(read.status, 200, "{read:?}");
    let record = read.json();
    let version = record["version"].as_i64().unwrap();
    let tag = format!("\"{version}\"");
    assert_eq!(
        read.etag.as_deref(),
        Some(tag.as_str()),
        "tag and body agree"
    );
    version
}

fn create(server: &Running, label: &str) -> String {
    let body = format!(r#"{{"label": "{label}", "count": 0}}"#);
    let path = ("POST", "/api/v1/records/counters");
    let created = ask(&server.main, path, None, &body).unwrap();
    assert_eq!(created.status, 201, "{created:?}");
    created.json()["id"].as_str().unwrap().to_owned()
}

/// Changes one record by turns in every way there is, and looks at once, by id and by question.
fn write_and_look(server: &Running, id: &str, label: &str) {
    let path = format!("/api/v1/records/counters/{id}");
    for round in 1..=ROUNDS {
        let body = format!(r#"{{"label": "{label}", "count": {round}}}"#);
        let (call, status) = match round % 3 {
            0 => (("PATCH", path.as_str()), 200),
            1 => (("PUT", path.as_str()), 200),
            _ => (
                (
                    "POST",
                    "/api/v1/records/counters/bulk?mode=upsert&on_conflict=label",
                ),
                201,
            ),
        };
        let body = if status == 201 {
            format!("[{body}]")
        } else {
            body
        };
        let changed = ask(&server.main, call, None, &body).unwrap();
        assert_eq!(changed.status, status, "{changed:?}");
        assert_eq!(version(server, id), round + 1, "{call:?}");
        let matching = format!("/api/v1/records/counters?filter[count]={round}&size=100");
        let page = get(server, &matching).json();
        let items = page["data"]["items"].as_array().unwrap();
        let own = items.iter().find(|item| item["id"] == id);
        assert_eq!(own.map(|item| &item["version"]), Some(&(round + 1).into()));
    }
    let gone = ask(&server.main, ("DELETE", &path), None, "").unwrap();
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(get(server, &path).status, 404, "it is gone");
}

#[test]
fn nobody_reads_behind_an_acknowledged_write() {
    let app = TestApp::new().with_schema("counters.yaml", COUNTERS);
    let server = app.start(&["serve"]);
    let labels: Vec<String> = (0..WRITERS).map(|writer| format!("w{writer}")).collect();
    let ids: Vec<String> = labels.iter().map(|label| create(&server, label)).collect();
    let beside = create(&server, "beside");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (server, ids, is_over, beside) = (&server, &ids, &is_over, &beside);
        let readers = (0..READERS).map(|reader| {
            scope.spawn(move || {
                // What a reader saw never goes back, and a record that nobody writes to stands.
                let id = &ids[reader % WRITERS];
                let path = format!("/api/v1/records/counters/{id}");
                let mut last = 1;
                while !is_over.load(Ordering::Acquire) {
                    let read = get(server, &path);
                    if read.status == 404 {
                        break;
                    }
                    let now = read.json()["version"].as_i64().unwrap();
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                    assert_eq!(version(server, beside), 1);
                }
            })
        });
        let readers: Vec<_> = readers.collect();
        let writers = ids
            .iter()
            .zip(&labels)
            .map(|(id, label)| scope.spawn(move || write_and_look(server, id, label)));
        let writers: Vec<_> = writers.collect();
        for writer in writers {
            writer.join().unwrap();
        }
        is_over.store(true, Ordering::Release);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(server.count("counters"), 1);
    assert!(server.terminate().0.success());
}
