//! The families that are counted and timed, with their names and help texts, and the store
//! that keeps them. Nothing outside this file names a family of the store.

use std::sync::Arc;

use metrics::{Counter, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub(crate) const REQUEST_SECONDS: &str = "http_server_request_duration_seconds";
pub(crate) const REQUEST_BYTES: &str = "staffa_http_request_bytes_total";
pub(crate) const RESPONSE_BYTES: &str = "staffa_http_response_bytes_total";
pub(crate) const RECORDS_WRITTEN: &str = "staffa_records_written_total";
pub(crate) const RECORDS_READ: &str = "staffa_records_read_total";
pub(crate) const PORT_SECONDS: &str = "staffa_port_operation_duration_seconds";
pub(crate) const PORT_RECORDS: &str = "staffa_port_records_total";

const HISTOGRAMS: &[(&str, &str)] = &[
    (
        REQUEST_SECONDS,
        "Seconds from a request's head to the last byte of its answer.",
    ),
    (
        PORT_SECONDS,
        "Seconds that an operation of a storage port took.",
    ),
];

const COUNTERS: &[(&str, &str)] = &[
    (REQUEST_BYTES, "Bytes of request bodies received."),
    (RESPONSE_BYTES, "Bytes of response bodies sent."),
    (RECORDS_WRITTEN, "Records written by requests."),
    (RECORDS_READ, "Records read by requests."),
    (PORT_RECORDS, "Records that passed a storage port."),
];

/// Upper bounds in seconds, from a point read to a large scan.
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

static METADATA: Metadata<'static> = Metadata::new("staffa", Level::INFO, None);

/// Hands out counters and histograms to those who keep them. Clones share the store.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Registry {
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets(BUCKETS)
            .expect("the list of buckets is not empty")
            .build_recorder();
        for (name, help) in HISTOGRAMS {
            recorder.describe_histogram(KeyName::from_const_str(name), None, (*help).into());
        }
        for (name, help) in COUNTERS {
            recorder.describe_counter(KeyName::from_const_str(name), None, (*help).into());
        }
        Self {
            handle: recorder.handle(),
            recorder: Arc::new(recorder),
        }
    }

    /// Also takes what libraries report through the `metrics` facade, unless something else
    /// in the process took that first; what Staffa itself counts does not depend on it.
    pub(crate) fn make_global(&self) {
        if metrics::set_global_recorder(Arc::clone(&self.recorder)).is_err() {
            tracing::debug!("another recorder already takes the metrics of libraries");
        }
    }

    pub(crate) fn histogram(
        &self,
        name: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Histogram {
        self.recorder
            .register_histogram(&key(name, labels), &METADATA)
    }

    pub(crate) fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        self.recorder
            .register_counter(&key(name, labels), &METADATA)
    }

    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    pub(crate) fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels
        .iter()
        .map(|(name, value)| Label::new(*name, (*value).to_owned()))
        .collect();
    Key::from_parts(name, labels)
}
