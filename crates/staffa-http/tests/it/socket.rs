//! The accept loop on a real socket, and a client that sends what it likes.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use staffa_http::{ServeOptions, serve};

use crate::app::App;

/// How long a test waits for what must happen, so that it fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Serves one order, A-1.
    pub(crate) async fn start(options: ServeOptions) -> Self {
        Self::over(App::new().await.with_orders(1).await, options).await
    }

    pub(crate) async fn over(app: App, options: ServeOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listener, app.api, options, shutdown.clone()));
        Self {
            address,
            shutdown,
            task,
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection that takes little before somebody reads it.
    pub(crate) async fn connect_narrow(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Sends these bytes and reads until the server ends the connection, which it must do by
    /// itself.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let (mut input, mut output) = self.connect().await.into_split();
        let reading = async {
            let mut text = Vec::new();
            // A reset ends it too.
            let _ = input.read_to_end(&mut text).await;
            String::from_utf8_lossy(&text).into_owned()
        };
        // What the server does not take any more is of no interest.
        let (text, _) = in_time(async { tokio::join!(reading, output.write_all(bytes)) }).await;
        text
    }
}

/// Waits for what must happen.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.expect("what must happen did not")
}

/// Reads until the other side ends the connection.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset ends it too.
    let _ = in_time(stream.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads what comes first; nothing when the connection ended.
pub(crate) async fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = vec![0; 4_096];
    let len = in_time(stream.read(&mut text)).await.unwrap_or(0);
    String::from_utf8_lossy(&text[..len]).into_owned()
}
