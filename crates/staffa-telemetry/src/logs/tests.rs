//! What log lines look like, and which are written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{LogError, LogFormat, LogOptions, dispatch};

#[derive(Debug, Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(options: &LogOptions, events: impl FnOnce()) -> String {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let dispatch = dispatch(options, move || writer.clone()).unwrap();
    tracing::dispatcher::with_default(&dispatch, events);
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn json(filter: &str) -> LogOptions {
    LogOptions {
        format: LogFormat::Json,
        filter: filter.to_owned(),
        color: true,
    }
}

#[test]
fn a_json_line_holds_the_fields_of_its_event() {
    let text = logged(&json("info"), || {
        tracing::info!(route = "/records/{schema}", rows = 7, "request done");
    });
    let line: Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "request done");
    assert_eq!(line["route"], "/records/{schema}");
    assert_eq!(line["rows"], 7);
    let timestamp = line["timestamp"].as_str().unwrap();
    assert_eq!(&timestamp[10..11], "T");
    assert!(timestamp.ends_with('Z'), "{timestamp}");
}

#[test]
fn a_line_break_in_a_value_starts_no_new_line() {
    let text = logged(&json("info"), || {
        tracing::info!(name = "a\nb\u{1b}[31m", "odd value");
    });
    assert_eq!(text.lines().count(), 1);
    let line: Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(line["name"], "a\nb\u{1b}[31m");
}

#[test]
fn the_filter_decides_by_level_and_target() {
    let text = logged(&json("warn,chatty=error"), || {
        tracing::info!("too low");
        tracing::warn!(target: "chatty", "too low there");
        tracing::warn!("written");
    });
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("written"), "{text}");
}

#[test]
fn a_human_line_has_colour_only_when_asked() {
    let mut options = LogOptions::default();
    let plain = logged(&options, || tracing::info!(rows = 7, "request done"));
    assert!(plain.contains("request done rows=7"), "{plain}");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    options.color = true;
    let coloured = logged(&options, || tracing::info!("request done"));
    assert!(coloured.contains('\u{1b}'), "{coloured:?}");
}

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    let error = dispatch(&json("staffa=loud"), io::sink).unwrap_err();
    assert!(matches!(&error, LogError::Filter { filter, .. } if filter == "staffa=loud"));
    assert!(
        error
            .to_string()
            .starts_with("the log filter \"staffa=loud\" is not valid: ")
    );
}
