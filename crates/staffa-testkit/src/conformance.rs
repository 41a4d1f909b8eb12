//! The promises of the storage ports, each as a test that every engine runs.
//!
//! [`storage_conformance!`](crate::storage_conformance) turns each case into a test of its
//! own over a fresh engine. A case knows no engine's name and panics when a promise breaks.
#![expect(clippy::missing_panics_doc, reason = "a case fails by a panic")]

pub mod aggregates;
pub mod append_only;
pub mod catalog;
pub mod concurrency;
pub mod evolution;
pub mod execute;
pub mod filters;
pub mod histories;
pub mod isolation;
pub mod modes;
pub mod moments;
pub mod order;
pub mod questions;
pub mod random;
pub mod reads;
pub mod refusals;
pub mod sequences;
pub mod sessions;
pub mod streams;
pub mod values;

mod macros;
pub mod support;

use std::any::Any;

use staffa_domain::ports::Storage;

use crate::schemas;

/// A fresh engine for one case, and what must live as long as it, such as its folder.
#[derive(Debug)]
pub struct Fixture {
    storage: Storage,
    keep: Option<Box<dyn Any + Send>>,
    /// The cases that an engine which spreads records is spared; none, where it does not.
    spread: Option<&'static [&'static str]>,
}

impl Fixture {
    /// An engine that needs nothing else.
    pub const fn new(storage: Storage) -> Self {
        Self {
            storage,
            keep: None,
            spread: None,
        }
    }

    /// For an engine that spreads records over servers: the schemas are such as it can have,
    /// and the cases of these names, which need what it refuses, are left out.
    #[must_use]
    pub const fn spread(mut self, except: &'static [&'static str]) -> Self {
        self.spread = Some(except);
        self
    }

    /// Keeps something until the case has ended and the engine is closed.
    #[must_use]
    pub fn keep(mut self, guard: impl Any + Send) -> Self {
        self.keep = Some(Box::new(guard));
        self
    }
}

/// What an opener may answer: an engine, or nothing where the engine cannot run, as a
/// server that nobody named. The case is skipped then, and says so.
pub trait Opened {
    /// The engine, if there is one.
    fn into_fixture(self) -> Option<Fixture>;
}

impl Opened for Fixture {
    fn into_fixture(self) -> Option<Fixture> {
        Some(self)
    }
}

impl Opened for Storage {
    fn into_fixture(self) -> Option<Fixture> {
        Some(Fixture::new(self))
    }
}

impl<T: Opened> Opened for Option<T> {
    fn into_fixture(self) -> Option<Fixture> {
        self.and_then(T::into_fixture)
    }
}

/// Runs one case on a fresh engine and closes it. Called by the macro.
pub fn run<O: Opened>(open: impl AsyncFnOnce() -> O, case: impl AsyncFnOnce(Storage)) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.expect("a runtime for a test").block_on(async {
        let Some(fixture) = open().await.into_fixture() else {
            report_skipped("there is no engine to run on");
            return;
        };
        let Fixture {
            storage,
            keep,
            spread,
        } = fixture;
        let name = std::any::type_name_of_val(&case);
        let is_left_out = |case: &&str| name.rsplit("::").next() == Some(*case);
        if spread.is_some_and(|except| except.iter().any(is_left_out)) {
            report_skipped("an engine that spreads records refuses what it needs");
        } else {
            schemas::set_spread(spread.is_some());
            case(storage.clone()).await;
            schemas::set_spread(false);
        }
        storage.monitor.close().await;
        drop(keep);
    });
}

#[expect(clippy::print_stdout, reason = "a skipped test says so to who runs it")]
fn report_skipped(why: &str) {
    println!("skipped: {why}");
}
