//! An HTTP/1.1 and HTTP/2 server, plain or over TLS, that answers by a script.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;

use super::Recorder;
use super::accept::{Accepted, Connection, Listening, Transport};
use crate::net::Machine;

/// A request as the server got it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The connection that it came on.
    pub connection: Connection,
    /// As `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// As `GET`.
    pub method: String,
    /// The `Host` header or the `:authority`.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// All headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

/// What the server answers.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers, in this order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How long to wait before it.
    pub delay: Duration,
}

/// The running server; dropped, it closes with all its connections.
pub struct HttpServer {
    listening: Listening,
    requests: Recorder<Request>,
}

impl HttpServer {
    /// Serves on `address` of `machine` (port 0: one that is free), answering by `script`.
    #[track_caller]
    pub fn start(
        machine: &Machine,
        address: SocketAddr,
        transport: Transport,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let requests = Recorder::new();
        let recorder = requests.clone();
        let script = Arc::new(script);
        let listening = Listening::start(
            machine,
            address,
            transport,
            |_| {},
            move |accepted| serve(accepted, script.clone(), recorder.clone()),
        );
        Self {
            listening,
            requests,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// The requests that came.
    pub fn requests(&self) -> &Recorder<Request> {
        &self.requests
    }

    /// The connections that came, with or without a request.
    pub fn connections(&self) -> &Recorder<Connection> {
        &self.listening.connections
    }
}

impl Request {
    /// The first value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Reply {
    /// 200 with this text.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200, body)
    }

    /// This status with this text.
    pub fn status(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), "text/plain".into())],
            body: body.into(),
            delay: Duration::ZERO,
        }
    }

    /// 200 and one line that tells the caller how the server saw it.
    pub fn describing(request: &Request) -> Self {
        let Request {
            connection,
            version,
            method,
            host,
            path,
            ..
        } = request;
        let tls = connection.tls.as_ref().map_or_else(String::new, |tls| {
            let peer = tls.peer.as_ref().map_or("none", |peer| &peer.subject);
            format!(" over {} with client certificate {peer}", tls.version)
        });
        let source = connection.peer.ip();
        Self::ok(format!(
            "{method} {host}{path} {version} from {source}{tls}\n"
        ))
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Only after this time.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

async fn serve<S>(accepted: Accepted, script: Arc<S>, recorder: Recorder<Request>)
where
    S: Fn(&Request) -> Reply + Send + Sync + 'static,
{
    let Accepted { stream, connection } = accepted;
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (script, recorder, connection) = (script.clone(), recorder.clone(), connection.clone());
        async move {
            let seen = seen(request, connection).await;
            let reply = script(&seen);
            recorder.push(seen);
            tokio::time::sleep(reply.delay).await;
            Ok::<_, Infallible>(response(reply))
        }
    });
    // A client that goes away in the middle is part of many tests.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn seen(request: hyper::Request<Incoming>, connection: Connection) -> Request {
    let (head, body) = request.into_parts();
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        })
        .collect();
    let host = head.uri.authority().map(ToString::to_string).or_else(|| {
        let host = headers.iter().find(|(name, _)| name == "host");
        host.map(|(_, value)| value.clone())
    });
    Request {
        connection,
        version: format!("{:?}", head.version),
        method: head.method.to_string(),
        host: host.unwrap_or_default(),
        path: head
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        headers,
        // A body that broke off is recorded as empty; the client has its own view of it.
        body: body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default(),
    }
}

fn response(reply: Reply) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    response
        .body(Full::new(reply.body))
        .expect("the test's script names a valid status and headers")
}
