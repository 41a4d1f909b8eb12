//! Faults at single system calls, made by `strace`: the process killed at one after the other of
//! those that write, and errors of the disk that last for a while.
//!
//! Each takes minutes, so `STAFFA_TEST_SWEEP_STEP` asks for them: with 10 the process is killed at
//! every tenth call, with 1 at each.

mod strace;

use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::kill::setting;
use crate::ledger::Ledger;
use crate::load::{Deed, Fate, Sent, app, next, send_again};
use crate::program::{Running, TestApp, get, post};
use crate::truth::check_indexes;
use crate::wire::ask;

use strace::{CALLS, Tracer, calls_of, launch};

/// The log is written to the file soon, so that checkpoints are among the calls.
const SERVE: [&str; 3] = ["serve", "--duckdb-checkpoint-wal-bytes", "1MiB"];
const SMALL: u64 = 1_000;
/// More than a row group: the engine writes it past its log.
const LARGE: u64 = 150_000;
const ITEMS: usize = 4;

/// How long a fault lasts that is not over after one call, and how long the server may take after
/// it.
const FAULT: Duration = Duration::from_secs(7);
const HEALED: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// A schema that is no file's: it is made, filled and changed by requests.
const EXTRA: [&str; 2] = [
    r#"{"name": "extra", "properties": [{"name": "a", "type": "integer"}]}"#,
    r#"{"name": "extra", "properties": [{"name": "a", "type": "integer", "indexed": true},
                                        {"name": "b", "type": "string"}]}"#,
];
const EXTRA_RECORDS: u64 = 20;

/// One client, one request after the other.
#[derive(Debug)]
struct Work {
    address: String,
    round: u64,
    written: Vec<Sent>,
    ids: Vec<String>,
    /// The records of its largest bulk.
    large: u64,
    /// What was acknowledged of the schema that is made by requests: versions and records.
    extra: (u64, u64),
}

/// The server is gone.
#[derive(Debug)]
struct Gone;

impl Work {
    fn new(server: &Running) -> Self {
        Self {
            address: server.main.clone(),
            round: 1,
            written: Vec::new(),
            ids: Vec::new(),
            large: LARGE,
            extra: (0, 0),
        }
    }

    fn send(&mut self, mut sent: Sent) -> Result<(), Gone> {
        let fate = sent.send(&self.address);
        let is_gone = sent.answer.is_none();
        if fate == Fate::Done && matches!(sent.deed, Deed::Add { .. }) {
            self.ids.push(sent.id());
        }
        self.written.push(sent);
        if is_gone { Err(Gone) } else { Ok(()) }
    }

    /// The fixed list of writes.
    fn write(&mut self) -> Result<(), Gone> {
        let round = self.round;
        for _ in 0..8 {
            self.send(Sent::enter(round, 1))?;
        }
        let owner = next();
        for _ in 0..ITEMS {
            self.send(Sent::add(round, owner))?;
        }
        for turn in 0..8 {
            let id = self.ids[turn % ITEMS].clone();
            self.send(Sent::change(round, &id, turn as u64))?;
        }
        for turn in 0..6 {
            let id = self.ids[0].clone();
            self.send(Sent::transact(round, &id, turn))?;
        }
        // The newest, if there is one to spare.
        if self.ids.len() > ITEMS
            && let Some(id) = self.ids.pop()
        {
            self.send(Sent::remove(round, &id))?;
        }
        for entries in [SMALL, SMALL, self.large, SMALL] {
            self.send(Sent::enter(round, entries))?;
        }
        for turn in 0..8 {
            let id = self.ids[turn % ITEMS].clone();
            self.send(Sent::change(round, &id, turn as u64 + 9))?;
            self.send(Sent::enter(round, 1))?;
        }
        Ok(())
    }

