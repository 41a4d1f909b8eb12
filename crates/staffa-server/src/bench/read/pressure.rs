//! What a server keeps of its manners under pressure: reads beside heavy work, more requests
//! than it can answer, a client that hardly reads, and clients that leave.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::get::Gets;
use super::loaded::SCHEMA;
use super::questions::{aggregate, filtered_count};
use crate::bench::bed::{Bed, Watch, check_any};
use crate::bench::client::{download, get};
use crate::bench::data::OTHER;
use crate::bench::figure::{float, milliseconds};
use crate::bench::load::{Pace, Requests};
use crate::bench::process;
use crate::bench::report::Outcome;
use crate::bench::server::Server;
use crate::bench::write;

/// How many connections ask while others work.
const CONNECTIONS: usize = 16;
/// How many connections carry ten times what can be answered: more than may wait in any queue.
const CROWD: usize = 2_048;
/// How many clients leave in the middle of a stream, and how many at a time.
const LEAVERS: usize = 500;
const LEAVERS_AT_A_TIME: usize = 8;
/// How long a server may take to be as before.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a slow client takes at a time, ten times a second.
const SIP_BYTES: usize = 10_000;
const SIP_EVERY: Duration = Duration::from_millis(100);

/// Single records by id, any of all, while two streams, one aggregate after another and one
/// bulk after another run.
pub(super) fn beside(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let loaded = bed.loaded()?;
    let file = bed.ndjson(loaded.rows.min(1_000_000))?;
    let (server, over) = (&loaded.server, AtomicBool::new(false));
    let until_over = |work: &dyn Fn(u64) -> anyhow::Result<()>| {
        let mut turn = 0;
        while !over.load(Ordering::Relaxed) {
            turn += 1;
            work(turn)?;
        }
        anyhow::Ok(turn)
    };
    let stream = || until_over(&|_| ask(server, &streaming("ndjson")));
    let figures = || until_over(&|turn| ask(server, &aggregate("days_on_production", turn)));
    let bulk =
        || until_over(&|_| write::ingest(server, OTHER, "application/x-ndjson", &file).map(|_| ()));
    let (measured, others) = std::thread::scope(|scope| {
        let others = [
            scope.spawn(stream),
            scope.spawn(stream),
            scope.spawn(figures),
            scope.spawn(bulk),
        ];
        let mut gets = Gets::of(&loaded.ids);
        let measured = bed.load(server, CONNECTIONS, &mut gets);
        over.store(true, Ordering::Relaxed);
        (measured, others.map(std::thread::ScopedJoinHandle::join))
    });
    for other in others {
        let turns = other.map_err(|_| anyhow::anyhow!("a thread of the load panicked"))??;
        ensure!(turns > 0, "nothing ran beside the reads");
    }
    let (tally, usage) = measured?;
    check_any("beside", &tally)?;
    let outcome = Outcome::of_load("beside/get any", &tally, 1.0, "records/s");
    bed.keep(outcome.costing(usage).p99_at_most(30.0));
    Ok(())
}

/// Ten times as many questions as can be answered, and whether the server is itself again
/// afterwards.
pub(super) fn overload(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let loaded = bed.loaded()?;
    let server = &loaded.server;
    let mut questions = Counting(0);
    let (alone, _) = bed.turns(server, 20, &mut questions)?;
    check_any("overload", &alone)?;
    let calm = alone.latency().map_or(0.0, |latency| latency.p50);
    let (peak, usage) = bed.load(server, CONNECTIONS, &mut questions)?;
    let outcome = Outcome::of_load("overload/peak", &peak, 1.0, "counts/s").costing(usage);
    let rate = outcome.value;
    bed.keep(outcome);
    let pace = Pace::Open(rate * 10.0);
    let (tally, usage) = bed.paced(server, CROWD, pace, &mut questions)?;
    let ended = Instant::now();
    let outcome = Outcome::of_load("overload/ten times that", &tally, 1.0, "counts/s");
    bed.keep(
        outcome
            .costing(usage)
            .against("peak", Some(rate))
            .at_least_times(0.8),
    );
    if let Some(refused) = tally.refusals() {
        let mut outcome = Outcome::new("overload/refusals", refused.p99, "ms p99").at_most(50.0);
        outcome.latency_ms = Some(refused);
        bed.keep(outcome);
    }
    let again = loop {
        let (turn, _) = bed.turns(server, 5, &mut questions)?;
        let middle = turn.latency().map_or(f64::INFINITY, |latency| latency.p50);
        let calmed = turn.failed() == 0 && middle <= calm * 2.0;
        if calmed || ended.elapsed() > PATIENCE {
            break ended.elapsed();
        }
    };
    let again = milliseconds(again);
    bed.keep(Outcome::new("overload/normal again after", again, "ms").at_most(5_000.0));
    Ok(())
}

