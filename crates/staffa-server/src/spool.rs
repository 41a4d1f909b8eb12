//! The files of jobs, in a folder of this server alone.
//!
//! Servers that share a database may share a data folder too. So each takes a numbered folder of
//! its own below the one that it is given, the first that no other has locked: a server that is
//! started again finds its own.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use staffa_app::Jobs;
use staffa_domain::ports::{Spool, SpoolPart, SpoolWriter, Spooled};
use staffa_domain::{RecordId, StorageError};
use staffa_telemetry::Metrics;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::config::Config;

/// How much is read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// How many servers may share a folder.
const SERVERS_MAX: usize = 100;
/// The file that a server holds locked; it has the name of the spool in it.
const LOCK: &str = "spool";
/// The end of the name of a file in the making.
const UNFINISHED: &str = "part";

/// Files below a folder, which is touched when first needed.
#[derive(Debug)]
pub(crate) struct FileSpool {
    root: PathBuf,
    own: OnceCell<Arc<Own>>,
}

/// The folder that this server has to itself.
#[derive(Debug)]
struct Own {
    folder: PathBuf,
    name: String,
    /// Locked as long as this is here.
    _lock: File,
}

/// The jobs of this server, with their files where the configuration says.
pub(crate) fn jobs(config: &Config) -> Arc<Jobs> {
    let spool = Arc::new(FileSpool::at(config.jobs_dir()));
    Jobs::new(spool, staffa_http::tell_failure, &config.limits)
}

/// The jobs as `/metrics` shows them.
pub(crate) fn figures(jobs: &Jobs) -> String {
    let (running, queued) = jobs.count();
    let samples = [("running", running), ("queued", queued)];
    Metrics::gauge(
        "staffa_jobs",
        "Jobs of this process by state.",
        "state",
        &samples,
    )
}

impl FileSpool {
    /// A spool below this folder.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self {
            root,
            own: OnceCell::new(),
        }
    }

    async fn own(&self) -> Result<&Arc<Own>, StorageError> {
        let open = || async {
            let root = self.root.clone();
            blocking(move || Own::take(&root)).await.map(Arc::new)
        };
        self.own.get_or_try_init(open).await
    }
}

impl Own {
    fn take(root: &Path) -> std::io::Result<Self> {
        for number in 0..SERVERS_MAX {
            let folder = root.join(number.to_string());
            let mut options = fs::DirBuilder::new();
            options.recursive(true).mode(0o700).create(&folder)?;
            let path = folder.join(LOCK);
            let mut lock = OpenOptions::new();
            let lock = lock.read(true).write(true).create(true).truncate(false);
            let lock = lock.mode(0o600).open(&path)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let name = name(&path, &lock)?;
            remove_unfinished(&folder)?;
            File::open(root)?.sync_all()?;
            return Ok(Self {
                folder,
                name,
                _lock: lock,
            });
        }
        let message = "every folder for the files of jobs is taken by another server";
        Err(std::io::Error::other(message))
    }

    fn path(&self, job: RecordId, part: SpoolPart) -> PathBuf {
        self.folder.join(format!("{job}.{}", word(part)))
    }
}

/// The name that the spool was given when it was made.
fn name(path: &Path, mut lock: &File) -> std::io::Result<String> {
    let name = fs::read_to_string(path)?;
    if !name.is_empty() {
        return Ok(name);
    }
    let name = Uuid::new_v4().to_string();
    lock.write_all(name.as_bytes())?;
    lock.sync_all()?;
    Ok(name)
}

/// Removes what a process that was killed did not finish.
fn remove_unfinished(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == UNFINISHED) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

const fn word(part: SpoolPart) -> &'static str {
    match part {
        SpoolPart::Body => "body",
        SpoolPart::Causes => "causes",
        SpoolPart::Errors => "errors",
    }
}

#[async_trait]
impl Spool for FileSpool {
    async fn name(&self) -> Result<String, StorageError> {
        Ok(self.own().await?.name.clone())
    }

    async fn create(
        &self,
        job: RecordId,
        part: SpoolPart,
    ) -> Result<Box<dyn SpoolWriter>, StorageError> {
        create(self.own().await?.path(job, part)).await
    }

