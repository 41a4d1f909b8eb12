//! Every setting there is. Flags, environment variables, file keys, usage texts, the sample
//! file and `config print` all follow from this one list.

use crate::config::machine::Machine;
use crate::config::setting::{DefaultValue, Kind, Setting};
use crate::config::storage;

const COUNT: Kind = Kind::Count {
    min: 1,
    max: u32::MAX as u64,
};
const THREADS: Kind = Kind::Count { min: 1, max: 1_024 };
const BYTES: Kind = Kind::Bytes { min: 1 << 10 };

/// The settings, in the order in which they are shown.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        "listen",
        Kind::Address,
        "127.0.0.1:8080",
        "The address of the API",
    ),
    setting(
        "admin_listen",
        Kind::Address,
        "127.0.0.1:9090",
        "The address of /health and /metrics for operators",
    ),
    setting(
        "data_dir",
        Kind::Path,
        "./data",
        "The folder that holds the database",
    ),
    setting(
        "schemas",
        Kind::Path,
        "./schemas",
        "The folder of schema documents",
    ),
    setting(
        "storage",
        Kind::Storage,
        storage::EMBEDDED,
        "The engine: duckdb, or the postgres:// URL of a server",
    ),
    setting(
        "allow_unauthenticated",
        Kind::Flag,
        "false",
        "Serve addresses other than loopback although there is no access control",
    ),
    unset(
        "cursor_secret",
        Kind::Secret,
        "Signs cursors; the same on all servers of a database [default: drawn once, kept with the records]",
    ),
    setting(
        "drain_timeout",
        Kind::Duration,
        "25s",
        "How long requests under way may still take at shutdown",
    ),
    setting(
        "query_timeout",
        Kind::Duration,
        "30s",
        "For the engine to answer a page or a count",
    ),
    setting(
        "log.level",
        Kind::LogFilter,
        "info",
        "What is logged: error, warn, info, debug, or a filter",
    ),
    setting(
        "log.format",
        Kind::Choice(&["auto", "human", "json"]),
        "auto",
        "How it is logged; auto is human on a terminal and json elsewhere",
    ),
    setting(
        "http.connections_max",
        COUNT,
        "4096",
        "Connections at a time",
    ),
    setting(
        "http.connections_per_address_max",
        COUNT,
        "256",
        "Connections at a time from one address; more for a proxy",
    ),
    setting(
        "http.requests_max",
        COUNT,
        "8192",
        "Requests answered at a time; more are refused",
    ),
    setting(
        "http.header_timeout",
        Kind::Duration,
        "10s",
        "For the head of a request to arrive",
    ),
    setting(
        "http.idle_timeout",
        Kind::Duration,
        "75s",
        "For a connection without a request",
    ),
    setting(
        "http.request_timeout",
        Kind::Duration,
        "30s",
        "For an answer",
    ),
    setting(
        "http.transfer_timeout",
        Kind::Duration,
        "1h",
        "For a bulk write or a stream as a whole",
    ),
    setting(
        "http.body_timeout",
        Kind::Duration,
        "30s",
        "Between two pieces of a request's body",
    ),
    setting(
        "http.stream_timeout",
        Kind::Duration,
        "30s",
        "For a client to take more of a stream",
    ),
    setting(
        "limits.bulk_records_max",
        COUNT,
        "100001",
        "Records in one POST /records/bulk",
    ),
    unset(
        "limits.bulk_bytes_max",
        BYTES,
        "Bytes of one streamed body, as sent and unpacked [default: any]",
    ),
    setting(
        "limits.body_bytes_max",
        BYTES,
        "256MiB",
        "Bytes of a body that is held in memory",
    ),
    machine(
        "limits.bodies_bytes_max",
        BYTES,
        Machine::bodies_memory,
        "Bytes of such bodies and what is made of them, of all requests; a quarter of the machine's memory by default",
    ),
    setting(
        "limits.record_bytes_max",
        BYTES,
        "16MiB",
        "Bytes of one record of a streamed body",
    ),
    setting(
        "limits.json_depth_max",
        Kind::Count { min: 4, max: 128 },
        "64",
        "How deep the JSON of a record may nest",
    ),
    setting(
        "limits.page_size_max",
        COUNT,
        "10000",
        "Records on one page",
    ),
    setting(
        "limits.page_offset_max",
        COUNT,
        "1000000",
        "Records that page numbers may skip",
    ),
    setting(
        "limits.page_bytes_max",
        BYTES,
        "64MiB",
        "Bytes that the records of one page may take",
    ),
    setting(
        "limits.filter_depth_max",
        Kind::Count { min: 1, max: 128 },
        "32",
        "How deep a filter may nest",
    ),
    setting(
        "limits.filter_conditions_max",
        COUNT,
        "50",
        "Conditions of one filter",
    ),
    setting(
        "limits.answers_bytes_max",
        Kind::Bytes { min: 0 },
        "64MiB",
        "Bytes of answers kept for equal questions; for an engine that one server alone writes to",
    ),
    setting(
        "limits.records_bytes_max",
        Kind::Bytes { min: 0 },
        "64MiB",
        "Bytes of records kept for reads by id; for an engine that one server alone writes to",
    ),
    setting(
        "idempotency.kept_for",
        Kind::Duration,
        "24h",
        "How long the answer to a request with an Idempotency-Key is kept",
    ),
    setting(
        "idempotency.answer_bytes_max",
        BYTES,
        "32MiB",
        "Bytes of such an answer once packed; a request whose answer is longer is refused",
    ),
    setting(
        "jobs.running_max",
        THREADS,
        "2",
        "Jobs (bulk writes with Prefer: respond-async) that run at a time",
    ),
    setting(
        "jobs.queued_max",
        COUNT,
        "100",
        "Jobs that wait for that; more are refused",
    ),
    setting(
        "jobs.spool_bytes_max",
        BYTES,
        "10GiB",
        "Bytes of the bodies of all jobs that wait or run",
    ),
    unset(
        "jobs.directory",
        Kind::Path,
        "Where their bodies and errors are kept [default: jobs in data_dir]",
    ),
    setting(
        "jobs.kept_for",
        Kind::Duration,
        "7d",
        "How long a job that has ended is told, and its errors are kept",
    ),
    machine(
        "duckdb.memory_limit",
        Kind::Bytes { min: 64 << 20 },
        Machine::engine_memory,
        "Memory of the embedded engine; half of the machine's by default",
    ),
    machine(
        "duckdb.threads",
        THREADS,
        Machine::threads,
        "Threads of the embedded engine; as many as cores by default",
    ),
    unset(
        "duckdb.temp_directory",
        Kind::Path,
        "Where the embedded engine spills to [default: tmp in data_dir]",
    ),
    setting(
        "duckdb.temp_bytes_max",
        Kind::Bytes { min: 1 << 20 },
        "10GiB",
        "Bytes that it may spill",
    ),
    setting(
        "duckdb.spool_bytes_max",
        Kind::Bytes { min: 1 << 20 },
        "10GiB",
        "Bytes of one stream that may wait in a file for a slow client",
    ),
    machine(
        "duckdb.read_threads",
        THREADS,
        Machine::read_threads,
        "Pages, counts and aggregations at a time",
    ),
    setting("duckdb.stream_threads", THREADS, "8", "Streams at a time"),
    setting(
        "duckdb.bulk_sessions_max",
        THREADS,
        "2",
        "Bulk writes at a time; further ones wait",
    ),
    setting(
        "duckdb.checkpoint_wal_bytes",
        Kind::Bytes { min: 1 << 20 },
        "64MiB",
        "Bytes of write-ahead log after which a checkpoint is made",
    ),
    setting(
        "postgres.pool_size",
        THREADS,
        "8",
        "Connections for short reads",
    ),
    setting(
        "postgres.stream_pool_size",
        THREADS,
        "8",
        "Connections for streams, one each",
    ),
    setting(
        "postgres.bulk_sessions_max",
        THREADS,
        "4",
        "Bulk writes at a time; further ones wait",
    ),
    setting(
        "postgres.write_lanes",
        THREADS,
        "4",
        "Connections that carry out short writes",
    ),
    setting(
        "postgres.connect_timeout",
        Kind::Duration,
        "5s",
        "For a connection to be made",
    ),
    setting(
        "postgres.distribution",
        Kind::Choice(&["none", "citus"]),
        "none",
        "How records are spread over servers",
    ),
];

const fn setting(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
) -> Setting {
    Setting {
        name,
        kind,
        default: DefaultValue::Text(default),
        about,
        since: "0.1.0",
    }
}

const fn unset(name: &'static str, kind: Kind, about: &'static str) -> Setting {
    Setting {
        name,
        kind,
        default: DefaultValue::Unset,
        about,
        since: "0.1.0",
    }
}

const fn machine(
    name: &'static str,
    kind: Kind,
    default: fn(&Machine) -> String,
    about: &'static str,
) -> Setting {
    Setting {
        name,
        kind,
        default: DefaultValue::Machine(default),
        about,
        since: "0.1.0",
    }
}
