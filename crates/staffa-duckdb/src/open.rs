//! Opening: a new file under a temporary name first, an old one only if it is ours.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use duckdb::{Config, Connection};
use staffa_domain::StorageError;
use staffa_domain::ports::Storage;

use crate::catalog::Catalog;
use crate::engine::{Engine, Link, PathClaim};
use crate::error::Fault;
use crate::lane::Lane;
use crate::monitor::Monitor;
use crate::options::Options;
use crate::page;
use crate::pool::Pool;
use crate::reader::Reader;
use crate::rows;
use crate::session::Writer;
use crate::upkeep::Upkeep;

/// The form of our own tables, raised when they change.
const FORMAT: i64 = 1;
const FILE: &str = "staffa.duckdb";

/// Why the storage cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder cannot be made or written.
    #[error("the data folder {} cannot be used: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is of some other program, or damaged.
    #[error("{} is not a Staffa database", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another process, or another part of this one, has it open.
    #[error("{} is open in another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote it.
    #[error("{} was written by a newer version", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// The engine failed.
    #[error("the engine cannot open {}: {message}", path.display())]
    Engine {
        /// The file.
        path: PathBuf,
        /// Its words.
        message: String,
    },
}

/// Opens the database in the data folder, making both where they are missing.
pub async fn open(options: Options) -> Result<Storage, OpenError> {
    let dir = options.data_dir.clone();
    tokio::task::spawn_blocking(move || open_blocking(options))
        .await
        .unwrap_or_else(|error| {
            let message = error.to_string();
            Err(OpenError::Engine { path: dir, message })
        })
}

fn open_blocking(options: Options) -> Result<Storage, OpenError> {
    let engine = open_engine(options)?;
    assemble(&engine).map_err(|error| OpenError::Engine {
        path: engine.path.clone(),
        message: format!("{error}: {error:?}"),
    })
}

/// Opens the file, made where it is missing.
pub(crate) fn open_engine(options: Options) -> Result<Arc<Engine>, OpenError> {
    let dir = prepare_folder(&options.data_dir)?;
    let path = dir.join(FILE);
    let claim = PathClaim::take(&path, Duration::from_secs(10))
        .ok_or_else(|| OpenError::Locked { path: path.clone() })?;
    if path.exists() {
        check_header(&path)?;
    } else {
        create(&dir, &path).map_err(|error| error.at(&path))?;
    }
    let root = open_instance(&options, &path)?;
    let root = Link::new(root, Arc::new(claim));
    // Commit numbers must rise across restarts: microseconds outrun any number of commits.
    let first_commit = crate::catalog::now_micros().unsigned_abs();
    Ok(Arc::new(Engine::new(options, path, root, first_commit)))
}

/// Opens the instance of a file that exists: ours, locked down. Nothing in this process may have
/// it open.
pub(crate) fn open_instance(options: &Options, path: &Path) -> Result<Connection, OpenError> {
    let root = connect(options, path).map_err(|error| error.at(path))?;
    check_format(&root, path)?;
    let log = root.execute_batch(CHANGES);
    log.map_err(|error| Trouble::from(error).at(path))?;
    for register in [rows::register, page::register] {
        register(&root).map_err(|error| Trouble::Engine(error).at(path))?;
    }
    configure(&root).map_err(|error| Trouble::Engine(error).at(path))?;
    Ok(root)
}

/// Starts the threads and puts the ports together.
pub(crate) fn assemble(engine: &Arc<Engine>) -> Result<Storage, StorageError> {
    crate::catalog::remember_all(engine)?;
    let lane = Arc::new(Lane::start(engine)?);
    let upkeep = Upkeep::start(Arc::clone(engine));
    let reader = Arc::new(Reader::start(engine)?);
    let writer = Arc::new(Writer::new(Arc::clone(engine), Arc::clone(&lane)));
    let schemas = Arc::new(Pool::start(engine, "catalog", 1)?);
    let catalog = Catalog::new(Arc::clone(engine), Arc::clone(&lane), Arc::clone(&schemas));
    Ok(Storage {
        catalog: Arc::new(catalog),
        writer: Arc::<Writer>::clone(&writer),
        reader: Arc::<Reader>::clone(&reader),
        monitor: Arc::new(Monitor {
            engine: Arc::clone(engine),
            lane,
            schemas,
            writer,
            reader,
            upkeep,
        }),
    })
}

fn prepare_folder(path: &Path) -> Result<PathBuf, OpenError> {
    let folder = |source| OpenError::Folder {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(folder)?;
    let dir = path.canonicalize().map_err(folder)?;
    let probe = dir.join(".staffa-writable");
    File::create(&probe).map_err(folder)?;
    fs::remove_file(&probe).map_err(folder)?;
    Ok(dir)
}

/// Looks at the first bytes, so that garbage gets a plain answer before the engine sees it.
fn check_header(path: &Path) -> Result<(), OpenError> {
    let mut header = [0_u8; 12];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Ok(()) if &header[8..] == b"DUCK" => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::PermissionDenied => Err(OpenError::Folder {
            path: path.to_owned(),
            source,
        }),
        _ => Err(OpenError::Foreign {
            path: path.to_owned(),
        }),
    }
}

