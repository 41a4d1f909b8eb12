//! Pages of 50: every request another page, deep ones beside the first, and the same again.

use std::net::SocketAddr;

use anyhow::ensure;
use bytes::Bytes;

use super::loaded::{SCHEMA, TABLE, clustered};
use crate::bench::bed::{Bed, check_any};
use crate::bench::client::{fetch, get};
use crate::bench::figure::per_second;
use crate::bench::load::{Pool, Requests};
use crate::bench::raw::Raw;
use crate::bench::report::Outcome;
use crate::bench::tally::median;

const CURSOR: &[u8] = b"\"next_cursor\":\"";

/// Pages whose size differs are different questions, so none of them is answered from memory.
const SIZES: std::ops::RangeInclusive<u64> = 41..=60;

/// How many readers are on their way, each from page to page.
const WALKS: usize = 40;

pub(super) fn run(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let loaded = bed.loaded()?;
    let connections = bed.args().connections(&[1, 16, 64]);
    for (order, places, walks, goal) in [
        ("id", 500, 500, 350.0),
        ("oil_production_kbd", 120, WALKS, 60.0),
        ("field_code", 120, WALKS, 0.0),
        ("well_code", 120, WALKS, 0.0),
    ] {
        let raw = match &loaded.raw {
            Some(raw) => Some(raw_rate(raw, order)?),
            None => None,
        };
        let cursors = cursors(loaded.server.address(), order, places)?;
        for connections in &connections {
            let mut requests = Walk {
                order,
                cursors: cursors.iter().take(walks).cloned().collect(),
            };
            let (tally, usage) = bed.load(&loaded.server, *connections, &mut requests)?;
            check_any("pages", &tally)?;
            let clustered = match order {
                "id" => clustered(bed, "id > {id} ORDER BY id LIMIT 50", &loaded, *connections)?,
                _ => None,
            };
            let name = format!("pages/by {order}, another each {connections}");
            let mut outcome = Outcome::of_load(name, &tally, 1.0, "pages/s")
                .costing(usage)
                .against("raw engine, first page, one at a time", raw)
                .against(format!("pgbench -c {connections}"), clustered);
            if *connections == 16 && goal > 0.0 {
                outcome = outcome.at_least(goal);
            }
            bed.keep(outcome);
        }
        let mut jumps = Jump {
            order,
            cursors,
            asked: 0,
        };
        let (tally, usage) = bed.load(&loaded.server, 16, &mut jumps)?;
        check_any("pages", &tally)?;
        let name = format!("pages/by {order}, each elsewhere 16");
        bed.keep(Outcome::of_load(name, &tally, 1.0, "pages/s").costing(usage));
    }
    depths(bed, &loaded)?;
    let mut same = Pool(vec![page("id", "size=50&count=none")]);
    for connections in connections {
        let (tally, usage) = bed.load(&loaded.server, connections, &mut same)?;
        let name = format!("pages/same again {connections}");
        let outcome = Outcome::of_load(name, &tally, 1.0, "pages/s").costing(usage);
        bed.keep(if connections == 64 {
            outcome.at_least(25_000.0)
        } else {
            outcome
        });
    }
    Ok(())
}

/// The first page, one behind a deep cursor, and one behind an offset.
fn depths(bed: &mut Bed<'_>, loaded: &super::Loaded) -> anyhow::Result<()> {
    let address = loaded.server.address();
    let deep = cursors(address, "id", usize::MAX)?;
    let deep = deep.get(deep.len() * 4 / 5).cloned().unwrap_or_default();
    let offset = 1_000_000.min(loaded.rows / 2);
    let first = time(bed, loaded, |size| {
        page("id", &format!("size={size}&count=none&page=1"))
    })?;
    bed.keep(Outcome::new("pages/first", first, "ms"));
    let behind = time(bed, loaded, |size| {
        page("id", &format!("size={size}&cursor={deep}"))
    })?;
    let outcome = Outcome::new("pages/cursor at four fifths", behind, "ms");
    bed.keep(
        outcome
            .against("first page", Some(first))
            .at_most_times(1.3),
    );
    let skipped = time(bed, loaded, |size| {
        page(
            "id",
            &format!("size={size}&count=none&page={}", 1 + offset / size),
        )
    })?;
    let outcome = Outcome::new(format!("pages/offset {offset}"), skipped, "ms");
    bed.keep(
        outcome
            .against("first page", Some(first))
            .at_most_times(10.0),
    );
    Ok(())
}

