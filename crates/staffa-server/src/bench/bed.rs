//! What the scenarios share: the server they measure, files of rows, references, and the list
//! of what came of it.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use super::BenchArgs;
use super::data::{self, Row};
use super::figure::{float, readable};
use super::load::{self, Load, Pace, Requests, Until};
use super::postgres::Cluster;
use super::process;
use super::raw::Raw;
use super::read::Loaded;
use super::report::{Outcome, Usage};
use super::server::Server;
use super::tally::Tally;
use crate::output::Output;

/// Answers slower to come than this are no part of a warm-up.
const WARM_UP_MAX: Duration = Duration::from_secs(2);

/// One run of the benchmark.
#[derive(Debug)]
pub(crate) struct Bed<'a> {
    args: &'a BenchArgs,
    output: Output,
    // Goes before the cluster that its server may use, and both before the folder.
    loaded: Option<Rc<Loaded>>,
    cluster: OnceCell<Option<Cluster>>,
    databases: usize,
    outcomes: Vec<Outcome>,
    work: TempDir,
}

impl<'a> Bed<'a> {
    /// A run with nothing measured yet.
    pub(crate) fn new(args: &'a BenchArgs, output: Output) -> anyhow::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("staffa-bench-");
        let work = match &args.work_dir {
            Some(folder) => builder.tempdir_in(folder),
            None => builder.tempdir(),
        };
        let work = work.context("there is no folder to work in")?;
        let (cluster, outcomes) = (OnceCell::new(), Vec::new());
        Ok(Self {
            args,
            output,
            work,
            cluster,
            databases: 0,
            loaded: None,
            outcomes,
        })
    }

    /// What the user asked for.
    pub(crate) const fn args(&self) -> &'a BenchArgs {
        self.args
    }

    /// Says what is being done.
    pub(crate) fn say(&self, text: &str) {
        self.output.note(text);
    }

    /// Keeps a measurement and says it.
    pub(crate) fn keep(&mut self, mut outcome: Outcome) {
        if self.args.quick {
            // What is asked of millions of rows says nothing about a few.
            outcome.goals.clear();
        }
        let mut line = format!(
            "  {}: {} {}",
            outcome.name,
            readable(outcome.value),
            outcome.unit
        );
        for reference in &outcome.references {
            line.push_str(&format!(", {:.2} × {}", reference.ratio, reference.what));
        }
        if outcome.failed > 0 {
            line.push_str(&format!(", {} FAILED", outcome.failed));
        }
        self.output.note(&line);
        self.outcomes.push(outcome);
    }

    /// Everything that was kept.
    pub(crate) fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }

    /// A server: the one that was named, or a new one without records.
    pub(crate) fn server(&mut self) -> anyhow::Result<Server> {
        self.server_with(&[])
    }

    /// The same, a new one with these flags.
    pub(crate) fn server_with(&mut self, more: &[&str]) -> anyhow::Result<Server> {
        if let Some(url) = &self.args.url {
            return Server::at(url);
        }
        let mut flags: Vec<String> = more.iter().map(|flag| (*flag).to_owned()).collect();
        if let Some(storage) = &self.args.storage {
            let storage = match storage.as_str() {
                "postgres" => {
                    self.databases += 1;
                    let cluster = self
                        .cluster_always()?
                        .context("PostgreSQL is not installed")?;
                    cluster.new_database(&format!("bench_{}", self.databases))?
                }
                other => other.to_owned(),
            };
            flags.extend(["--storage".to_owned(), storage]);
        }
        flags.extend(self.args.server_flags.iter().cloned());
        Server::start(self.work.path(), &flags)
    }

    /// Where a server stores, where that is on this disk and ours.
    pub(crate) fn disk(&self, server: &Server) -> Option<PathBuf> {
        if self.args.is_on_postgres() {
            let cluster = self.cluster.get().and_then(Option::as_ref)?;
            return Some(cluster.folder().to_owned());
        }
        server.data_folder()
    }

    /// The records that read scenarios share, stored when they are first wanted.
    pub(crate) fn loaded(&mut self) -> anyhow::Result<Rc<Loaded>> {
        if let Some(loaded) = &self.loaded {
            return Ok(Rc::clone(loaded));
        }
        let loaded = Rc::new(Loaded::new(self)?);
        self.loaded = Some(Rc::clone(&loaded));
        Ok(loaded)
    }

    /// The PostgreSQL to compare with, where there is one and references are wanted.
    pub(crate) fn cluster(&self) -> anyhow::Result<Option<&Cluster>> {
        if self.args.no_reference {
            Ok(None)
        } else {
            self.cluster_always()
        }
    }

    fn cluster_always(&self) -> anyhow::Result<Option<&Cluster>> {
        if self.cluster.get().is_none() {
            let cluster = Cluster::start()?;
            if cluster.is_none() {
                self.say("PostgreSQL is not installed; its figures are left out");
            }
            // It was empty a moment ago, and there is one thread.
            let _ = self.cluster.set(cluster);
        }
        Ok(self.cluster.get().and_then(Option::as_ref))
    }

    /// The raw engine to compare with, where references are wanted.
    pub(crate) fn raw(&self) -> anyhow::Result<Option<Raw>> {
        if self.args.no_reference {
            return Ok(None);
        }
        Raw::new(self.work.path()).map(Some)
    }

    /// A path for a file of this run.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// The first rows as NDJSON, written once.
    pub(crate) fn ndjson(&self, rows: u64) -> anyhow::Result<PathBuf> {
        self.made(&format!("{rows}.ndjson"), |path| {
            Ok(data::write_ndjson(path, (0..rows).map(Row::new))?)
        })
    }

    /// The first rows as CSV, written once.
    pub(crate) fn csv(&self, rows: u64) -> anyhow::Result<PathBuf> {
        self.made(&format!("{rows}.csv"), |path| {
            Ok(data::write_csv(path, (0..rows).map(Row::new))?)
        })
    }

    /// The first rows as Parquet, written once.
    pub(crate) fn parquet(&self, rows: u64) -> anyhow::Result<PathBuf> {
        let from = self.ndjson(rows)?;
        let work = self.work.path();
        self.made(&format!("{rows}.parquet"), |path| {
            Raw::new(work)?.make_parquet(&from, path)
        })
    }

    fn made(
        &self,
        name: &str,
        make: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        if !path.exists() {
            self.say(&format!("writing {name}"));
            make(&path)?;
        }
        Ok(path)
    }

    /// Warms up and then measures a closed loop for the time that was asked for.
    pub(crate) fn load(
        &self,
        server: &Server,
        connections: usize,
        requests: &mut dyn Requests,
    ) -> anyhow::Result<(Tally, Usage)> {
        self.paced(server, connections, Pace::Closed, requests)
    }

    /// Warms up in a closed loop and then measures at a pace.
    pub(crate) fn paced(
        &self,
        server: &Server,
        connections: usize,
        pace: Pace,
        requests: &mut dyn Requests,
    ) -> anyhow::Result<(Tally, Usage)> {
        let time = self.args.time();
        let until = Until::Elapsed(WARM_UP_MAX.min(time / 3));
        let address = server.address();
        let warm_up = Load {
            address,
            connections,
            pace: Pace::Closed,
            until,
        };
        load::run(&warm_up, requests)?;
        let watch = Watch::start(server);
        let load = Load {
            address,
            connections,
            pace,
            until: Until::Elapsed(time),
        };
        let tally = load::run(&load, requests)?;
        Ok((tally, watch.finish()))
    }

    /// Measures so many requests, one after another.
    #[expect(
        clippy::unused_self,
        reason = "measured through the bed, as everything is"
    )]
    pub(crate) fn turns(
        &self,
        server: &Server,
        turns: u64,
        requests: &mut dyn Requests,
    ) -> anyhow::Result<(Tally, Usage)> {
        let watch = Watch::start(server);
        let (address, until) = (server.address(), Until::Sent(turns));
        let load = Load {
            address,
            connections: 1,
            pace: Pace::Closed,
            until,
        };
        let tally = load::run(&load, requests)?;
        Ok((tally, watch.finish()))
    }
}

