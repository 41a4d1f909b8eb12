//! A relay before the server that cuts a connection at a word of the client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// When to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the server hears the word.
    Before(&'static str),
    /// After it, and before the client hears the answer.
    After(&'static str),
}

/// What the relay is to do and what it did.
#[derive(Debug, Default)]
struct State {
    cut: Mutex<Option<Cut>>,
    commits: AtomicUsize,
    refuses: AtomicBool,
}

/// A relay that ends with the runtime of its test.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

impl Proxy {
    pub(crate) async fn start(server: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.refuses.load(Ordering::SeqCst) {
                    continue;
                }
                tokio::spawn(relay(client, server.clone(), Arc::clone(&shared)));
            }
        });
        Self { port, state }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the next connection whose client says the word; only that one.
    pub(crate) fn arm(&self, cut: Cut) {
        *self.state.cut.lock() = Some(cut);
    }

    /// Whether to close new connections at once; those there are stay.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::SeqCst);
    }

    /// How often clients have asked for a commit.
    pub(crate) fn commits(&self) -> usize {
        self.state.commits.load(Ordering::SeqCst)
    }
}

async fn relay(client: TcpStream, server: Config, state: Arc<State>) {
    let port = server.get_ports().first().copied().unwrap_or(5432);
    match server.get_hosts().first() {
        Some(Host::Unix(folder)) => {
            let socket = folder.join(format!(".s.PGSQL.{port}"));
            let server = UnixStream::connect(socket).await.expect("a server");
            pass(client, server, &state).await;
        }
        Some(Host::Tcp(name)) => {
            let server = TcpStream::connect((name.as_str(), port)).await;
            pass(client, server.expect("a server"), &state).await;
        }
        None => panic!("the address names no host"),
    }
}

/// Passes bytes both ways until one side ends or the cut comes.
async fn pass(
    mut client: TcpStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    state: &State,
) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(len @ 1..) = read else { return };
                let said = &asked[..len];
                // The word ends there: BEGIN speaks of READ COMMITTED.
                if says(said, "COMMIT\0") {
                    state.commits.fetch_add(1, Ordering::SeqCst);
                }
                let cut = state.cut.lock().take_if(|cut| match cut {
                    Cut::Before(word) | Cut::After(word) => says(said, word),
                });
                if matches!(cut, Some(Cut::Before(_))) {
                    return;
                }
                if server.write_all(said).await.is_err() {
                    return;
                }
                if cut.is_some() {
                    // The answer shows that the server is through with it.
                    let _ = server.read(&mut answered).await;
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(len @ 1..) = read else { return };
                if client.write_all(&answered[..len]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn says(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|part| part == word.as_bytes())
}
