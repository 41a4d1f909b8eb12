//! The server that is measured: one that was named, or a child of this process with a data
//! folder of its own.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{client, data};

/// How long a server may take until it is ready, and until it is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where it stores, below its folder.
const DATA: &str = "data";

/// One address has all connections there are.
const CONNECTIONS_MAX: &str = "4096";

/// A server to be measured.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    /// Where it tells its metrics, where it is ours.
    admin: Option<SocketAddr>,
    child: Option<Child>,
    // Goes after the child has ended.
    folder: Option<TempDir>,
}

impl Server {
    /// A server that runs already.
    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .with_context(|| format!("{url} is no http URL"))?;
        let authority = rest.split('/').next().unwrap_or(rest);
        let mut addresses = authority
            .to_socket_addrs()
            .with_context(|| format!("{authority} is no address with a port"))?;
        let address = addresses
            .next()
            .with_context(|| format!("{authority} has no address"))?;
        Ok(Self {
            address,
            admin: None,
            child: None,
            folder: None,
        })
    }

    /// Starts a server on an empty data folder below `work`, with the benchmark's schemas.
    pub(crate) fn start(work: &Path, flags: &[String]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("server-")
            .tempdir_in(work)?;
        let schemas = folder.path().join("schemas");
        fs::create_dir(&schemas)?;
        for (name, declared) in data::SCHEMAS {
            fs::write(
                schemas.join(format!("{name}.yaml")),
                data::document(name, declared),
            )?;
        }
        let (address, admin) = (free_address()?, free_address()?);
        let log = folder.path().join("server.log");
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "--listen", &address.to_string()])
            .args(["--admin-listen", &admin.to_string(), "--log-level", "warn"])
            .args(["--http-connections-per-address-max", CONNECTIONS_MAX])
            .arg("--data-dir")
            .arg(folder.path().join(DATA))
            .arg("--schemas")
            .arg(&schemas)
            .args(flags)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("the server can't be started")?;
        let mut server = Self {
            address,
            admin: Some(admin),
            child: Some(child),
            folder: Some(folder),
        };
        if let Err(error) = server.await_ready() {
            let log = fs::read_to_string(&log).unwrap_or_default();
            return Err(error.context(log.trim().to_owned()));
        }
        Ok(server)
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, where it is ours.
    pub(crate) fn process(&self) -> Option<String> {
        self.child.as_ref().map(|child| child.id().to_string())
    }

    /// Its data folder, where it is ours.
    pub(crate) fn data_folder(&self) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(folder.path().join(DATA))
    }

    /// What one of its metrics without labels stands at.
    pub(crate) fn gauge(&self, name: &str) -> anyhow::Result<f64> {
        let admin = self.admin.context("the server is not ours")?;
        let (_, text) = client::fetch(admin, &client::get("/metrics", ""))?;
        let text = String::from_utf8_lossy(&text);
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .with_context(|| format!("there is no metric {name}"))?;
        Ok(value.trim().parse()?)
    }

    fn await_ready(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                bail!("the server ended with {status}");
            }
            let answer = client::fetch(self.address, &client::get("/health/ready", ""));
            if answer.is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the server was not ready in time")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // Whatever fails here, the last word is the kill.
        let _ = kill_process(Pid::from_child(child), Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// An address that nobody listens on just now.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn a_server_is_named_by_its_url() {
        let server = Server::at("http://127.0.0.1:8080/").unwrap();
        assert_eq!(server.address().to_string(), "127.0.0.1:8080");
        assert!(server.process().is_none());
        assert!(Server::at("127.0.0.1:8080").is_err());
        assert!(Server::at("http://127.0.0.1").is_err());
    }
}
