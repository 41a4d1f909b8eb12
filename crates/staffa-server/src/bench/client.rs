//! A client that costs next to nothing: one connection, requests that are ready bytes, answers
//! that are counted rather than kept.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream as BlockingStream};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::answer::AnswerReader;

const BUFFER_BYTES: usize = 256 << 10;
/// How long a client without a deadline of its own waits for the next bytes.
const PATIENCE: Duration = Duration::from_secs(600);

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// How long its body was.
    pub(crate) body_bytes: u64,
}

/// A connection that is kept for many requests.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    reader: AnswerReader,
    buffer: Box<[u8]>,
}

impl Connection {
    /// A connection that is made when it is first needed.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self {
            address,
            stream: None,
            reader: AnswerReader::new(),
            buffer,
        }
    }

    /// Sends a request and reads its answer, handing the pieces of the body to `body`.
    pub(crate) async fn exchange(
        &mut self,
        request: &[u8],
        body: &mut dyn FnMut(&[u8]),
    ) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        stream.write_all(request).await?;
        self.reader.restart();
        while !self.reader.is_done() {
            let length = stream.read(&mut self.buffer).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.reader
                .feed(&self.buffer[..length], body)
                .map_err(io::Error::other)?;
        }
        // Only a connection whose last answer was whole is used again.
        if !self.reader.closes() {
            self.stream = Some(stream);
        }
        Ok(Answer {
            status: self.reader.status(),
            body_bytes: self.reader.body_bytes(),
        })
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The bytes of a GET.
pub(crate) fn get(path: &str, headers: &str) -> Bytes {
    Bytes::from(format!(
        "GET {path} HTTP/1.1\r\nhost: bench\r\n{headers}\r\n"
    ))
}

/// The bytes of a request with a body.
pub(crate) fn with_body(method: &str, path: &str, content_type: &str, body: &[u8]) -> Bytes {
    let mut request = head(method, path, content_type, body.len() as u64).into_bytes();
    request.extend_from_slice(body);
    Bytes::from(request)
}

fn head(method: &str, path: &str, content_type: &str, length: u64) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: {content_type}\r\n\
         content-length: {length}\r\n\r\n"
    )
}

/// A single exchange that may be large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    /// What came back.
    pub(crate) answer: Answer,
    /// From the first byte out to the last byte in.
    pub(crate) total: Duration,
}

/// Sends a file as a body. The kernel copies it to the socket, so it costs hardly anything.
pub(crate) fn upload(
    address: SocketAddr,
    path: &str,
    content_type: &str,
    file: &Path,
) -> io::Result<(Transfer, Vec<u8>)> {
    let mut file = File::open(file)?;
    let head = head("POST", path, content_type, file.metadata()?.len());
    let mut stream = connect(address)?;
    let started = Instant::now();
    stream.write_all(head.as_bytes())?;
    let sent = io::copy(&mut file, &mut stream);
    let mut body = Vec::new();
    let answered = receive(&mut stream, started, &mut |piece| {
        body.extend_from_slice(piece);
    });
    // A server may refuse a body before its end; then its answer says more than the pipe does.
    match (answered, sent) {
        (Ok(transfer), _) => Ok((transfer, body)),
        (Err(_), Err(error)) | (Err(error), _) => Err(error),
    }
}

/// Sends a small request and reads its answer whatever its size.
pub(crate) fn download(
    address: SocketAddr,
    request: &[u8],
    body: &mut dyn FnMut(&[u8]),
) -> io::Result<Transfer> {
    let mut stream = connect(address)?;
    let started = Instant::now();
    stream.write_all(request)?;
    receive(&mut stream, started, body)
}

/// How long the first byte of an answer takes; the rest is not waited for. None where the server
/// has too much to do.
pub(crate) fn first_byte(address: SocketAddr, request: &[u8]) -> io::Result<Option<Duration>> {
    let mut stream = connect(address)?;
    let started = Instant::now();
    stream.write_all(request)?;
    let mut reader = AnswerReader::new();
    let mut buffer = [0; 4096];
    while reader.body_bytes() == 0 {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let fed = reader.feed(&buffer[..length], &mut |_| ());
        fed.map_err(io::Error::other)?;
    }
    match reader.status() {
        200 => Ok(Some(started.elapsed())),
        503 => Ok(None),
        status => Err(io::Error::other(format!("the server said {status}"))),
    }
}

/// Asks for something small.
pub(crate) fn fetch(address: SocketAddr, request: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    let mut body = Vec::new();
    let transfer = download(address, request, &mut |piece| body.extend_from_slice(piece))?;
    Ok((transfer.answer.status, body))
}

fn connect(address: SocketAddr) -> io::Result<BlockingStream> {
    let stream = BlockingStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn receive(
    stream: &mut BlockingStream,
    started: Instant,
    body: &mut dyn FnMut(&[u8]),
) -> io::Result<Transfer> {
    let mut reader = AnswerReader::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    while !reader.is_done() {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reader
            .feed(&buffer[..length], body)
            .map_err(io::Error::other)?;
    }
    let answer = Answer {
        status: reader.status(),
        body_bytes: reader.body_bytes(),
    };
    Ok(Transfer {
        answer,
        total: started.elapsed(),
    })
}

#[cfg(test)]
mod tests {
    use super::{get, with_body};

    #[test]
    fn requests_are_ready_bytes() {
        assert_eq!(
            &get("/a", "accept: b\r\n")[..],
            b"GET /a HTTP/1.1\r\nhost: bench\r\naccept: b\r\n\r\n"
        );
        let request = with_body("POST", "/a", "text/csv", b"x,y");
        assert!(request.ends_with(b"content-length: 3\r\n\r\nx,y"));
    }
}
