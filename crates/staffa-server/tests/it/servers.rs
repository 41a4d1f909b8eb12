//! Several servers on one database: they start at once, lose no update of each other, and
//! serve what one of them made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use staffa_app::Catalog;
use staffa_codec::document::{DocumentForm, read_schema};
use staffa_domain::Schema;
use staffa_domain::ports::SchemaChange;

use crate::database::Database;
use crate::program::{Running, TestApp};
use crate::wire::{Reply, ask};

const COUNTERS: &str = "
name: counters
primary_key: [label]
properties:
  - {name: label, type: string, required: true}
  - {name: count, type: integer, required: true}
";
const NOTES: &str = "
name: notes
properties:
  - {name: text, type: string, required: true}
";
/// Made by a request, and then changed by one.
const LATER: &str = r#"{"name": "later", "properties": [
    {"name": "text", "type": "string", "required": true, "unique": true}]}"#;
const CHANGED: &str = r#"{"name": "later", "properties": [
    {"name": "text", "type": "string", "required": true, "unique": true},
    {"name": "rank", "type": "integer", "indexed": true}]}"#;

const CLIENTS: u64 = 10;
const ROUNDS: u64 = 12;
const LABELS: [&str; 3] = ["a", "b", "c"];

fn schema(document: &str) -> Schema {
    read_schema(document, DocumentForm::Yaml).unwrap()
}

#[test]
fn sixteen_servers_declare_the_same_schemas_at_once() {
    let Some(database) = Database::create() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let start = async |number: usize| {
            let options = staffa_postgres::Options::new(database.url());
            let storage = staffa_postgres::open(options).await.unwrap().storage;
            let catalog = Catalog::open(Arc::clone(&storage.catalog)).await.unwrap();
            let mut declared = vec![schema(COUNTERS), schema(NOTES), schema(LATER)];
            // In different orders, so that each finds some made and some not.
            declared.rotate_left(number % 3);
            catalog.declare(declared).await.unwrap();
            (catalog, storage)
        };
        let servers = join_all((0..16).map(start)).await;
        for (catalog, _) in &servers {
            let known = catalog.all();
            let found: Vec<_> = known.values().map(|it| (it.name(), it.version())).collect();
            assert_eq!(found, [("counters", 1), ("later", 1), ("notes", 1)]);
        }
        // What one drops, the others hear of.
        let (first, storage) = &servers[0];
        let from = first.get("notes").unwrap();
        storage
            .catalog
            .apply(SchemaChange::Drop { from })
            .await
            .unwrap();
        for (catalog, storage) in &servers[1..] {
            while catalog.get("notes").is_ok() {
                storage.catalog.changed().await;
                catalog.reload().await.unwrap();
            }
        }
        for (_, storage) in servers {
            storage.monitor.close().await;
        }
    });
}

/// Starts a server on the database, in a folder with these schemas. Each spells the address in
/// its own way, as after a change of it.
fn start(app: &TestApp, database: &Database, number: usize) -> Running {
    let mark = if database.url().contains('?') {
        '&'
    } else {
        '?'
    };
    let url = format!("{}{mark}connect_timeout={}", database.url(), 5 + number);
    app.start(&["serve", "--storage", &url])
}

