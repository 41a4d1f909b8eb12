//! Loads on a server that is three lines long.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use super::{Bytes, Duration, Load, Pace, Pool, Requests, Until, run};

/// Answers every request with `ok`, and every tenth of a connection by hanging up on it.
fn server(hangs_up: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 1024];
                for turn in 1.. {
                    if stream.read(&mut buffer).unwrap_or(0) == 0 || (hangs_up && turn == 10) {
                        return;
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

struct Watched {
    bodies: usize,
}

impl Requests for Watched {
    fn next(&mut self, number: u64) -> Bytes {
        crate::bench::client::get(&format!("/{number}"), "")
    }

    fn wants_bodies(&self) -> bool {
        true
    }

    fn answered(&mut self, _number: u64, body: &[u8]) {
        assert_eq!(body, b"ok");
        self.bodies += 1;
    }
}

#[test]
fn every_request_is_answered_once() {
    let until = Until::Sent(100);
    let load = Load {
        address: server(false),
        connections: 4,
        pace: Pace::Closed,
        until,
    };
    let mut requests = Watched { bodies: 0 };
    let tally = run(&load, &mut requests).unwrap();
    assert_eq!(
        (tally.done(), tally.failed(), requests.bodies),
        (100, 0, 100)
    );
}

#[test]
fn an_open_loop_sends_what_was_due() {
    let until = Until::Elapsed(Duration::from_millis(200));
    let load = Load {
        address: server(false),
        connections: 2,
        pace: Pace::Open(500.0),
        until,
    };
    let tally = run(&load, &mut Watched { bodies: 0 }).unwrap();
    assert_eq!((tally.done(), tally.failed()), (100, 0));
}

#[test]
fn a_broken_connection_is_counted_and_made_anew() {
    let until = Until::Sent(30);
    let load = Load {
        address: server(true),
        connections: 1,
        pace: Pace::Closed,
        until,
    };
    let mut pool = Pool(vec![crate::bench::client::get("/", "")]);
    let tally = run(&load, &mut pool).unwrap();
    assert_eq!((tally.done(), tally.failed()), (27, 3));
    assert_eq!(tally.statuses()["broken"], 3);
}