/// A stream to a client that takes 100 KB a second.
pub(super) fn slow(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let loaded = bed.loaded()?;
    for format in ["ndjson", "csv", "arrow", "parquet"] {
        let watch = Watch::start(&loaded.server);
        let mut stream = begin(loaded.server.address(), format)?;
        let started = Instant::now();
        let mut sip = vec![0; SIP_BYTES];
        let mut taken = 0;
        while started.elapsed() < bed.args().time() {
            match stream.read(&mut sip)? {
                0 => break,
                length => taken += length,
            }
            std::thread::sleep(SIP_EVERY);
        }
        let rate = crate::bench::figure::per_second(float(taken as u64), started.elapsed());
        let outcome = Outcome::new(format!("slow/{format}"), rate, "bytes/s");
        bed.keep(outcome.costing(watch.finish()).memory_at_most(64.0));
    }
    Ok(())
}

/// Clients that leave in the middle of a stream of all records.
pub(super) fn leavers(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let loaded = bed.loaded()?;
    let server = &loaded.server;
    let Some(process) = server.process().filter(|_| !bed.args().is_on_postgres()) else {
        bed.say("  leavers: only the embedded engine of a server of ours tells its open streams");
        return Ok(());
    };
    let before = Inside::of(&process)?;
    let mut left = 0;
    while left < LEAVERS {
        let streams: Result<Vec<_>, _> = (0..LEAVERS_AT_A_TIME)
            .map(|_| begin(server.address(), "ndjson"))
            .collect();
        left += streams?.len();
    }
    let ended = Instant::now();
    while server.gauge("staffa_engine_streams_open")? > 0.0 && ended.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    let gone = milliseconds(ended.elapsed());
    bed.keep(Outcome::new("leavers/queries gone after", gone, "ms").at_most(1_000.0));
    // The threads of the last streams end, and the allocator gives back what they had.
    std::thread::sleep(Duration::from_secs(5));
    let after = Inside::of(&process)?;
    let kept = (float(after.memory) - float(before.memory)) / 1e6;
    bed.keep(Outcome::new("leavers/memory kept", kept, "MB").at_most(16.0));
    let threads = float(after.threads) - float(before.threads);
    bed.keep(Outcome::new("leavers/threads kept", threads, "threads").at_most(0.0));
    Ok(())
}

/// What a process has.
struct Inside {
    memory: u64,
    threads: u64,
}

impl Inside {
    fn of(process: &str) -> anyhow::Result<Self> {
        let memory = process::memory(process).context("the server has gone")?;
        let threads = process::threads(process).context("the server has gone")?;
        Ok(Self { memory, threads })
    }
}

/// A stream whose answer has begun.
fn begin(address: SocketAddr, format: &str) -> anyhow::Result<TcpStream> {
    let started = Instant::now();
    loop {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&streaming(format))?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        if head.ends_with(b" 200") {
            return Ok(stream);
        }
        let said = String::from_utf8_lossy(&head).into_owned();
        // Those that left a moment ago may still have the places.
        ensure!(
            head.ends_with(b" 503") && started.elapsed() < PATIENCE,
            "no stream began: {said}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn streaming(format: &str) -> bytes::Bytes {
    get(
        &format!("/api/v1/records/{SCHEMA}/stream?format={format}"),
        "",
    )
}

fn ask(server: &Server, request: &[u8]) -> anyhow::Result<()> {
    let (address, mut said) = (server.address(), Vec::new());
    let transfer = download(address, request, &mut |piece| {
        if said.is_empty() {
            said.extend_from_slice(&piece[..piece.len().min(400)]);
        }
    })?;
    crate::bench::bed::check_done("beside the reads", transfer.answer.status, &said)
}

/// Counts with a condition, another one each time.
struct Counting(u64);

impl Requests for Counting {
    fn next(&mut self, _number: u64) -> bytes::Bytes {
        self.0 += 1;
        filtered_count(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Counting, Inside, Requests as _};
    use crate::bench::process;

    #[test]
    fn no_two_questions_are_alike() {
        let mut questions = Counting(0);
        assert_ne!(questions.next(0), questions.next(1));
    }

    #[test]
    fn a_process_has_memory_and_threads() {
        let inside = Inside::of(process::SELF).unwrap();
        assert!(inside.memory > 0 && inside.threads > 0);
        assert!(Inside::of("nobody").is_err());
    }
}
