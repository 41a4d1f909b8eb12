//! The configuration: every setting read once, from flags, environment and file, into plain
//! typed values. Nothing else in Staffa looks at the environment.

mod file;
mod machine;
mod print;
mod resolve;
mod served;
mod setting;
mod storage;
mod table;
mod value;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use staffa_app::Limits;

pub(crate) use machine::Machine;
pub(crate) use print::{sample, with_sources};
pub(crate) use resolve::{ConfigProblems, FILE_VARIABLE, Inputs, Resolved, resolve};
pub(crate) use setting::{Kind, Setting};
pub(crate) use storage::{PLACE_EXPECTED, masked, place};
pub(crate) use table::SETTINGS;

pub(crate) use value::read_span;

use value::Value;

/// Everything that a server is told.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The address of the API.
    pub(crate) listen: SocketAddr,
    /// The address for operators.
    pub(crate) admin_listen: SocketAddr,
    /// The folder that holds the database.
    pub(crate) data_dir: PathBuf,
    /// Whether `data_dir` was set.
    pub(crate) data_dir_set: bool,
    /// The folder of schema documents.
    pub(crate) schemas: PathBuf,
    /// Whether `schemas` was set, so that a missing folder is an error.
    pub(crate) schemas_set: bool,
    /// The engine.
    pub(crate) storage: StorageConfig,
    /// Whether addresses other than loopback are served.
    pub(crate) allow_unauthenticated: bool,
    /// What signs cursors.
    pub(crate) cursor_secret: Option<String>,
    /// How long requests may still take at shutdown.
    pub(crate) drain_timeout: Duration,
    /// The folder of the files of jobs, where it is none of the data folder.
    jobs_directory: Option<PathBuf>,
    /// Logs.
    pub(crate) log: LogConfig,
    /// The HTTP servers.
    pub(crate) http: HttpConfig,
    /// What requests may ask for.
    pub(crate) limits: Limits,
}

/// The engine and its settings.
#[derive(Debug, Clone)]
pub(crate) enum StorageConfig {
    /// The embedded engine.
    Duckdb(staffa_duckdb::Options),
    /// A PostgreSQL server.
    Postgres(staffa_postgres::Options),
}

/// What is logged and how.
#[derive(Debug, Clone)]
pub(crate) struct LogConfig {
    /// A level or a filter.
    pub(crate) level: String,
    /// `auto`, `human` or `json`.
    pub(crate) format: String,
}

/// Bounds of the HTTP servers.
#[derive(Debug, Clone)]
pub(crate) struct HttpConfig {
    /// Connections at a time.
    pub(crate) connections_max: usize,
    /// Connections at a time from one address.
    pub(crate) connections_per_address_max: usize,
    /// For the head of a request to arrive.
    pub(crate) header_timeout: Duration,
    /// For a connection without a request.
    pub(crate) idle_timeout: Duration,
    /// Bounds on single requests.
    pub(crate) requests: staffa_http::Settings,
}

impl Config {
    /// Takes the values over. They have the kinds of their settings, so nothing can fail.
    pub(crate) fn new(resolved: &[Resolved]) -> Self {
        let values = Values(resolved);
        Self {
            listen: values.address("listen"),
            admin_listen: values.address("admin_listen"),
            data_dir: values.path("data_dir"),
            data_dir_set: values.is_set("data_dir"),
            schemas: values.path("schemas"),
            schemas_set: values.is_set("schemas"),
            storage: values.storage(),
            allow_unauthenticated: values.flag("allow_unauthenticated"),
            cursor_secret: values.text_if("cursor_secret"),
            drain_timeout: values.duration("drain_timeout"),
            jobs_directory: values.path_if("jobs.directory"),
            log: LogConfig {
                level: values.text("log.level"),
                format: values.text("log.format"),
            },
            http: values.http(),
            limits: values.limits(),
        }
    }
}

impl Config {
    /// Whether the storage is there before anything opens it; a server shows only then.
    pub(crate) fn has_data(&self) -> bool {
        match &self.storage {
            StorageConfig::Duckdb(options) => options.data_dir.join(storage::FILE).is_file(),
            StorageConfig::Postgres(_) => true,
        }
    }

