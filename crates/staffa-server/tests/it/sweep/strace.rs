//! `strace` around the program: it watches the calls that write to the database's files, and
//! makes some of them fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Running, TestApp};

const PROGRAM: &str = "/usr/bin/strace";
/// The calls that write.
pub(super) const CALLS: [&str; 7] = [
    "pwrite64",
    "write",
    "fsync",
    "fdatasync",
    "ftruncate",
    "rename",
    "unlink",
];
/// What is written to: the database, its logs, the same while it is made, and the folder.
const FILES: [&str; 7] = [
    "staffa.duckdb",
    "staffa.duckdb.wal",
    "staffa.duckdb.wal.checkpoint",
    "staffa.duckdb.wal.recovery",
    "staffa.duckdb.new",
    "staffa.duckdb.new.wal",
    "",
];
const PATIENCE: Duration = Duration::from_secs(30);

fn log(app: &TestApp) -> PathBuf {
    app.path().join("calls")
}

fn strace(app: &TestApp, injection: Option<&str>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().current_dir(app.path());
    command.stdin(Stdio::null());
    command.args(["-f", "-qq", "-e", "signal=none", "-o"]);
    command.arg(log(app));
    command.args(["-e", &format!("trace={}", CALLS.join(","))]);
    let data = app.path().canonicalize().unwrap().join("data");
    for file in FILES {
        // Without the slash that a join with nothing leaves.
        let path: PathBuf = data.join(file).components().collect();
        command.arg("-P").arg(path);
    }
    if let Some(injection) = injection {
        command.args(["-e", injection]);
    }
    command
}

/// Starts the program under it. The program is our own child, not that of the tracer.
pub(super) fn launch(
    app: &TestApp,
    arguments: &[&str],
    injection: Option<&str>,
) -> Result<Running, String> {
    let mut command = strace(app, injection);
    command.args(["-D", "--", env!("CARGO_BIN_EXE_staffa")]);
    command.args(arguments);
    TestApp::launch(command)
}

/// How often each call was made: by all threads, and by the one that made it most often, since
/// the calls to fail at are counted by threads.
pub(super) fn calls_of(app: &TestApp) -> BTreeMap<String, (u64, u64)> {
    let text = fs::read_to_string(log(app)).unwrap();
    let mut counts: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for line in text.lines() {
        if let Some((thread, call)) = line.split_once(' ')
            && let Some((name, _)) = call.trim_start().split_once('(')
            && CALLS.contains(&name)
        {
            *counts.entry((name.to_owned(), thread)).or_default() += 1;
        }
    }
    let mut calls: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for ((name, _), count) in counts {
        let (all, most) = calls.entry(name).or_default();
        (*all, *most) = (*all + count, (*most).max(count));
    }
    calls
}

/// A tracer of a program that runs already.
#[derive(Debug)]
pub(super) struct Tracer {
    child: Child,
    log: PathBuf,
}

impl Tracer {
    /// Attaches to every thread of the program.
    pub(super) fn attach(app: &TestApp, pid: u32, injection: &str) -> Self {
        let mut command = strace(app, Some(injection));
        let child = command.args(["-p", &pid.to_string()]).spawn().unwrap();
        let since = Instant::now();
        while !is_traced(pid) {
            assert!(since.elapsed() < PATIENCE, "it is not traced");
            std::thread::sleep(Duration::from_millis(1));
        }
        let log = log(app);
        Self { child, log }
    }

    /// Waits until a call has failed.
    pub(super) fn wait(&self) {
        let since = Instant::now();
        while self.injected() == 0 {
            assert!(since.elapsed() < PATIENCE, "no call has failed");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Lets go of the program; answers how many calls failed.
    pub(super) fn detach(mut self) -> usize {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
        self.child.wait().unwrap();
        self.injected()
    }

    fn injected(&self) -> usize {
        let text = fs::read_to_string(&self.log).unwrap();
        text.lines()
            .filter(|line| line.contains("(INJECTED)"))
            .count()
    }
}

fn is_traced(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = |task: &Path| fs::read_to_string(task.join("status"));
    // A thread that has just ended is nobody's.
    tasks
        .filter_map(|task| status(&task.unwrap().path()).ok())
        .all(|status| !status.contains("TracerPid:\t0\n"))
}