enum Trouble {
    Io(io::Error),
    Engine(Fault),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<duckdb::Error> for Trouble {
    fn from(error: duckdb::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl Trouble {
    fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        let fault = match self {
            Self::Io(source) => return OpenError::Folder { path, source },
            Self::Engine(fault) => fault,
        };
        if fault.text.contains("Could not set lock") {
            OpenError::Locked { path }
        } else if fault.text.contains("newer version of DuckDB") {
            OpenError::Newer { path }
        } else if fault.text.contains("not a valid DuckDB") {
            OpenError::Foreign { path }
        } else {
            let message = fault.text;
            OpenError::Engine { path, message }
        }
    }
}

/// Makes a new file under another name and moves it into place when it is whole: a crash
/// while the engine makes a file leaves one that nothing can open. Our own SQL schema is not
/// `staffa`, since that is what the engine calls the file.
fn create(dir: &Path, path: &Path) -> Result<(), Trouble> {
    let new = dir.join("staffa.duckdb.new");
    for leftover in [new.clone(), dir.join("staffa.duckdb.new.wal")] {
        match fs::remove_file(leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let connection = Connection::open_with_flags(&new, base_config()?)?;
    connection.execute_batch(&format!(
        "CREATE SCHEMA staffa_catalog; CREATE SCHEMA records;
         CREATE TABLE staffa_catalog.meta (application VARCHAR NOT NULL, format BIGINT NOT NULL);
         INSERT INTO staffa_catalog.meta VALUES ('staffa', {FORMAT});
         CREATE TABLE staffa_catalog.schemas (
             name VARCHAR NOT NULL, version INTEGER NOT NULL, document VARCHAR NOT NULL,
             created_at TIMESTAMP NOT NULL, current BOOLEAN NOT NULL);
         CHECKPOINT"
    ))?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, path)?;
    File::open(dir)?.sync_all()?;
    Ok(())
}

/// What must hold before the engine replays its log.
fn base_config() -> Result<Config, duckdb::Error> {
    Config::default()
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("allow_community_extensions", "false")?
        .with("allow_unsigned_extensions", "false")?
        .with("allow_persistent_secrets", "false")?
        .with("allow_unredacted_secrets", "false")
}

fn connect(options: &Options, path: &Path) -> Result<Connection, Trouble> {
    let temp = options.temp_folder(path);
    // The engine's own checkpoint inside a commit is a last resort behind our thread's.
    let threshold = options.checkpoint_wal_bytes.saturating_mul(4);
    let mut config = base_config()?
        .with("arrow_lossless_conversion", "true")?
        .with("threads", options.threads.max(1).to_string())?
        .with("write_buffer_row_group_count", "1")?
        .with("temp_directory", temp.to_string_lossy())?
        .with("max_temp_directory_size", bytes(options.max_temp_bytes))?
        .with("checkpoint_threshold", bytes(threshold))?
        .with("auto_checkpoint_skip_wal_threshold", threshold.to_string())?;
    if let Some(limit) = options.memory_limit {
        config = config.with("memory_limit", bytes(limit))?;
    }
    Ok(Connection::open_with_flags(path, config)?)
}

fn bytes(count: u64) -> String {
    format!("{}KiB", count.div_ceil(1024))
}

/// How versions came about: files that were made before this was kept get it when opened.
const CHANGES: &str = "CREATE TABLE IF NOT EXISTS staffa_catalog.changes (
    name VARCHAR NOT NULL, version INTEGER NOT NULL, steps VARCHAR NOT NULL,
    records BIGINT NOT NULL, duration_micros BIGINT NOT NULL)";

fn check_format(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let path = path.to_owned();
    let statement = "SELECT format FROM staffa_catalog.meta WHERE application = 'staffa'";
    match connection.query_row(statement, [], |row| row.get::<_, i64>(0)) {
        Ok(format) if format <= FORMAT => Ok(()),
        Ok(_) => Err(OpenError::Newer { path }),
        Err(_) => Err(OpenError::Foreign { path }),
    }
}

/// The settings that connections change later.
const CHANGEABLE: &str = "'max_execution_time', 'operator_memory_limit',
    'late_materialization_max_rows', 'preserve_insertion_order'";
/// The engine's own fault switches, for tests of what happens after a fault.
#[cfg(test)]
const FAULT_SWITCHES: &str = ", 'debug_checkpoint_abort', 'debug_force_commit_failure'";
#[cfg(not(test))]
const FAULT_SWITCHES: &str = "";

/// What the engine keeps numbers in that have no short decimal form: it saves a file of them an
/// eighth, and takes half as much again to read them. The engine forgets this setting where it is
/// given with the others.
const UNWANTED_COMPRESSION: &str = "alprd";

/// Makes the settings that an open engine takes, and shuts it off from everything but its own
/// files.
fn configure(connection: &Connection) -> Result<(), Fault> {
    Ok(connection.execute_batch(&format!(
        "SET GLOBAL disabled_compression_methods = '{UNWANTED_COMPRESSION}';
         SET allowed_configs = [{CHANGEABLE}{FAULT_SWITCHES}];
         SET enable_external_access = false;
         SET lock_configuration = true"
    ))?)
}
