//! The scenario of `staffa bench change`: what a change of a schema with many records takes, and
//! what those notice of it who write and read meanwhile.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use super::Scenario;
use super::bed::{Bed, check_any, check_done};
use super::client::{fetch, get, with_body};
use super::data::{self, Declared, PLAIN};
use super::figure::{float, milliseconds};
use super::load::{self, Load, Pace, Pool, Until, WhileRunning};
use super::report::Outcome;
use super::server::Server;
use super::tally::Tally;
use super::write;

/// How many single creates arrive in a second. They arrive whether the server answers or not, so
/// that one that is held up holds up those behind it, as it does for many clients.
const SINGLES_PER_SECOND: f64 = 200.0;
const CONNECTIONS: usize = 16;
/// How long writers and readers are at it before a change begins, and after its end.
const AROUND: Duration = Duration::from_secs(2);
/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Every scenario: one, since each change starts from the one before.
pub(crate) const SCENARIOS: [Scenario; 1] = [Scenario {
    name: "change",
    about: "changes of a schema that has records, while it is written and read",
    run,
}];

/// What is asked of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// To be over before anybody notices.
    Instant,
    /// To leave others in peace.
    Index,
    /// To be over soon, and not to fill the disk.
    Rewrite,
}

/// One change, as what it replaces in the document of the schema.
struct Change {
    name: &'static str,
    class: Class,
    old: &'static str,
    new: &'static str,
}

const fn change(name: &'static str, class: Class, old: &'static str, new: &'static str) -> Change {
    Change {
        name,
        class,
        old,
        new,
    }
}

/// What a document has before any change: a constraint to be dropped.
const FIRST: Change = change(
    "constrained",
    Class::Instant,
    "{name: days_on_production, type: integer}",
    "{name: days_on_production, type: integer, maximum: 31}",
);

const CHANGES: [Change; 7] = [
    change(
        "add property, integer",
        Class::Instant,
        "properties:\n",
        "properties:\n  - {name: revision, type: integer, default: 0}\n",
    ),
    change(
        "add property, string",
        Class::Instant,
        "properties:\n",
        "properties:\n  - {name: remark, type: string, default: none so far}\n",
    ),
    change(
        "rename",
        Class::Instant,
        "{name: data_source, type: string}",
        "{name: origin, type: string, renamed_from: data_source}",
    ),
    change("drop constraint", Class::Instant, ", maximum: 31}", "}"),
    change(
        "widen type",
        Class::Rewrite,
        "{name: days_on_production, type: integer}",
        "{name: days_on_production, type: decimal, precision: 21, scale: 2}",
    ),
    change(
        "add index, integer",
        Class::Index,
        "{name: well_code, type: integer, required: true}",
        "{name: well_code, type: integer, required: true, indexed: true}",
    ),
    change(
        "add index, string",
        Class::Index,
        "{name: well_name, type: string}",
        "{name: well_name, type: string, indexed: true}",
    ),
];

/// The document of the schema after these changes. It takes what it does not know, so that the
/// same singles go on after a rename.
fn document(changes: &[Change]) -> String {
    let declared = Declared {
        ignores_unknown: true,
        ..Declared::default()
    };
    let first = data::document(PLAIN, declared);
    let all = std::iter::once(&FIRST).chain(changes);
    all.fold(first, |text, change| {
        text.replacen(change.old, change.new, 1)
    })
}

fn run(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    let rows = bed.args().rows_or(1_000_000);
    let file = bed.ndjson(rows)?;
    let server = bed.server_with(&["--http-request-timeout", "30m"])?;
    put(&server, &document(&[]))?;
    bed.say("loading the server");
    write::ingest(&server, PLAIN, "application/x-ndjson", &file)?;
    for (at, change) in CHANGES.iter().enumerate() {
        // So that the server's own work after the one before is over.
        thread::sleep(Duration::from_secs(if bed.args().quick { 1 } else { 8 }));
        let seen = beside(bed, &server, &document(&CHANGES[..=at]))?;
        keep(bed, change, &seen)?;
    }
    Ok(())
}

/// What was seen of a change.
struct Seen {
    took: Duration,
    singles: Tally,
    reads: Tally,
    /// The disk before, at most, and after.
    disk: Option<[u64; 3]>,
}