    /// The folder of the files of jobs.
    pub(crate) fn jobs_dir(&self) -> PathBuf {
        let own = self.jobs_directory.clone();
        own.unwrap_or_else(|| self.data_dir.join("jobs"))
    }

    /// The same with another data folder.
    pub(crate) fn in_data_dir(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.data_dir);
        if let StorageConfig::Duckdb(options) = &mut self.storage {
            folder.clone_into(&mut options.data_dir);
        }
        self
    }
}

/// Access by name. A wrong name or kind is a mistake in this file, which its test finds.
struct Values<'a>(&'a [Resolved]);

impl Values<'_> {
    fn resolved(&self, name: &str) -> &Resolved {
        let found = self.0.iter().find(|resolved| resolved.setting.name == name);
        found.expect("every name asked for is in the table of settings")
    }

    fn is_set(&self, name: &str) -> bool {
        self.resolved(name).source != resolve::Source::Default
    }

    fn value(&self, name: &str) -> &Value {
        let value = self.resolved(name).value.as_ref();
        value.expect("every setting read this way has a default")
    }

    fn address(&self, name: &str) -> SocketAddr {
        match self.value(name) {
            Value::Address(address) => *address,
            other => mismatch(name, other),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        match self.value(name) {
            Value::Path(path) => path.clone(),
            other => mismatch(name, other),
        }
    }

    fn path_if(&self, name: &str) -> Option<PathBuf> {
        self.resolved(name).value.is_some().then(|| self.path(name))
    }

    fn text(&self, name: &str) -> String {
        match self.value(name) {
            Value::Text(text) => text.clone(),
            other => mismatch(name, other),
        }
    }

    fn text_if(&self, name: &str) -> Option<String> {
        self.resolved(name).value.is_some().then(|| self.text(name))
    }

    fn flag(&self, name: &str) -> bool {
        match self.value(name) {
            Value::Flag(flag) => *flag,
            other => mismatch(name, other),
        }
    }

    fn number(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Count(number) | Value::Bytes(number) => *number,
            other => mismatch(name, other),
        }
    }

    fn number_if(&self, name: &str) -> Option<u64> {
        self.resolved(name)
            .value
            .is_some()
            .then(|| self.number(name))
    }

    fn size(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(usize::MAX)
    }

    fn duration(&self, name: &str) -> Duration {
        match self.value(name) {
            Value::Duration(span) => *span,
            other => mismatch(name, other),
        }
    }

    fn storage(&self) -> StorageConfig {
        let engine = self.text("storage");
        if storage::is_postgres(&engine) {
            StorageConfig::Postgres(self.postgres(engine))
        } else {
            StorageConfig::Duckdb(self.duckdb())
        }
    }

    fn duckdb(&self) -> staffa_duckdb::Options {
        staffa_duckdb::Options {
            memory_limit: Some(self.number("duckdb.memory_limit")),
            threads: self.size("duckdb.threads"),
            temp_directory: self.path_if("duckdb.temp_directory"),
            max_temp_bytes: self.number("duckdb.temp_bytes_max"),
            read_threads: self.size("duckdb.read_threads"),
            stream_threads: self.size("duckdb.stream_threads"),
            spool_bytes_max: self.number("duckdb.spool_bytes_max"),
            bulk_sessions_max: self.size("duckdb.bulk_sessions_max"),
            checkpoint_wal_bytes: self.number("duckdb.checkpoint_wal_bytes"),
            stream_idle_timeout: self.duration("http.stream_timeout"),
            query_timeout: self.duration("query_timeout"),
            ..staffa_duckdb::Options::new(self.path("data_dir"))
        }
    }

    fn postgres(&self, url: String) -> staffa_postgres::Options {
        let distribution = match self.text("postgres.distribution").as_str() {
            "citus" => staffa_postgres::Distribution::Citus,
            _ => staffa_postgres::Distribution::None,
        };
        staffa_postgres::Options {
            pool_size: self.size("postgres.pool_size"),
            stream_pool_size: self.size("postgres.stream_pool_size"),
            bulk_sessions_max: self.size("postgres.bulk_sessions_max"),
            write_lanes: self.size("postgres.write_lanes"),
            connect_timeout: self.duration("postgres.connect_timeout"),
            query_timeout: self.duration("query_timeout"),
            distribution,
            ..staffa_postgres::Options::new(url)
        }
    }

    fn http(&self) -> HttpConfig {
        HttpConfig {
            connections_max: self.size("http.connections_max"),
            connections_per_address_max: self.size("http.connections_per_address_max"),
            header_timeout: self.duration("http.header_timeout"),
            idle_timeout: self.duration("http.idle_timeout"),
            requests: staffa_http::Settings {
                requests_max: self.size("http.requests_max"),
                request_timeout: self.duration("http.request_timeout"),
                transfer_timeout: self.duration("http.transfer_timeout"),
                body_idle_timeout: self.duration("http.body_timeout"),
                stream_stall_timeout: self.duration("http.stream_timeout"),
                bodies_bytes_max: self.number("limits.bodies_bytes_max"),
                bulk_body_bytes_max: self.number_if("limits.bulk_bytes_max"),
                ..staffa_http::Settings::default()
            },
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            bulk_records_max: self.size("limits.bulk_records_max"),
            body_bytes_max: self.size("limits.body_bytes_max"),
            record_bytes_max: self.size("limits.record_bytes_max"),
            json_depth_max: self.size("limits.json_depth_max"),
            page_size_max: self.number("limits.page_size_max"),
            page_offset_max: self.number("limits.page_offset_max"),
            page_bytes_max: self.number("limits.page_bytes_max"),
            filter_depth_max: self.size("limits.filter_depth_max"),
            filter_conditions_max: self.size("limits.filter_conditions_max"),
            answers_bytes_max: self.number("limits.answers_bytes_max"),
            records_bytes_max: self.number("limits.records_bytes_max"),
            keys_kept_for: self.duration("idempotency.kept_for"),
            kept_answer_bytes_max: self.size("idempotency.answer_bytes_max"),
            jobs_running_max: self.size("jobs.running_max"),
            jobs_queued_max: self.size("jobs.queued_max"),
            spool_bytes_max: self.number("jobs.spool_bytes_max"),
            jobs_kept_for: self.duration("jobs.kept_for"),
            ..Limits::default()
        }
    }
}

