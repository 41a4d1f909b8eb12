//! The commands that take `--server`, with servers that do not answer and people that do not
//! wait.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::program::{Said, TestApp, run, staffa};

const NOTES: &str = "name: notes\nproperties:\n  - {name: text, type: string}\n";
const JOB: &str = "/api/v1/jobs/019a0000-0000-7000-8000-000000000001";

/// A server that the test plays itself.
struct Stage(TcpListener);

impl Stage {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }

    /// Reads the next request whole; answers its first line and where to answer it.
    fn next(&self) -> (String, BufReader<TcpStream>) {
        let mut stream = BufReader::new(self.0.accept().unwrap().0);
        let head = read_head(&mut stream);
        if head
            .to_ascii_lowercase()
            .contains("transfer-encoding: chunked")
        {
            let mut line = String::new();
            while line != "0\r\n" {
                line.clear();
                assert_ne!(
                    stream.read_line(&mut line).unwrap(),
                    0,
                    "the body broke off"
                );
            }
        }
        (head.lines().next().unwrap().to_owned(), stream)
    }
}

fn read_head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(stream.read_line(&mut head).unwrap(), 0, "{head}");
    }
    head
}

fn answer(stream: BufReader<TcpStream>, status: &str, state: &str) {
    let id = JOB.rsplit('/').next().unwrap();
    let body = format!(r#"{{"id":"{id}","state":"{state}","finished_at":null}}"#);
    let mut stream = stream.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
}

fn import(app: &TestApp, url: &str, file: &str) -> Child {
    let mut command = staffa(app.path());
    command.args([
        "import", "notes", file, "--format", "ndjson", "--server", url,
    ]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

fn app() -> TestApp {
    let app = TestApp::new().with_schema("notes.yaml", NOTES);
    std::fs::write(app.path().join("in.ndjson"), "{\"text\":\"a\"}\n").unwrap();
    app
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let (app, stage) = (app(), Stage::new());
    let url = stage.url();
    for command in [
        &["import", "notes", "in.ndjson"][..],
        &["export", "notes"],
        &["query", "notes"],
        &["schema", "list"],
    ] {
        // It is connected to, which the system does by itself, and never answered.
        let patience = ["--server", &url, "--server-timeout", "200ms"];
        let said = run(app.path(), &[command, &patience].concat());
        assert_eq!(said.code, Some(1), "{command:?}: {}", said.stderr);
        let told = format!("no answer from {url} for 0.2 seconds");
        assert!(said.stderr.contains(&told), "{command:?}: {}", said.stderr);
    }
    let wrong = [
        "export",
        "notes",
        "--server",
        &url,
        "--server-timeout",
        "soon",
    ];
    assert_eq!(run(app.path(), &wrong).code, Some(2));
}

#[test]
fn an_answer_that_stops_coming_is_given_up() {
    let (app, stage) = (app(), Stage::new());
    let url = stage.url();
    let server = std::thread::spawn(move || {
        let (_, mut stream) = stage.next();
        let half = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n";
        stream.get_mut().write_all(half.as_bytes()).unwrap();
        // Open until the client has gone.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let asked = [
        "export",
        "notes",
        "--server",
        &url,
        "--server-timeout",
        "200ms",
    ];
    let said = run(app.path(), &asked);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), "{}"));
    let told = "the server sent nothing for 0.2 seconds";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    server.join().unwrap();
}

#[test]
fn an_import_that_is_interrupted_cancels_its_job() {
    let (app, stage) = (app(), Stage::new());
    let child = import(&app, &stage.url(), "in.ndjson");
    let (line, stream) = stage.next();
    assert!(
        line.starts_with("POST /api/v1/records/notes/bulk?"),
        "{line}"
    );
    answer(stream, "202 Accepted", "queued");
    let (line, stream) = stage.next();
    assert_eq!(line, format!("GET {JOB} HTTP/1.1"));
    interrupt(&child);
    // Never answered, so that the signal is what ends the wait. It looks how the job stands, and ends it.
    let mut lines = Vec::new();
    loop {
        let (line, next) = stage.next();
        let is_end = line.starts_with("DELETE");
        answer(next, "200 OK", if is_end { "cancelled" } else { "running" });
        lines.push(line);
        if is_end {
            break;
        }
    }
    assert_eq!(lines.last().unwrap(), &format!("DELETE {JOB} HTTP/1.1"));
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let told = "in.ndjson: interrupted; its job is cancelled; nothing of it is stored";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    drop(stream);
}

#[test]
fn an_import_that_is_interrupted_while_it_is_sent_does_not_end_its_body() {
    let (app, stage) = (app(), Stage::new());
    let mut child = import(&app, &stage.url(), "-");
    let lines = "{\"text\":\"a\"}\n".repeat(1_000);
    // More than is looked at to tell the packing, so that the request is on its way.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
    let mut stream = BufReader::new(stage.0.accept().unwrap().0);
    let head = read_head(&mut stream);
    assert!(
        head.starts_with("POST /api/v1/records/notes/bulk?"),
        "{head}"
    );
    interrupt(&child);
    let mut body = Vec::new();
    // A reset ends it too.
    let _ = stream.read_to_end(&mut body);
    assert!(!body.ends_with(b"\r\n0\r\n\r\n"), "the body is complete");
    let said = Said::from(child.wait_with_output().unwrap());
    drop(stdin);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let told = "-: interrupted while it was sent; nothing of it is stored";
    assert!(said.stderr.contains(told), "{}", said.stderr);
}