/// The middle of the times of pages that differ in size alone, in milliseconds.
fn time(
    bed: &Bed<'_>,
    loaded: &super::Loaded,
    request: impl Fn(u64) -> Bytes,
) -> anyhow::Result<f64> {
    let mut pool = Pool(SIZES.map(request).collect());
    let (tally, _) = bed.turns(&loaded.server, pool.0.len() as u64, &mut pool)?;
    check_any("pages", &tally)?;
    Ok(tally.latency().map_or(0.0, |latency| latency.p50))
}

fn page(order: &str, rest: &str) -> Bytes {
    let sort = if order == "id" {
        String::new()
    } else {
        format!("sort={order}&")
    };
    get(&format!("/api/v1/records/{SCHEMA}?{sort}{rest}"), "")
}

/// Cursors at up to so many places, ten thousand records apart.
fn cursors(address: SocketAddr, order: &str, places: usize) -> anyhow::Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    while found.len() < places {
        let from = found
            .last()
            .map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let rest = format!("size=10000&count=none&fields=field_code{from}");
        let (status, body) = fetch(address, &page(order, &rest))?;
        ensure!(
            status == 200,
            "a page failed: {status} {}",
            String::from_utf8_lossy(&body)
        );
        match next_cursor(&body) {
            Some(cursor) => found.push(cursor),
            None => break,
        }
    }
    ensure!(
        !found.is_empty(),
        "there are too few records for a second page"
    );
    Ok(found)
}

fn next_cursor(body: &[u8]) -> Option<String> {
    let from = body
        .windows(CURSOR.len())
        .rposition(|window| window == CURSOR)?
        + CURSOR.len();
    let length = body[from..].iter().position(|byte| *byte == b'"')?;
    String::from_utf8(body[from..from + length].to_vec()).ok()
}

/// Pages at many places; every place moves on by a page when it was read.
struct Walk {
    order: &'static str,
    cursors: Vec<String>,
}

impl Walk {
    fn place(&self, number: u64) -> usize {
        // A step that is prime to most lengths, so that neighbours in time are far apart.
        let at = number.wrapping_mul(7_919) % self.cursors.len().max(1) as u64;
        usize::try_from(at).unwrap_or(0)
    }
}

impl Requests for Walk {
    fn next(&mut self, number: u64) -> Bytes {
        let cursor = &self.cursors[self.place(number)];
        page(self.order, &format!("size=50&cursor={cursor}"))
    }

    fn wants_bodies(&self) -> bool {
        true
    }

    fn answered(&mut self, number: u64, body: &[u8]) {
        let place = self.place(number);
        if let Some(cursor) = next_cursor(body) {
            self.cursors[place] = cursor;
        }
    }
}

/// Pages of which none follows another, at as many places as there are, and then at the same with
/// another size.
struct Jump {
    order: &'static str,
    cursors: Vec<String>,
    // Not the number of the request, which begins anew when it has warmed up.
    asked: u64,
}

impl Requests for Jump {
    fn next(&mut self, _number: u64) -> Bytes {
        let places = self.cursors.len().max(1) as u64;
        let place = usize::try_from(self.asked.wrapping_mul(7_919) % places).unwrap_or(0);
        let sizes = SIZES.end() - SIZES.start() + 1;
        let size = SIZES.start() + self.asked / places % sizes;
        self.asked += 1;
        let cursor = &self.cursors[place];
        page(self.order, &format!("size={size}&cursor={cursor}"))
    }
}

fn raw_rate(raw: &Raw, order: &str) -> anyhow::Result<f64> {
    let by = if order == "id" {
        "id".to_owned()
    } else {
        format!("{order}, id")
    };
    let statement = format!("SELECT * FROM {TABLE} ORDER BY {by} LIMIT 50");
    let mut times = raw.queries(&statement, 20, |_| Vec::new())?;
    Ok(per_second(1.0, median(&mut times)))
}

#[cfg(test)]
mod tests {
    use super::{Requests as _, Walk, next_cursor, page};

    #[test]
    fn a_place_moves_on_when_it_was_read() {
        let body = |cursor: &str| format!("{{\"data\":{{\"next_cursor\":{cursor}}}}}").into_bytes();
        assert_eq!(next_cursor(&body("\"abc\"")).as_deref(), Some("abc"));
        assert_eq!(next_cursor(&body("null")), None);
        let cursors = vec!["a".to_owned(), "b".to_owned()];
        let mut walk = Walk {
            order: "field_code",
            cursors,
        };
        walk.answered(1, &body("\"c\""));
        walk.answered(0, &body("null"));
        assert_eq!(walk.cursors, ["a", "c"]);
        assert_eq!(walk.next(1), page("field_code", "size=50&cursor=c"));
    }
}