/// Adds one to a counter, as often as it takes to be the one who saw the last version. Answers
/// how often that was refused.
fn increment(server: &Running, id: &str, by_patch: bool) -> u64 {
    let path = format!("/api/v1/records/counters/{id}");
    let mut refused = 0;
    loop {
        let read = ask(&server.main, ("GET", &path), None, "").unwrap();
        assert_eq!(read.status, 200, "{read:?}");
        let json = read.json();
        let next = json["data"]["count"].as_i64().unwrap() + 1;
        let (method, body) = if by_patch {
            ("PATCH", format!(r#"{{"count": {next}}}"#))
        } else {
            let label = &json["data"]["label"];
            ("PUT", format!(r#"{{"label": {label}, "count": {next}}}"#))
        };
        let etag = read.etag.as_deref();
        assert!(etag.is_some(), "{read:?}");
        let reply = ask(&server.main, (method, &path), etag, &body).unwrap();
        match reply.status {
            200 => return refused,
            412 => refused += 1,
            _ => panic!("{reply:?}"),
        }
    }
}

/// Creates a note, changes it with the version it has, tries the old version again, and
/// deletes it where `number` is odd.
fn keep_a_note(server: &Running, other: &Running, number: u64) {
    let created = ask(
        &server.main,
        ("POST", "/api/v1/records/notes"),
        None,
        &format!(r#"{{"text": "{number}"}}"#),
    );
    let created = created.unwrap();
    assert_eq!(created.status, 201, "{created:?}");
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/records/notes/{id}");
    let first = created.etag.as_deref();
    let change = |text: &str, etag: Option<&str>| -> Reply {
        let body = format!(r#"{{"text": "{text}"}}"#);
        ask(&other.main, ("PUT", &path), etag, &body).unwrap()
    };
    let changed = change("changed", first);
    assert_eq!(changed.status, 200, "{changed:?}");
    let stale = change("lost", first);
    assert_eq!(
        (stale.status, stale.code().as_str()),
        (412, "version_mismatch")
    );
    if number % 2 == 1 {
        let etag = changed.etag.as_deref();
        let deleted = ask(&server.main, ("DELETE", &path), etag, "").unwrap();
        assert_eq!(deleted.status, 204, "{deleted:?}");
    }
}

#[test]
fn three_servers_lose_no_update_of_each_other() {
    let Some(database) = Database::create() else {
        return;
    };
    let app = TestApp::new()
        .with_schema("counters.yaml", COUNTERS)
        .with_schema("notes.yaml", NOTES);
    // All three find an empty database.
    let servers: Vec<Running> = std::thread::scope(|scope| {
        let (app, database) = (&app, &database);
        let starts: Vec<_> = (0..3)
            .map(|number| scope.spawn(move || start(app, database, number)))
            .collect();
        starts.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let ids = LABELS.map(|label| {
        let body = format!(r#"{{"label": "{label}", "count": 0}}"#);
        let path = ("POST", "/api/v1/records/counters");
        let created = ask(&servers[0].main, path, None, &body).unwrap();
        assert_eq!(created.status, 201, "{created:?}");
        created.json()["id"].as_str().unwrap().to_owned()
    });
    let refused: u64 = std::thread::scope(|scope| {
        let (servers, ids) = (&servers, &ids);
        let client = |client: u64| {
            scope.spawn(move || {
                let server = &servers[usize::try_from(client % 3).unwrap()];
                let other = &servers[usize::try_from((client + 1) % 3).unwrap()];
                (0..ROUNDS)
                    .map(|round| {
                        keep_a_note(server, other, client * ROUNDS + round);
                        let place = usize::try_from((client + round) % 3).unwrap();
                        increment(server, &ids[place], round % 2 == 0)
                    })
                    .sum::<u64>()
            })
        };
        let clients: Vec<_> = (0..3 * CLIENTS).map(client).collect();
        clients.into_iter().map(|it| it.join().unwrap()).sum()
    });
    println!("{refused} increments had to be tried again");
    // Each client adds one in each round, to the counters in turn.
    let each = 3 * CLIENTS * ROUNDS / 3;
    for (server, id) in servers.iter().zip(&ids) {
        let path = format!("/api/v1/records/counters/{id}");
        let counter = ask(&server.main, ("GET", &path), None, "").unwrap().json();
        assert_eq!(counter["data"]["count"], each, "{counter}");
        assert_eq!(counter["version"], each + 1, "{counter}");
    }
    for server in &servers {
        assert_eq!(server.count("notes"), 3 * CLIENTS * ROUNDS / 2);
    }
    what_one_made_the_others_serve(&database, &servers);
    for server in servers {
        assert!(server.terminate().0.success());
    }
}

/// Waits until every server gives an answer that is asked for, and tells how long that took.
fn until_all(servers: &[Running], what: &str, is_so: impl Fn(&Running) -> bool) {
    let since = Instant::now();
    let mut known = BTreeMap::new();
    while known.len() < servers.len() {
        let waited = since.elapsed();
        assert!(waited < Duration::from_secs(30), "{what}: only {known:?}");
        for (number, server) in servers.iter().enumerate() {
            if !known.contains_key(&number) && is_so(server) {
                known.insert(number, since.elapsed());
            }
        }
    }
    println!("{what} after {known:?}");
}

fn put(server: &Running, document: &str) -> Reply {
    let path = ("PUT", "/api/v1/schemas/later");
    ask(&server.main, path, None, document).unwrap()
}

/// A schema that one server is given by a request, changed by another and dropped by a third, while
/// one more has just started.
fn what_one_made_the_others_serve(database: &Database, servers: &[Running]) {
    let count = "/api/v1/records/later/count";
    assert_eq!(servers[0].get(count).0, 404);
    let made = put(&servers[0], LATER);
    assert_eq!(made.status, 201, "{made:?}");
    until_all(servers, "a new schema is known", |server| {
        server.get(count).0 == 200
    });
    let fourth = start(&TestApp::new(), database, 3);
    // A record of one is read at another, and so is a page that goes on where one ended.
    let add = |server: &Running, body: &str| {
        let path = ("POST", "/api/v1/records/later");
        ask(&server.main, path, None, body).unwrap()
    };
    for (number, text) in ["x", "y", "z"].iter().enumerate() {
        let body = format!(r#"{{"text": "{text}"}}"#);
        assert_eq!(add(&servers[number], &body).status, 201);
        assert_eq!(add(&fourth, &body).code(), "unique_violation");
    }
    let mut found = Vec::new();
    let mut cursor = String::new();
    for server in servers {
        let path = format!("/api/v1/records/later?size=1&sort=text{cursor}");
        let page = ask(&server.main, ("GET", &path), None, "").unwrap();
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        found.push(page["data"]["items"][0]["data"]["text"].clone());
        if let Some(next) = page["data"]["next_cursor"].as_str() {
            cursor = format!("&cursor={next}");
        }
    }
    assert_eq!(found, ["x", "y", "z"]);
    // The next version: its property is served by all, and filled where the first had none.
    let changed = put(&servers[1], CHANGED);
    assert_eq!(changed.status, 200, "{changed:?}");
    // Whether the others have heard of it or not, they store by it.
    for server in [&servers[0], &servers[2]] {
        let text = format!(r#"{{"text": "at once at {}"}}"#, server.main);
        let added = add(server, &text);
        assert_eq!(added.status, 201, "{added:?}");
    }
    let of_version = |server: &Running| server.get("/api/v1/schemas/later").1;
    until_all(servers, "a new version is known", |server| {
        of_version(server).contains("\"rank\"")
    });
    for (number, server) in servers.iter().enumerate() {
        let added = add(
            server,
            &format!(r#"{{"text": "r{number}", "rank": {number}}}"#),
        );
        assert_eq!(added.status, 201, "{added:?}");
        let path = format!("/api/v1/records/later/count?filter[rank]={number}");
        let elsewhere = &servers[(number + 1) % servers.len()];
        assert!(elsewhere.get(&path).1.contains("\"count\":1"), "{path}");
    }
    assert_eq!(fourth.count("later"), 8);
    let path = ("DELETE", "/api/v1/schemas/later?confirm=later");
    let dropped = ask(&servers[2].main, path, None, "").unwrap();
    assert_eq!(dropped.status, 204, "{dropped:?}");
    until_all(servers, "a drop is known", |server| {
        server.get(count).0 == 404
    });
    assert!(fourth.terminate().0.success());
}