fn mismatch(name: &str, value: &Value) -> ! {
    unreachable!("the setting {name} is read as another kind than {value:?}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn config(flags: &[(&'static str, &str)]) -> Config {
        let flags: BTreeMap<_, _> = flags.iter().map(|(n, t)| (*n, (*t).to_owned())).collect();
        let machine = Machine {
            cores: 2,
            memory_bytes: 1 << 30,
        };
        let inputs = Inputs {
            flags,
            environment: Vec::new(),
            file: None,
            machine,
        };
        Config::new(&resolve(&inputs).unwrap())
    }

    #[test]
    fn every_setting_is_read_as_its_kind() {
        let flags = [
            ("cursor_secret", "x"),
            ("duckdb.temp_directory", "/tmp"),
            ("limits.bulk_bytes_max", "2GiB"),
            ("http.connections_per_address_max", "7"),
        ];
        let embedded = config(&flags);
        assert_eq!(embedded.listen.port(), 8080);
        assert!(!embedded.schemas_set);
        assert_eq!(embedded.http.requests.bulk_body_bytes_max, Some(2 << 30));
        assert_eq!(embedded.http.requests.bodies_bytes_max, 256 << 20);
        assert_eq!(embedded.http.connections_per_address_max, 7);
        let StorageConfig::Duckdb(options) = embedded.storage else {
            panic!("another engine")
        };
        assert_eq!(
            (options.threads, options.memory_limit),
            (2, Some(512 << 20))
        );
        let server = config(&[
            ("storage", "postgres://h/d"),
            ("postgres.distribution", "citus"),
        ]);
        let StorageConfig::Postgres(options) = server.storage else {
            panic!("another engine")
        };
        assert_eq!(options.distribution, staffa_postgres::Distribution::Citus);
    }

    #[test]
    fn limits_have_the_defaults_of_the_use_cases() {
        assert_eq!(
            format!("{:?}", config(&[]).limits),
            format!("{:?}", Limits::default())
        );
    }
}
