//! Load on a server: so many connections that ask again as soon as they are answered (closed
//! loop), or requests that arrive at a fixed rate whatever the server does (open loop).
//!
//! In an open loop a request's time counts from when it should have been sent, so a server
//! that stalls is charged for every request that had to wait (no coordinated omission). The
//! generator's clock ticks once a millisecond, so up to one is its own.

mod schedule;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;

use super::client::Connection;
use super::tally::{BROKEN, Tally};
use schedule::Schedule;

/// The status of a server that has too much to do.
const REFUSED: u16 = 503;

/// How a load is paced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// Each connection asks again at once.
    Closed,
    /// So many requests a second arrive.
    Open(f64),
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After a time.
    Elapsed(Duration),
    /// After so many requests.
    Sent(u64),
}

/// A load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// The server.
    pub(crate) address: SocketAddr,
    /// Connections at a time.
    pub(crate) connections: usize,
    /// How it is paced.
    pub(crate) pace: Pace,
    /// When it ends.
    pub(crate) until: Until,
}

/// Where requests come from.
pub(crate) trait Requests {
    /// The bytes of the request of this number.
    fn next(&mut self, number: u64) -> Bytes;

    /// Whether no more is to be asked, before the load's own end.
    fn is_over(&self) -> bool {
        false
    }

    /// Whether [`Requests::answered`] wants the bodies.
    fn wants_bodies(&self) -> bool {
        false
    }

    /// Looks at the body of an answer.
    fn answered(&mut self, _number: u64, _body: &[u8]) {}
}

/// Requests made beforehand, over and over.
#[derive(Debug)]
pub(crate) struct Pool(pub(crate) Vec<Bytes>);

impl Requests for Pool {
    fn next(&mut self, number: u64) -> Bytes {
        let at = number % (self.0.len().max(1) as u64);
        usize::try_from(at)
            .ok()
            .and_then(|at| self.0.get(at))
            .cloned()
            .unwrap_or_default()
    }
}

/// Requests until something else is over.
#[derive(Debug)]
pub(crate) struct WhileRunning<'a> {
    requests: Pool,
    over: &'a AtomicBool,
}

impl<'a> WhileRunning<'a> {
    /// These requests, over and over, until that is set.
    pub(crate) const fn new(requests: Pool, over: &'a AtomicBool) -> Self {
        Self { requests, over }
    }
}

impl Requests for WhileRunning<'_> {
    fn next(&mut self, number: u64) -> Bytes {
        self.requests.next(number)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

struct Shared<'a> {
    schedule: RefCell<Schedule>,
    requests: RefCell<&'a mut dyn Requests>,
    tally: RefCell<Tally>,
    keeps: bool,
}

/// Runs a load on this thread and counts what came of it.
pub(crate) fn run(load: &Load, requests: &mut dyn Requests) -> io::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let started = Instant::now();
    let shared = Shared {
        schedule: RefCell::new(Schedule::new(load.pace, load.until, started)),
        keeps: requests.wants_bodies(),
        requests: RefCell::new(requests),
        tally: RefCell::new(Tally::new()),
    };
    runtime.block_on(join_all((0..load.connections).map(|_| work(load, &shared))));
    let mut tally = shared.tally.into_inner();
    for waited in shared.schedule.into_inner().unserved(Instant::now()) {
        tally.add(BROKEN, waited);
    }
    tally.finish(started.elapsed());
    Ok(tally)
}

async fn work(load: &Load, shared: &Shared<'_>) {
    let mut connection = Connection::new(load.address);
    let mut body = Vec::new();
    while !shared.requests.borrow().is_over() {
        let ticket = shared.schedule.borrow_mut().take(Instant::now());
        let Some(ticket) = ticket else { return };
        if ticket.due > Instant::now() {
            tokio::time::sleep_until(ticket.due.into()).await;
        }
        let request = shared.requests.borrow_mut().next(ticket.number);
        let began = Instant::now();
        body.clear();
        let answer = connection
            .exchange(&request, &mut |piece| {
                if shared.keeps {
                    body.extend_from_slice(piece);
                }
            })
            .await;
        let from = if matches!(load.pace, Pace::Closed) {
            began
        } else {
            ticket.due
        };
        let took = from.elapsed();
        match answer {
            Ok(answer) => {
                let mut tally = shared.tally.borrow_mut();
                tally.add(answer.status, took);
                if answer.status == REFUSED {
                    tally.add_refusal(began.elapsed());
                }
                tally.add_bytes(request.len() as u64, answer.body_bytes);
                drop(tally);
                if shared.keeps && answer.status < 400 {
                    shared.requests.borrow_mut().answered(ticket.number, &body);
                }
            }
            Err(_) => {
                shared.tally.borrow_mut().add(BROKEN, took);
                // A server that is gone must not be asked a million times a second.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
