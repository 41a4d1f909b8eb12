//! One request and its answer: what the frame around the routes and the routes tell each other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::MatchedPath;

use staffa_app::{Context, Held, Stage};

use crate::state::Settings;

/// Made by the frame, found by the extractors among the request's extensions.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) context: Context,
    pub(crate) settings: Arc<Settings>,
    started: Instant,
    route: OnceLock<MatchedPath>,
    schema: OnceLock<String>,
    bytes_in: AtomicU64,
    reading: AtomicBool,
}

impl Exchange {
    pub(crate) fn new(request_id: String, settings: Arc<Settings>, held: Held) -> Self {
        Self {
            context: Context::new(request_id)
                .holding(held)
                .taking_turns_within(settings.request_timeout),
            settings,
            started: Instant::now(),
            route: OnceLock::new(),
            schema: OnceLock::new(),
            bytes_in: AtomicU64::new(0),
            reading: AtomicBool::new(false),
        }
    }

    pub(crate) fn request_id(&self) -> &str {
        self.context.request_id()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// For the fields `execution_time_ms`.
    pub(crate) fn elapsed_ms(&self) -> f64 {
        let micros = u32::try_from(self.elapsed().as_micros()).unwrap_or(u32::MAX);
        f64::from(micros) / 1_000.0
    }

    pub(crate) fn spent(&self, stage: Stage) -> Duration {
        Duration::from_micros(self.context.micros(stage))
    }

    pub(crate) fn set_route(&self, route: &MatchedPath) {
        // Extractors may run more than once for a request; the route stays the same.
        let _ = self.route.set(route.clone());
    }

    pub(crate) fn route(&self) -> &str {
        self.route.get().map_or("", MatchedPath::as_str)
    }

    pub(crate) fn set_schema(&self, name: &str) {
        let _ = self.schema.set(name.to_owned());
    }

    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.get().map(String::as_str)
    }

    pub(crate) fn count_bytes_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Whether the body is still being waited for.
    pub(crate) fn set_reading(&self, reading: bool) {
        self.reading.store(reading, Ordering::Relaxed);
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.reading.load(Ordering::Relaxed)
    }
}