/// Counts what a measurement costs.
#[derive(Debug)]
pub(crate) struct Watch {
    started: Instant,
    server: Option<String>,
    server_cpu: Option<f64>,
    own_cpu: Option<f64>,
    memory: Option<u64>,
}

impl Watch {
    /// Starts counting.
    pub(crate) fn start(server: &Server) -> Self {
        let process = server
            .process()
            .filter(|process| process::forget_peak(process));
        Self {
            started: Instant::now(),
            server_cpu: process.as_deref().and_then(process::cpu_seconds),
            own_cpu: process::cpu_seconds(process::SELF),
            memory: process.as_deref().and_then(process::memory),
            server: process,
        }
    }

    /// Ends counting.
    pub(crate) fn finish(self) -> Usage {
        let server = self.server.as_deref();
        let since = |now: Option<f64>, before: Option<f64>| Some(now? - before?);
        let megabytes = |bytes: u64| float(bytes) / 1e6;
        let peak = server.and_then(process::peak_memory);
        let rise = self
            .memory
            .and_then(|idle| Some(peak?.saturating_sub(idle)));
        Usage {
            seconds: self.started.elapsed().as_secs_f64(),
            server_cpu_seconds: since(server.and_then(process::cpu_seconds), self.server_cpu),
            generator_cpu_seconds: since(process::cpu_seconds(process::SELF), self.own_cpu),
            memory_idle_mb: self.memory.map(megabytes),
            memory_rise_mb: rise.map(megabytes),
        }
    }
}

/// Fails where an answer was no success, in the words of the answer.
pub(crate) fn check_done(what: &str, status: u16, body: &[u8]) -> anyhow::Result<()> {
    let said = String::from_utf8_lossy(&body[..body.len().min(400)]);
    ensure!(
        (200..300).contains(&status) && status != 207,
        "{what}: {status} {said}"
    );
    Ok(())
}

/// Fails where nothing was done at all: then there is nothing to report.
pub(crate) fn check_any(what: &str, tally: &Tally) -> anyhow::Result<()> {
    if tally.done() == 0 {
        bail!("{what}: no request was done: {:?}", tally.statuses());
    }
    Ok(())
}

/// Empties a folder of what a scenario left in it.
pub(crate) fn remove(path: &Path) {
    // The whole folder goes at the end of the run in any case.
    let _ = fs::remove_file(path);
}
