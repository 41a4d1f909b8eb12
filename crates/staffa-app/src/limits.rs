//! The bounds within which use cases work, all from configuration.

use std::time::Duration;

use staffa_codec::decode::DecodeOptions;

/// What one request may ask for at most. Beyond each is a clear error, never a slow death.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Records in one `POST /records/bulk` envelope.
    pub bulk_records_max: usize,
    /// Ids that the answer to a streamed bulk may repeat.
    pub returned_ids_max: usize,
    /// Bytes of one body that is held in memory whole.
    pub body_bytes_max: usize,
    /// Bytes of one record in a streamed body.
    pub record_bytes_max: usize,
    /// Nesting of JSON in a record.
    pub json_depth_max: usize,
    /// Records on one page.
    pub page_size_max: u64,
    /// Records that `page` may skip.
    pub page_offset_max: u64,
    /// Bytes that the records of one page may take.
    pub page_bytes_max: u64,
    /// Depth of a filter tree.
    pub filter_depth_max: usize,
    /// Conditions in a filter tree.
    pub filter_conditions_max: usize,
    /// Records that one change by filter may concern.
    pub affected_max: u64,
    /// Operations in one transaction.
    pub operations_max: usize,
    /// Bytes of answers that are kept for equal questions.
    pub answers_bytes_max: u64,
    /// Bytes of single records that are kept for reads by id.
    pub records_bytes_max: u64,
    /// How often a read-modify-write is tried again when another write came in between.
    pub retries_max: usize,
    /// How long the answer to a request with an idempotency key is kept.
    pub keys_kept_for: Duration,
    /// Bytes of such an answer once it is packed; a request whose answer is longer is refused.
    pub kept_answer_bytes_max: usize,
    /// Jobs that run at a time.
    pub jobs_running_max: usize,
    /// Jobs that wait for that; more are refused.
    pub jobs_queued_max: usize,
    /// Bytes of the bodies of all jobs that wait or run.
    pub spool_bytes_max: u64,
    /// How long a job that has ended is told, and its errors are kept.
    pub jobs_kept_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bulk_records_max: 100_001,
            returned_ids_max: 1_000_000,
            body_bytes_max: 256 << 20,
            record_bytes_max: 16 << 20,
            json_depth_max: 64,
            page_size_max: 10_000,
            page_offset_max: 1_000_000,
            page_bytes_max: 64 << 20,
            filter_depth_max: 32,
            filter_conditions_max: 50,
            affected_max: 10_000,
            operations_max: 10_000,
            answers_bytes_max: 64 << 20,
            records_bytes_max: 64 << 20,
            retries_max: 20,
            keys_kept_for: Duration::from_hours(24),
            kept_answer_bytes_max: 32 << 20,
            jobs_running_max: 2,
            jobs_queued_max: 100,
            spool_bytes_max: 10 << 30,
            jobs_kept_for: Duration::from_hours(7 * 24),
        }
    }
}

impl Limits {
    /// How records are read under these limits.
    pub(crate) fn decode_options(&self) -> DecodeOptions {
        DecodeOptions {
            record_bytes_max: self.record_bytes_max,
            held_bytes_max: self.body_bytes_max,
            depth_max: self.json_depth_max,
            ..DecodeOptions::default()
        }
    }
}