    /// Makes a schema, fills it and changes it.
    fn evolve(&mut self) -> Result<(), Gone> {
        for (version, document) in (1..).zip(EXTRA) {
            let path = ("PUT", "/api/v1/schemas/extra");
            let put = ask(&self.address, path, None, document).ok_or(Gone)?;
            assert!(matches!(put.status, 200 | 201), "{put:?}");
            self.extra.0 = version;
            if version == 1 {
                let lines: Vec<String> = (0..EXTRA_RECORDS)
                    .map(|a| format!(r#"{{"a":{a}}}"#))
                    .collect();
                let path = "/api/v1/records/extra/bulk";
                let kind = "application/x-ndjson";
                let stored = post(&self.address, path, kind, lines.join("\n").as_bytes());
                let (status, body) = stored.ok_or(Gone)?;
                assert_eq!(status, 201, "{body}");
                self.extra.1 = EXTRA_RECORDS;
            }
        }
        Ok(())
    }

    /// What the acknowledged part of it must have left, and what the rest of it may have.
    fn check_evolved(&self, server: &Running, place: &str) {
        let (version, records) = self.extra;
        let (status, body) = server.get("/api/v1/schemas/extra");
        if status == 404 && version == 0 {
            return;
        }
        assert_eq!(status, 200, "{place}: {body}");
        let schema: serde_json::Value = serde_json::from_str(&body).unwrap();
        let found = schema["version"].as_u64().unwrap();
        assert!((version..=version + 1).contains(&found), "{place}: {body}");
        let count = server.count("extra");
        assert!(
            count == records || count == EXTRA_RECORDS,
            "{place}: {count}"
        );
        for a in 0..EXTRA_RECORDS {
            let path = format!("/api/v1/records/extra/stream?filter[a]={a}");
            let lines = server.get(&path).1.lines().count() as u64;
            assert_eq!(lines, count / EXTRA_RECORDS, "{place}: extra with a = {a}");
        }
    }

    /// Resolves what is unknown and looks at everything.
    fn check(&mut self, server: &Running, place: &str) {
        send_again(&server.main, &mut self.written, place);
        let mut ledger = Ledger::default();
        ledger.note(&self.written);
        for round in 1..=self.round {
            ledger.check(server, round, place);
        }
        check_indexes(server, &ledger, place);
        self.check_evolved(server, place);
    }
}

/// Does everything on a server that may be killed at any call; answers what was sent, and whether
/// it was killed.
fn run(app: &TestApp, injection: Option<&str>) -> (Option<Work>, bool) {
    let server = match launch(app, &SERVE, injection) {
        Ok(server) => server,
        Err(said) if injection.is_none() => panic!("it ended early:\n{said}"),
        Err(_) => return (None, true),
    };
    let mut work = Work::new(&server);
    // Each may end early, since the server may.
    let _ = work
        .write()
        .and_then(|()| work.evolve())
        .and_then(|()| work.write());
    let status = server.terminate().0;
    (Some(work), status.signal() == Some(9))
}

#[test]
fn killed_at_a_call_that_writes_it_opens_and_has_lost_nothing() {
    let Some(step) = setting("STAFFA_TEST_SWEEP_STEP") else {
        println!("skipped: STAFFA_TEST_SWEEP_STEP is not set");
        return;
    };
    let app_counted = app();
    assert!(!run(&app_counted, None).1, "it is killed by nobody");
    let counted = calls_of(&app_counted);
    println!("calls that write, and those of the thread that has most: {counted:?}");
    let (mut points, mut killed, mut slowest) = (0, 0, Duration::ZERO);
    for call in CALLS {
        let Some((_, most)) = counted.get(call) else {
            continue;
        };
        for nth in (1..=*most).step_by(usize::try_from(step.max(1)).unwrap()) {
            let place = format!("killed at {call} {nth}");
            let app = app();
            let injection = format!("inject={call}:signal=KILL:when={nth}");
            let (work, was_killed) = run(&app, Some(&injection));
            let since = Instant::now();
            let server = app.start(&SERVE);
            slowest = slowest.max(since.elapsed());
            let sent = work.map_or(0, |mut work| {
                work.check(&server, &place);
                work.written.len()
            });
            assert!(server.terminate().0.success(), "{place}");
            println!("{place}: {was_killed}, after {sent} requests");
            points += 1;
            killed += u32::from(was_killed);
        }
    }
    println!(
        "{points} points, killed at {killed}, opened at all, 0 acknowledged lost; ready after \
         {slowest:?} at the most"
    );
}

/// Works until told otherwise. What the server cannot end while the fault lasts it may keep, so
/// one write may take as long as the fault.
fn keep_writing(mut work: Work, is_over: &AtomicBool) -> Work {
    while !is_over.load(Ordering::Relaxed) {
        work.write().expect("the process stays");
        // What comes at once would be refused as well.
        std::thread::sleep(PAUSE);
        work.large = SMALL;
    }
    work
}

/// Lets some calls fail for a while, works meanwhile, and looks at everything after it: at once,
/// and after the process was killed. Answers how long after its end something was still not well.
fn fault(error: &str, calls: &str, is_lasting: bool) -> Duration {
    let app = app();
    let server = app.start(&SERVE);
    let mut work = Work::new(&server);
    work.write().expect("a server without a fault");
    let before = work.written.len();
    let when = if is_lasting { "" } else { ":when=1" };
    let injection = format!("inject={calls}:error={error}{when}");
    let tracer = Tracer::attach(&app, server.pid(), &injection);
    work.round = 2;
    let is_over = AtomicBool::new(false);
    let mut looks: Vec<Sent> = Vec::new();
    let (mut work, injected, ready, healed) = std::thread::scope(|scope| {
        let worker = scope.spawn(|| keep_writing(work, &is_over));
        if is_lasting {
            std::thread::sleep(FAULT);
        }
        tracer.wait();
        let (ready, _) = get(&server.admin, "/health/ready");
        let injected = tracer.detach();
        // What the fault has left may show after the first write, in a checkpoint for instance.
        let since = Instant::now();
        let mut healed = Duration::ZERO;
        while since.elapsed() < HEALED {
            let mut sent = Sent::enter(2, 1);
            let is_well = sent.send(&server.main) == Fate::Done;
            if !is_well || get(&server.admin, "/health/ready").0 != 200 {
                healed = since.elapsed();
            }
            looks.push(sent);
            std::thread::sleep(PAUSE);
        }
        is_over.store(true, Ordering::Relaxed);
        (worker.join().unwrap(), injected, ready, healed)
    });
    let of = |wanted: Fate| {
        let fates = work.written[before..].iter().map(Sent::fate);
        fates.filter(|fate| *fate == wanted).count()
    };
    let place = format!("{error} at {calls}{when}");
    println!(
        "{place}: {injected} injected; {} done, {} refused, {} unknown; ready said {ready}; well \
         again after {healed:?}",
        of(Fate::Done),
        of(Fate::Refused),
        of(Fate::Unknown)
    );
    work.written.append(&mut looks);
    work.check(&server, &place);
    server.kill();
    let server = app.start(&SERVE);
    work.check(&server, &format!("{place}, then killed"));
    assert!(server.terminate().0.success(), "{place}");
    healed
}

#[test]
fn errors_of_the_disk_are_told_and_healed() {
    if setting("STAFFA_TEST_SWEEP_STEP").is_none() {
        println!("skipped: STAFFA_TEST_SWEEP_STEP is not set");
        return;
    }
    let mut slowest = Duration::ZERO;
    for error in ["EIO", "ENOSPC"] {
        for calls in [
            "write",
            "pwrite64",
            "fsync,fdatasync",
            "write,pwrite64,fsync,fdatasync",
        ] {
            for is_lasting in [false, true] {
                slowest = slowest.max(fault(error, calls, is_lasting));
            }
        }
    }
    println!("well again after {slowest:?} at the most");
    assert!(slowest < HEALED, "{slowest:?}");
}