/// Changes the schema while singles arrive and one reader reads a page after another.
fn beside(bed: &Bed<'_>, server: &Server, document: &str) -> anyhow::Result<Seen> {
    let folder = bed.disk(server);
    let look = || folder.as_deref().map_or(0, bytes_in);
    let (over, most, before) = (AtomicBool::new(false), AtomicU64::new(0), look());
    let until_over = |requests: Pool, connections, pace| {
        let load = Load {
            address: server.address(),
            connections,
            pace,
            until: Until::Sent(u64::MAX),
        };
        load::run(&load, &mut WhileRunning::new(requests, &over))
    };
    let (took, singles, reads) = thread::scope(|scope| {
        let pace = Pace::Open(bed.args().rate.unwrap_or(SINGLES_PER_SECOND));
        let singles = scope.spawn(move || until_over(write::requests(PLAIN), CONNECTIONS, pace));
        let page = get(&format!("/api/v1/records/{PLAIN}?size=10&count=none"), "");
        let reads = scope.spawn(move || until_over(Pool(vec![page]), 1, Pace::Closed));
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(look(), Ordering::Relaxed);
                thread::sleep(LOOK_EVERY);
            }
        });
        thread::sleep(AROUND);
        let took = put(server, document);
        thread::sleep(AROUND);
        over.store(true, Ordering::Relaxed);
        (took, singles.join(), reads.join())
    });
    let panicked = |_| anyhow!("a thread of the load panicked");
    Ok(Seen {
        took: took?,
        singles: singles.map_err(panicked)??,
        reads: reads.map_err(panicked)??,
        disk: folder
            .is_some()
            .then(|| [before, most.into_inner(), look()]),
    })
}

/// Keeps what was seen beside what is asked.
fn keep(bed: &mut Bed<'_>, change: &Change, seen: &Seen) -> anyhow::Result<()> {
    check_any("change", &seen.singles)?;
    let name = |what: &str| format!("change/{}{what}", change.name);
    let took = Outcome::new(name(""), milliseconds(seen.took), "ms");
    let singles = Outcome::of_load(name(", singles"), &seen.singles, 1.0, "records/s");
    let reads = Outcome::of_load(name(", pages"), &seen.reads, 1.0, "pages/s");
    match change.class {
        Class::Instant => {
            bed.keep(took.at_most(200.0));
            bed.keep(singles.slowest_at_most(200.0));
        }
        Class::Index => {
            let patience = if bed.args().is_on_postgres() {
                100.0
            } else {
                2_000.0
            };
            bed.keep(took);
            bed.keep(singles.p99_at_most(patience));
            bed.keep(reads);
        }
        Class::Rewrite => {
            bed.keep(took.at_most(20_000.0));
            bed.keep(singles);
            bed.keep(reads);
            if let Some([before, most, after]) = seen.disk {
                let times = |bytes: u64| float(bytes) / float(before.max(1));
                let most = Outcome::new(name(", disk at most"), times(most), "× before");
                bed.keep(most.at_most(2.2));
                bed.keep(Outcome::new(name(", disk after"), times(after), "× before"));
            }
        }
    }
    Ok(())
}

/// Brings the schema to a document; answers how long that took.
fn put(server: &Server, document: &str) -> anyhow::Result<Duration> {
    let path = format!("/api/v1/schemas/{PLAIN}");
    let request = with_body("PUT", &path, "application/yaml", document.as_bytes());
    let started = std::time::Instant::now();
    let (status, body) = fetch(server.address(), &request)?;
    let took = started.elapsed();
    check_done("the change", status, &body).context("the schema can't be changed")?;
    Ok(took)
}

/// How many bytes the files below a folder take. What goes while it is looked at counts nothing,
/// nor does PostgreSQL's log, which is kept to be used again.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() && entry.file_name() == "pg_wal" => 0,
        Ok(about) if about.is_dir() => bytes_in(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use staffa_codec::document::{DocumentForm, read_schema};
    use staffa_domain::Schema;
    use staffa_domain::change::plan;

    use super::{CHANGES, FIRST, bytes_in, document};

    fn schema(changes: usize) -> Schema {
        read_schema(&document(&CHANGES[..changes]), DocumentForm::Yaml).unwrap()
    }

    #[test]
    fn each_change_is_the_step_that_it_says() {
        let words = [
            "add_property",
            "add_property",
            "rename_property",
            "drop_constraint",
            "widen_type",
            "add_index",
            "add_index",
        ];
        assert!(document(&[]).contains(FIRST.new));
        for (at, word) in words.into_iter().enumerate() {
            let plan = plan(&schema(at), &schema(at + 1)).unwrap();
            let steps: Vec<_> = plan.steps().iter().map(staffa_domain::Step::word).collect();
            assert_eq!(steps, [word], "{}", CHANGES[at].name);
        }
    }

    #[test]
    fn the_disk_is_counted_in_all_folders_but_the_log() {
        let folder = tempfile::tempdir().unwrap();
        for (name, length) in [("a", 3), ("b/c", 5), ("pg_wal/d", 100)] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; length]).unwrap();
        }
        assert_eq!(bytes_in(folder.path()), 8);
        assert_eq!(bytes_in(&folder.path().join("none")), 0);
    }
}
