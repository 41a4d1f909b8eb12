//! `staffa demo`: all records there, kept in a folder that is given, and a drained end.

use crate::program::{Running, TestApp, get};

const COUNTS: [(&str, u64); 5] = [
    ("airlines", 16),
    ("airports", 1_458),
    ("planes", 3_322),
    ("weather", 26_115),
    ("flights", 336_776),
];

#[track_caller]
fn check_counts(server: &Running) {
    for (schema, count) in COUNTS {
        assert_eq!(server.count(schema), count, "{schema}");
    }
}

#[test]
fn the_demo_loads_once_and_drains() {
    let app = TestApp::new();
    let server = app.start(&["demo", "--data-dir", "kept"]);
    check_counts(&server);
    assert_eq!(get(&server.admin, "/health/ready").0, 200);
    assert!(get(&server.admin, "/metrics").1.contains("# TYPE "));
    let url = server.url();
    let (status, text) = server.terminate();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(
        text.contains(&format!("Staffa is ready on {url}")),
        "{text}"
    );
    assert!(text.contains("336,776 records"), "{text}");

    let again = app.start(&["demo", "--data-dir", "kept"]);
    check_counts(&again);
    let (status, text) = again.terminate();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(!text.contains("loading"), "{text}");
}
