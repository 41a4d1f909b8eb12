//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::body::Body;
use http::header::CONTENT_LENGTH;
use http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::Server;
use super::guarded::Guarded;
use super::pulse::{HeldBody, Pulse};
use super::streams::Taking;

pub(super) async fn run(server: &Server, stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection was lost before it began");
        return;
    }
    let options = &server.options;
    let pulse = Arc::new(Pulse::default());
    let io = TokioIo::new(Guarded::new(stream, Arc::clone(&pulse), options));
    let service = service_fn(|request: Request<Incoming>| {
        let beat = pulse.start();
        let may_chunk = request.version() >= Version::HTTP_11;
        let answer = server.api.clone().call(request.map(Body::new));
        async move {
            let Ok(response) = answer.await;
            let has_end = may_chunk || response.headers().contains_key(CONTENT_LENGTH);
            let hold = |body| HeldBody::new(body, beat, Taking::current(), has_end);
            Ok::<_, Infallible>(response.map(hold))
        }
    });
    let mut connection = pin!(server.builder.serve_connection(io, service));
    let mut idle = pin!(pulse.idle(options.idle_timeout));
    let mut is_closing = false;
    let done = loop {
        tokio::select! {
            done = connection.as_mut() => break done,
            () = server.shutdown.cancelled(), if !is_closing => {}
            // A client that was told and still does not hang up is left.
            () = idle.as_mut() => match is_closing {
                true => return,
                false => idle.set(pulse.idle(options.idle_timeout)),
            },
            () = server.kill.cancelled() => return,
        }
        is_closing = true;
        connection.as_mut().graceful_shutdown();
    };
    if let Err(error) = done {
        tracing::debug!(%error, "the connection ended early");
    }
}
