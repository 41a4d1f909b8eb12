//! What is counted of each request, with a bounded number of label values whatever clients
//! send.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use metrics::{Counter, Histogram};

use super::registry::{
    RECORDS_READ, RECORDS_WRITTEN, REQUEST_BYTES, REQUEST_SECONDS, RESPONSE_BYTES, Registry,
};

/// The label of all that has no label of its own.
const OTHER: &str = "_OTHER";

/// More routes than any version of the server has.
const MAX_ROUTES: usize = 256;

/// So many schemas are counted each by itself, in order of their first request.
const MAX_SCHEMAS: usize = 1024;

/// The figures of one answered request.
#[derive(Debug, Clone, Copy)]
pub struct RequestFigures<'a> {
    /// The method. Those HTTP does not define are counted together.
    pub method: &'a str,
    /// The template that matched, such as `/records/{schema}`; never the path itself.
    pub route: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// From the head of the request to the last byte of the answer.
    pub seconds: f64,
    /// The length of the request's body, as received.
    pub bytes_in: u64,
    /// The length of the answer's body, as sent.
    pub bytes_out: u64,
    /// The schema concerned, once it was found in the catalog.
    pub schema: Option<&'a str>,
    /// How many records the answer holds.
    pub records_read: u64,
    /// How many records were written.
    pub records_written: u64,
}

/// The counters of requests. Those with labels are made when first needed and then kept.
#[derive(Debug)]
pub(super) struct Requests {
    registry: Registry,
    bytes_in: Counter,
    bytes_out: Counter,
    routes: RwLock<HashMap<Box<str>, Durations>>,
    schemas: RwLock<HashMap<Box<str>, Records>>,
}

type Durations = HashMap<(&'static str, u16), Histogram>;

#[derive(Debug)]
struct Records {
    read: Counter,
    written: Counter,
}

impl Requests {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            bytes_in: registry.counter(REQUEST_BYTES, &[]),
            bytes_out: registry.counter(RESPONSE_BYTES, &[]),
            routes: RwLock::default(),
            schemas: RwLock::default(),
            registry,
        }
    }

    pub(super) fn record(&self, figures: &RequestFigures<'_>) {
        self.bytes_in.increment(figures.bytes_in);
        self.bytes_out.increment(figures.bytes_out);
        self.record_duration(figures);
        if let Some(schema) = figures.schema
            && (figures.records_read > 0 || figures.records_written > 0)
        {
            self.record_records(schema, figures);
        }
    }

    fn record_duration(&self, figures: &RequestFigures<'_>) {
        let kind = (known_method(figures.method), figures.status);
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let known = routes.get(figures.route).and_then(|all| all.get(&kind));
        if let Some(durations) = known {
            durations.record(figures.seconds);
            return;
        }
        drop(routes);

        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let route = admitted(&routes, figures.route, MAX_ROUTES);
        let durations = routes.entry(route.into()).or_default();
        let durations = durations.entry(kind).or_insert_with(|| {
            let (method, status) = (kind.0, kind.1.to_string());
            let labels = [("method", method), ("route", route), ("status", &status)];
            self.registry.histogram(REQUEST_SECONDS, &labels)
        });
        durations.record(figures.seconds);
    }

    fn record_records(&self, schema: &str, figures: &RequestFigures<'_>) {
        let schemas = self.schemas.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(records) = schemas.get(schema) {
            records.add(figures);
            return;
        }
        drop(schemas);

        let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
        let schema = admitted(&schemas, schema, MAX_SCHEMAS);
        let records = schemas.entry(schema.into()).or_insert_with(|| Records {
            read: self.registry.counter(RECORDS_READ, &[("schema", schema)]),
            written: self
                .registry
                .counter(RECORDS_WRITTEN, &[("schema", schema)]),
        });
        records.add(figures);
    }
}

impl Records {
    fn add(&self, figures: &RequestFigures<'_>) {
        self.read.increment(figures.records_read);
        self.written.increment(figures.records_written);
    }
}

/// The name itself while there is room for it, else the one all others share.
fn admitted<'a, T>(known: &HashMap<Box<str>, T>, name: &'a str, most: usize) -> &'a str {
    if known.len() < most || known.contains_key(name) {
        name
    } else {
        OTHER
    }
}

fn known_method(method: &str) -> &'static str {
    const METHODS: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    let known = METHODS.into_iter().find(|known| *known == method);
    known.unwrap_or(OTHER)
}
