//! Records as a stream: encoded by a task of its own, handed to the connection through a
//! short queue. It is complete, or it ends visibly broken.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow_array::RecordBatch;
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::StreamExt;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use staffa_app::{Error, Stage, StreamView};
use staffa_codec::encode::{BatchEncoder, EncodeError, OutputFormat, encoder};
use staffa_domain::ports::RecordStream;

use super::pieces::Cutter;
use crate::exchange::Exchange;
use crate::from_wire::stream::Form;
use crate::problem::Problem;

const ROW_COUNT: HeaderName = HeaderName::from_static("x-row-count");
const STREAM_STATUS: HeaderName = HeaderName::from_static("x-stream-status");
/// Pieces between the encoder and the connection.
const QUEUE_LEN: usize = 4;
/// Bytes of one piece at most: some formats write a whole group of records at once.
const PIECE_BYTES_MAX: usize = 256 << 10;

/// Starts the answer once the engine has given its first batch: until then an error is still
/// a problem document.
pub(crate) async fn stream(
    exchange: &Arc<Exchange>,
    view: StreamView,
    form: Form,
) -> Result<Response, Problem> {
    let StreamView {
        schema,
        select,
        mut batches,
    } = view;
    let first = exchange
        .context
        .time_async(Stage::Engine, batches.next())
        .await;
    let first = first
        .transpose()
        .map_err(|error| Problem::from(Error::from(error)))?;
    let file = format!(
        "attachment; filename=\"{}.{}\"",
        schema.name(),
        extension(form.format)
    );
    let file = HeaderValue::try_from(file).map_err(Problem::internal)?;
    let encoder = encoder(form.format, &schema, select.as_deref(), form.shape);
    let kind = HeaderValue::from_static(encoder.content_type());
    let (pieces, queue) = mpsc::channel(QUEUE_LEN);
    let task = Task {
        exchange: Arc::clone(exchange),
        form,
        pieces,
        cutter: Cutter::default(),
        rows: 0,
    };
    tokio::spawn(task.run(encoder, first, batches));
    let mut response = Response::new(Body::new(Pieces { queue, end: None }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_DISPOSITION, file);
    headers.insert(
        TRAILER,
        HeaderValue::from_static("X-Row-Count, X-Stream-Status"),
    );
    Ok(response)
}

/// What a browser calls the file that it stores rather than shows.
const fn extension(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::NdJson => "ndjson",
        OutputFormat::Csv => "csv",
        OutputFormat::ArrowStream => "arrows",
        OutputFormat::Parquet => "parquet",
    }
}

/// What the task has encoded. Its last piece are the trailers: one that ends without them was
/// given up, for whatever reason, and ends in an error.
struct Pieces {
    queue: mpsc::Receiver<Frame<Bytes>>,
    end: Option<End>,
}

#[derive(PartialEq)]
enum End {
    Whole,
    Broken,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        let frame = ready!(self.queue.poll_recv(cx));
        self.end = match &frame {
            Some(frame) => frame.is_trailers().then_some(End::Whole),
            None => Some(End::Broken),
        };
        // The connection then ends without a final chunk, which tells the client.
        Poll::Ready(Some(frame.ok_or(BrokenOff)))
    }

    fn is_end_stream(&self) -> bool {
        self.end == Some(End::Whole)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the stream broke off")]
struct BrokenOff;

type Encoder = Box<dyn BatchEncoder>;

/// Where a stream is encoded.
enum Encoding {
    /// By its task, a piece at a time.
    Here(Encoder),
    /// Away from the threads that serve other requests, since each batch takes long.
    Aside(Aside),
}

impl Encoding {
    fn new(format: OutputFormat, encoder: Encoder) -> io::Result<Self> {
        if format.writes_groups() {
            Aside::start(encoder).map(Self::Aside)
        } else {
            Ok(Self::Here(encoder))
        }
    }
}

/// An encoder on a thread that it has until the end of its stream. A turn on whichever thread is
/// free would cost memory, which the allocator keeps for each thread that ever had one.
struct Aside(mpsc::Sender<Turn>);

/// A batch, or the end, and where the bytes go.
type Turn = (
    Option<RecordBatch>,
    oneshot::Sender<Result<Vec<u8>, EncodeError>>,
);

impl Aside {
    fn start(mut encoder: Encoder) -> io::Result<Self> {
        let (turns, mut inbox) = mpsc::channel::<Turn>(1);
        let work = move || {
            give_way();
            while let Some((batch, answer)) = inbox.blocking_recv() {
                let mut out = Vec::new();
                let done = match batch {
                    Some(batch) => encoder.encode(&batch, &mut out),
                    None => encoder.finish(&mut out),
                };
                // Nobody waits for it where the client has gone.
                let _ = answer.send(done.map(|()| out));
            }
        };
        // Not one of those that other work waits for: a slow client has it for long.
        let thread = std::thread::Builder::new().name("staffa-encode".to_owned());
        thread.spawn(work)?;
        Ok(Self(turns))
    }

    /// The bytes of a batch, or of the end.
    async fn encode(&self, batch: Option<RecordBatch>) -> Result<Vec<u8>, String> {
        let gone = "the encoder has gone";
        let (answer, bytes) = oneshot::channel();
        self.0.send((batch, answer)).await.map_err(|_| gone)?;
        let bytes = bytes.await.map_err(|_| gone)?;
        bytes.map_err(|error| error.to_string())
    }
}

/// Lets other threads go first where there is more to do than the cores can, as the engine does
/// with its own of streams: a nice value of 10 is a tenth of a core that others want as well. Linux
/// alone has priorities of threads.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!(%error, "an encoder's priority stays as it is");
    }
}

