//! What the shown figures hold, as a scraper reads them.

use std::sync::Arc;

use async_trait::async_trait;
use staffa_domain::StorageError;
use staffa_domain::ports::{EngineMonitor, EngineState, Gauge};

use super::{Metrics, RequestFigures};

const REQUEST: RequestFigures<'static> = RequestFigures {
    method: "GET",
    route: "/records/{schema}",
    status: 200,
    seconds: 0.003,
    bytes_in: 0,
    bytes_out: 512,
    schema: Some("flights"),
    records_read: 25,
    records_written: 0,
};

#[track_caller]
fn check_lines(text: &str, expected: &[&str]) {
    for line in expected {
        assert!(
            text.lines().any(|l| l == *line),
            "no line {line:?} in\n{text}"
        );
    }
}

/// Every line is a comment, empty or one sample with a number, and no family comes twice.
#[track_caller]
fn check_format(text: &str) {
    let mut families = std::collections::HashSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(family.to_owned()), "twice: {line}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let bare = name.split('{').next().unwrap();
            assert!(
                bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
                "{line}"
            );
        }
    }
}

fn value_of(text: &str, name: &str) -> f64 {
    let sample = text
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    let sample = sample.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    sample.parse().unwrap()
}

#[test]
fn installing_again_gives_the_same_figures() {
    let route = "/installed-twice";
    Metrics::install().record_request(&RequestFigures { route, ..REQUEST });
    let text = Metrics::install().render();
    let labels = "{method=\"GET\",route=\"/installed-twice\",status=\"200\"}";
    check_lines(
        &text,
        &[&format!(
            "http_server_request_duration_seconds_count{labels} 1"
        )],
    );
}

#[test]
fn a_request_is_timed_and_its_bytes_and_records_counted() {
    let metrics = Metrics::detached();
    metrics.record_request(&REQUEST);
    metrics.record_request(&RequestFigures {
        method: "POST",
        status: 201,
        bytes_in: 100,
        records_read: 0,
        records_written: 7,
        ..REQUEST
    });
    let text = metrics.render();
    check_format(&text);
    let get = "method=\"GET\",route=\"/records/{schema}\",status=\"200\"";
    check_lines(
        &text,
        &[
            "# TYPE http_server_request_duration_seconds histogram",
            &format!("http_server_request_duration_seconds_bucket{{{get},le=\"0.0025\"}} 0"),
            &format!("http_server_request_duration_seconds_bucket{{{get},le=\"0.005\"}} 1"),
            &format!("http_server_request_duration_seconds_bucket{{{get},le=\"10\"}} 1"),
            &format!("http_server_request_duration_seconds_bucket{{{get},le=\"+Inf\"}} 1"),
            &format!("http_server_request_duration_seconds_count{{{get}}} 1"),
            "# HELP staffa_http_request_bytes_total Bytes of request bodies received.",
            "# TYPE staffa_http_request_bytes_total counter",
            "staffa_http_request_bytes_total 100",
            "staffa_http_response_bytes_total 1024",
            "staffa_records_read_total{schema=\"flights\"} 25",
            "staffa_records_written_total{schema=\"flights\"} 7",
        ],
    );
}

#[test]
fn a_request_without_records_names_no_schema() {
    let metrics = Metrics::detached();
    metrics.record_request(&RequestFigures {
        records_read: 0,
        ..REQUEST
    });
    metrics.record_request(&RequestFigures {
        schema: None,
        ..REQUEST
    });
    assert!(!metrics.render().contains("flights"));
}

#[test]
fn no_client_can_make_labels_without_end() {
    let metrics = Metrics::detached();
    for number in 0..2000 {
        let (method, route) = (format!("M{number}"), format!("/r{number}"));
        let schema = format!("schema_{number}");
        metrics.record_request(&RequestFigures {
            method: &method,
            route: &route,
            schema: Some(&schema),
            ..REQUEST
        });
    }
    let text = metrics.render();
    check_format(&text);
    let series = |name: &str| text.lines().filter(|l| l.starts_with(name)).count();
    assert_eq!(series("http_server_request_duration_seconds_count"), 257);
    assert_eq!(series("staffa_records_read_total{"), 1025);
    let rest = (2000 - 1024) * 25;
    check_lines(
        &text,
        &[
            "http_server_request_duration_seconds_count{method=\"_OTHER\",route=\"_OTHER\",status=\"200\"} 1744",
            &format!("staffa_records_read_total{{schema=\"_OTHER\"}} {rest}"),
        ],
    );
}

#[test]
fn folding_timings_early_loses_none() {
    let metrics = Metrics::detached();
    metrics.record_request(&REQUEST);
    metrics.registry().run_upkeep();
    metrics.record_request(&REQUEST);
    metrics.registry().run_upkeep();
    let labels = "{method=\"GET\",route=\"/records/{schema}\",status=\"200\"}";
    let name = format!("http_server_request_duration_seconds_count{labels}");
    assert!((value_of(&metrics.render(), &name) - 2.0).abs() < f64::EPSILON);
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_shows_itself() {
    let text = Metrics::detached().render();
    check_format(&text);
    check_lines(&text, &["# TYPE process_cpu_seconds_total counter"]);
    assert!(value_of(&text, "process_resident_memory_bytes") > 100_000.0);
    assert!(value_of(&text, "process_open_fds") >= 3.0);
    assert!(value_of(&text, "process_threads") >= 1.0);
    assert!(value_of(&text, "process_cpu_seconds_total") >= 0.0);
    assert!(value_of(&text, "process_start_time_seconds") > 1_700_000_000.0);
}

#[derive(Debug)]
struct Engine(EngineState);

#[async_trait]
impl EngineMonitor for Engine {
    fn state(&self) -> EngineState {
        self.0
    }

    fn gauges(&self) -> Vec<Gauge> {
        let gauge = |name, value| Gauge { name, value };
        vec![
            gauge("wal_bytes", 4096.0),
            gauge("commits_total", 3.0),
            gauge("oldest_reader_seconds", 0.25),
            gauge("room_bytes", f64::INFINITY),
        ]
    }

    async fn probe(&self) -> Result<(), StorageError> {
        Ok(())
    }

    async fn close(&self) {}
}

#[test]
fn the_watched_engine_shows_its_state_and_gauges() {
    let metrics = Metrics::detached();
    assert!(!metrics.render().contains("staffa_engine_"));
    metrics.watch(Arc::new(Engine(EngineState::Ready)));
    metrics.watch(Arc::new(Engine(EngineState::Full)));
    let text = metrics.render();
    check_format(&text);
    check_lines(
        &text,
        &[
            "staffa_engine_state{state=\"ready\"} 0",
            "staffa_engine_state{state=\"full\"} 1",
            "# TYPE staffa_engine_wal_bytes gauge",
            "staffa_engine_wal_bytes 4096",
            "# TYPE staffa_engine_commits_total counter",
            "staffa_engine_commits_total 3",
            "staffa_engine_oldest_reader_seconds 0.25",
            "staffa_engine_room_bytes +Inf",
        ],
    );
}
