//! The secret that signs cursors: the configured one, else one that was drawn once and is kept
//! where the records are.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use staffa_app::CursorKey;
use uuid::Uuid;

use crate::config::Config;

/// The file in the data folder.
const FILE_NAME: &str = "cursor.key";

/// The key. Servers that share a database must come to the same one: without a setting theirs
/// is the secret that the database keeps (`shared`); a server that shares nothing keeps its own.
pub(crate) fn key(config: &Config, shared: Option<&[u8]>) -> anyhow::Result<CursorKey> {
    let configured = config.cursor_secret.as_deref().map(str::as_bytes);
    if let Some(secret) = configured.or(shared) {
        return Ok(CursorKey::from_secret(secret));
    }
    let secret = kept(&config.data_dir).context("the key of cursors can't be kept")?;
    Ok(CursorKey::from_secret(&secret))
}

fn kept(folder: &Path) -> std::io::Result<Vec<u8>> {
    let path = folder.join(FILE_NAME);
    match fs::read(&path) {
        Ok(secret) if !secret.is_empty() => return Ok(secret),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Two random ids have 244 random bits.
    let secret = [*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat();
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(&secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn a_secret_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = kept(folder.path()).unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(kept(folder.path()).unwrap(), first);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(kept(other.path()).unwrap(), first);
    }
}
