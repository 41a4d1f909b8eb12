//! Long work gives way to what answers at once: the priorities of the engine's threads.
#![cfg(target_os = "linux")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::Arc;

use futures_util::StreamExt;
use staffa_domain::{RecordQuery, WriteMode};
use staffa_duckdb::{Options, open};
use staffa_testkit::builders::batch;
use staffa_testkit::conformance::support::{create, create_with};
use staffa_testkit::row;
use staffa_testkit::schemas::{orders, readings};
use tempfile::TempDir;

/// The nice values of this process's threads by their names, without numbers.
fn nice_values() -> HashMap<String, BTreeSet<i32>> {
    let mut found: HashMap<String, BTreeSet<i32>> = HashMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        // A thread of another test may end meanwhile.
        let Ok(stat) = fs::read_to_string(task.unwrap().path().join("stat")) else {
            continue;
        };
        let (head, rest) = stat.rsplit_once(") ").unwrap();
        let (_, name) = head.split_once('(').unwrap();
        let name = name.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit());
        // proc_pid_stat(5): the nineteenth field, of which two come before these.
        let nice = rest.split(' ').nth(16).unwrap().parse().unwrap();
        found.entry(name.to_owned()).or_default().insert(nice);
    }
    found
}

#[tokio::test]
async fn long_work_gives_way() {
    let folder = TempDir::new().unwrap();
    let mut options = Options::new(folder.path());
    options.threads = 2;
    let storage = open(options).await.unwrap();
    let schema = orders();
    create_with(&storage, batch(&schema, 0, vec![row! { reference: "a" }])).await;
    create(&storage, &readings()).await;
    storage.reader.count(&schema, None, true).await.unwrap();
    let begun = storage.writer.begin(&schema, WriteMode::Insert.into());
    let mut session = begun.await.unwrap();
    let numbers = 1..60_000;
    let rows = numbers.map(|number: i64| row! { reference: number.to_string() });
    session
        .append(batch(&schema, 1, rows.collect()))
        .await
        .unwrap();
    session.settle().await.unwrap();
    session.commit(Vec::new()).await.unwrap();
    // More than waits for a reader, who takes only the first of it.
    let all = RecordQuery::all(Arc::clone(&schema));
    let mut stream = storage.reader.scan(all).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let begun = storage.writer.begin(&schema, WriteMode::Insert.into());
    let mut session = begun.await.unwrap();
    session.settle().await.unwrap();
    let nice = nice_values();
    // Those of other tests are among them, and some have only just begun.
    let prompt = *nice["staffa-lane"].first().unwrap();
    let has = |name: &str, steps: i32| {
        assert!(
            nice[name].contains(&(prompt + steps).min(19)),
            "{name}: {nice:?}"
        );
    };
    assert_eq!(nice["staffa-lane"].len(), 1, "{nice:?}");
    assert_eq!(nice["staffa-point"], nice["staffa-lane"]);
    has("staffa-read", 5);
    has("staffa-bulk", 5);
    has("staffa-stream", 10);
}
