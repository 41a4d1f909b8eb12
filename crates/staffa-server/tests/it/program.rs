//! Runs the program: a command to its end, or a server until the test is over.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value as Json;
use staffa_testkit::scenario::{Answer, Request};

/// The program in a folder of its own, with no environment but what a test gives.
pub(crate) fn staffa(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_staffa"));
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command to its end.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Said {
    staffa(folder).args(arguments).output().unwrap().into()
}

/// Builds a folder with schema documents and starts servers in it.
#[derive(Debug)]
pub(crate) struct TestApp {
    pub(crate) folder: tempfile::TempDir,
}

impl TestApp {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn with_schema(self, file: &str, document: &str) -> Self {
        let schemas = self.folder.path().join("schemas");
        std::fs::create_dir_all(&schemas).unwrap();
        std::fs::write(schemas.join(file), document).unwrap();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts `staffa serve` or `staffa demo` on free ports and waits until it is ready.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut command = staffa(self.path());
        command.args(arguments);
        let started = Self::launch(command);
        started.unwrap_or_else(|said| panic!("it ended early:\n{said}"))
    }

    /// Starts a server by a command of one's own; what it said, where it ended before it was
    /// ready.
    pub(crate) fn launch(mut command: Command) -> Result<Running, String> {
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.args(["--log-format", "json"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut before = String::new();
        let ready: Json = loop {
            let Some(line) = lines.next() else {
                child.wait().unwrap();
                return Err(before);
            };
            let line = line.unwrap();
            before.push_str(&line);
            before.push('\n');
            match serde_json::from_str::<Json>(&line) {
                Ok(json) if json["message"] == "ready" => break json,
                _ => {}
            }
        };
        let text = Arc::new(Mutex::new(before));
        let rest = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut text = rest.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        let address = |name: &str| ready[name].as_str().unwrap().to_owned();
        Ok(Running {
            main: address("address"),
            admin: address("admin"),
            child,
            text,
            reader: Some(reader),
        })
    }
}

/// A server that is up; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) main: String,
    pub(crate) admin: String,
    child: Child,
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.main)
    }

    /// Asks for a path of the API.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(&self.main, path)
    }

    pub(crate) fn count(&self, schema: &str) -> u64 {
        let (status, body) = self.get(&format!("/api/v1/records/{schema}/count"));
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Json>(&body).unwrap()["count"]
            .as_u64()
            .unwrap()
    }

    /// The number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM and waits for the end; gives the status and all that was said.
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let text = self.text.lock().unwrap().clone();
        (status, text)
    }
}

impl Running {
    /// Waits until the server has said some words; gives all that it said so far.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        loop {
            let text = self.text.lock().unwrap().clone();
            if text.contains(words) {
                return text;
            }
            assert!(
                !self.reader.as_ref().unwrap().is_finished(),
                "it ended early:\n{text}"
            );
            std::thread::yield_now();
        }
    }

    /// Sends SIGKILL and waits for the end: what a power cut is to the process.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where the server has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A GET with the plainest of clients.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let answer = send(address, &request("GET", path, &[], b"")).unwrap();
    (answer.status, answer.text())
}

/// A POST that answers nothing where the server went away before its answer.
pub(crate) fn post(address: &str, path: &str, kind: &str, body: &[u8]) -> Option<(u16, String)> {
    let answer = send(
        address,
        &request("POST", path, &[("content-type", kind)], body),
    )?;
    Some((answer.status, answer.text()))
}

/// A request, to be sent by [`send`].
pub(crate) fn request(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Request {
    let header = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: headers.iter().map(header).collect(),
        body: body.to_vec(),
    }
}

/// HTTP/1.0, so that the end of the connection is the end of the answer. Nothing where the
/// server went away before the end of its answer.
pub(crate) fn send(address: &str, request: &Request) -> Option<Answer> {
    let Request {
        method,
        target,
        headers,
        body,
    } = request;
    let mut head = format!("{method} {target} HTTP/1.0\r\nhost: {address}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || matches!(method.as_str(), "POST" | "PUT" | "PATCH") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).unwrap();
    let mut lines = head.lines();
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: Vec<_> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: Option<usize> = length.and_then(|(_, length)| length.parse().ok());
    let has_body = method != "HEAD" && status != 304;
    if has_body && length.is_some_and(|length| body.len() < length) {
        return None;
    }
    Some(Answer {
        status,
        headers,
        body,
    })
}