    async fn open(&self, job: RecordId, part: SpoolPart) -> Result<Option<Spooled>, StorageError> {
        let path = self.own().await?.path(job, part);
        let file = match tokio::fs::File::open(path).await {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(told(error)),
        };
        let bytes = file.metadata().await.map_err(told)?.len();
        let pieces = ReaderStream::with_capacity(file, CHUNK_BYTES);
        let pieces = pieces.map(|piece| piece.map(Vec::from).map_err(told));
        Ok(Some(Spooled {
            bytes,
            pieces: pieces.boxed(),
        }))
    }

    async fn remove(&self, job: RecordId, part: SpoolPart) -> Result<(), StorageError> {
        let path = self.own().await?.path(job, part);
        match tokio::fs::remove_file(path).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(told(error)),
            _ => Ok(()),
        }
    }

    async fn list(&self) -> Result<Vec<(RecordId, SpoolPart, u64)>, StorageError> {
        let own = Arc::clone(self.own().await?);
        blocking(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(&own.folder)? {
                let entry = entry?;
                let name = entry.file_name();
                let parts = name.to_str().and_then(|name| name.split_once('.'));
                let file = parts.and_then(|(job, end)| {
                    let part = SpoolPart::ALL.into_iter().find(|part| word(*part) == end)?;
                    Some((RecordId::from_str(job).ok()?, part))
                });
                if let Some((job, part)) = file {
                    found.push((job, part, entry.metadata()?.len()));
                }
            }
            Ok(found)
        })
        .await
    }
}

/// Begins a file that is there once it is finished.
pub(crate) async fn create(path: PathBuf) -> Result<Box<dyn SpoolWriter>, StorageError> {
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(format!(".{UNFINISHED}"));
    let unfinished = PathBuf::from(unfinished);
    let mut options = tokio::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(&unfinished).await.map_err(told)?;
    Ok(Box::new(Unfinished {
        file: Some(file),
        now: unfinished,
        path,
    }))
}

/// A file that has another name until it is finished.
#[derive(Debug)]
struct Unfinished {
    file: Option<tokio::fs::File>,
    now: PathBuf,
    path: PathBuf,
}

#[async_trait]
impl SpoolWriter for Unfinished {
    async fn write(&mut self, piece: &[u8]) -> Result<(), StorageError> {
        match &mut self.file {
            Some(file) => file.write_all(piece).await.map_err(told),
            None => Err(StorageError::internal("the file is finished")),
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StorageError> {
        let Some(mut file) = self.file.take() else {
            return Err(StorageError::internal("the file is finished"));
        };
        file.flush().await.map_err(told)?;
        file.sync_all().await.map_err(told)?;
        let (from, to) = (self.now.clone(), self.path.clone());
        blocking(move || {
            fs::rename(&from, &to)?;
            // Only then does the name outlive a power cut.
            match to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                Some(folder) => File::open(folder)?.sync_all(),
                None => File::open(".")?.sync_all(),
            }
        })
        .await
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Where it is finished there is nothing of this name.
        let _ = fs::remove_file(&self.now);
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(StorageError::internal)?.map_err(told)
}

fn told(error: std::io::Error) -> StorageError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StorageError::StorageFull,
        _ => StorageError::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn job(byte: u8) -> RecordId {
        RecordId::from_bytes([byte; 16])
    }

    #[tokio::test]
    async fn it_keeps_the_promises_of_the_port() {
        let folder = tempfile::tempdir().unwrap();
        let spool = FileSpool::at(folder.path().join("jobs"));
        staffa_testkit::spool::check_spool(&spool).await;
    }

    #[tokio::test]
    async fn nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let spool = FileSpool::at(folder.path().join("jobs"));
        let file = spool.create(job(1), SpoolPart::Body).await.unwrap();
        file.finish().await.unwrap();
        let path = spool.own().await.unwrap().path(job(1), SpoolPart::Body);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[tokio::test]
    async fn each_server_has_a_spool_of_its_own_and_finds_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let open = || FileSpool::at(folder.path().to_owned());
        let (one, two) = (open(), open());
        let name = one.name().await.unwrap();
        assert_ne!(two.name().await.unwrap(), name);
        let file = one.create(job(1), SpoolPart::Body).await.unwrap();
        file.finish().await.unwrap();
        assert_eq!(two.list().await.unwrap(), []);
        let own = &one.own().await.unwrap().folder;
        fs::write(own.join("x.body.part"), "cut").unwrap();
        drop(one);
        let again = open();
        assert_eq!(again.name().await.unwrap(), name);
        assert_eq!(again.list().await.unwrap().len(), 1);
        let own = &again.own().await.unwrap().folder;
        assert!(!own.join("x.body.part").exists());
    }
}