struct Task {
    exchange: Arc<Exchange>,
    form: Form,
    pieces: mpsc::Sender<Frame<Bytes>>,
    cutter: Cutter,
    rows: u64,
}

impl Task {
    async fn run(mut self, encoder: Encoder, first: Option<RecordBatch>, batches: RecordStream) {
        let pieces = self.pieces.clone();
        let deadline = self.exchange.settings.transfer_timeout;
        let done = tokio::select! {
            done = timeout(deadline, self.send_all(encoder, first, batches)) => match done {
                Ok(done) => done,
                Err(_) => Err("it took longer than it may".to_owned()),
            },
            // The client is gone: the engine's query is dropped, whatever it is doing.
            () = pieces.closed() => return,
        };
        if let Err(fault) = done {
            let request_id = self.exchange.request_id();
            tracing::warn!(request_id, fault, rows = self.rows, "the stream broke off");
        }
    }

    async fn send_all(
        &mut self,
        mut encoder: Encoder,
        first: Option<RecordBatch>,
        mut batches: RecordStream,
    ) -> Result<(), String> {
        let mut head = Vec::new();
        encoder
            .start(&mut head)
            .map_err(|error| error.to_string())?;
        self.send_bytes(head).await?;
        let encoding = Encoding::new(self.form.format, encoder);
        let mut encoding = encoding.map_err(|error| error.to_string())?;
        let mut next = first;
        while let Some(batch) = next {
            self.send_batch(&mut encoding, batch).await?;
            let exchange = Arc::clone(&self.exchange);
            let more = exchange
                .context
                .time_async(Stage::Engine, batches.next())
                .await;
            next = more.transpose().map_err(|error| format!("{error:?}"))?;
        }
        // The thread ends with the encoder, however long the client takes for the rest.
        let mut tail = match encoding {
            Encoding::Aside(aside) => self.encode(&aside, None).await?,
            Encoding::Here(mut encoder) => {
                let mut tail = Vec::new();
                let done = encoder.finish(&mut tail);
                done.map_err(|error| error.to_string())?;
                tail
            }
        };
        if self.form.end_marker {
            let line = format!(
                "{{\"$end\":{{\"rows\":{},\"status\":\"complete\"}}}}\n",
                self.rows
            );
            tail.extend_from_slice(line.as_bytes());
        }
        self.send_bytes(tail).await?;
        self.send(Frame::trailers(self.trailers())).await
    }

    async fn send_batch(
        &mut self,
        encoding: &mut Encoding,
        batch: RecordBatch,
    ) -> Result<(), String> {
        match encoding {
            Encoding::Here(encoder) => self.send_in_pieces(encoder.as_mut(), &batch).await,
            Encoding::Aside(aside) => {
                let rows = batch.num_rows();
                let out = self.encode(aside, Some(batch)).await?;
                self.exchange.context.count_records(rows);
                self.rows += rows as u64;
                self.send_bytes(out).await
            }
        }
    }

    async fn encode(&self, aside: &Aside, batch: Option<RecordBatch>) -> Result<Vec<u8>, String> {
        let encoded = aside.encode(batch);
        self.exchange
            .context
            .time_async(Stage::Encode, encoded)
            .await
    }

    async fn send_in_pieces(
        &mut self,
        encoder: &mut dyn BatchEncoder,
        batch: &RecordBatch,
    ) -> Result<(), String> {
        let mut from = 0;
        while let Some(piece) = self.cutter.cut(batch, from) {
            let mut out = Vec::with_capacity(128 << 10);
            let context = &self.exchange.context;
            context
                .time(Stage::Encode, || encoder.encode(&piece, &mut out))
                .map_err(|error| error.to_string())?;
            context.count_records(piece.num_rows());
            self.cutter.learn(piece.num_rows(), out.len());
            from += piece.num_rows();
            self.rows += piece.num_rows() as u64;
            self.send_bytes(out).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn send_bytes(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        let mut bytes = Bytes::from(bytes);
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES_MAX));
            self.send(Frame::data(piece)).await?;
        }
        Ok(())
    }

    async fn send(&mut self, frame: Frame<Bytes>) -> Result<(), String> {
        let stall = self.exchange.settings.stream_stall_timeout;
        let sent = self.pieces.send_timeout(frame, stall).await;
        sent.map_err(|_| "the client takes nothing".to_owned())
    }

    fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(2);
        trailers.insert(ROW_COUNT, HeaderValue::from(self.rows));
        trailers.insert(STREAM_STATUS, HeaderValue::from_static("complete"));
        trailers
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use arrow_array::RecordBatch;
    use staffa_codec::encode::{BatchEncoder, EncodeError};

    use super::Aside;

    /// The nice value of the thread that asks.
    fn nice() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("a stat");
        let (_, rest) = stat.rsplit_once(") ").expect("a name");
        // proc_pid_stat(5): the nineteenth field, of which two come before these.
        let field = rest.split(' ').nth(16).expect("a nineteenth field");
        field.parse().expect("a number")
    }

    /// Writes the priority of the thread that it is called on.
    #[derive(Debug)]
    struct Telling;

    impl BatchEncoder for Telling {
        fn content_type(&self) -> &'static str {
            "text/plain"
        }

        fn start(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
            Ok(())
        }

        fn encode(&mut self, _batch: &RecordBatch, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
            Ok(())
        }

        fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
            out.extend(nice().to_string().into_bytes());
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_encoder_aside_gives_way() {
        let aside = Aside::start(Box::new(Telling)).expect("a thread");
        let told = aside.encode(None).await.expect("an answer");
        let expected = (nice() + 10).min(19);
        assert_eq!(String::from_utf8(told).expect("text"), expected.to_string());
    }
}
