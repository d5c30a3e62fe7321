//! HTTP calls as an app makes them: by name, through the machine's own resolver.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;

use super::dial::{Dial, DialError, Dialed, dial};
use crate::dns;
use crate::net::Machine;
use crate::tls::Session;

/// A call that is being described; [`Call::send`] makes it.
#[derive(Clone)]
#[must_use = "a call is made by `send`"]
pub struct Call {
    method: Method,
    url: Uri,
    headers: Vec<(String, String)>,
    body: Bytes,
    to: Option<SocketAddr>,
    tls: Option<Arc<rustls::ClientConfig>>,
    http2: bool,
    timeout: Duration,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// As `HTTP/1.1`.
    pub version: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The address that we called from.
    pub local: SocketAddr,
    /// What the server showed, for `https`.
    pub tls: Option<Session>,
    /// From the start of the connection to the end of the body.
    pub elapsed: Duration,
}

/// Why nothing came back, or not all.
#[derive(Debug)]
pub enum CallError {
    /// The name has no address, or nobody answered.
    Resolve(String),
    /// There is no connection.
    Dial(DialError),
    /// The connection stood, the exchange failed.
    Exchange(hyper::Error),
    /// Not done in time.
    Timeout,
}

impl Call {
    /// A GET of this URL. Its scheme decides on TLS.
    #[track_caller]
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// Any method on this URL.
    #[track_caller]
    pub fn new(method: &str, url: &str) -> Self {
        let uri: Uri = url
            .parse()
            .unwrap_or_else(|error| panic!("`{url}` is no URL: {error}"));
        assert!(uri.host().is_some(), "`{url}` has no host");
        Self {
            method: method
                .parse()
                .unwrap_or_else(|_| panic!("`{method}` is no method")),
            url: uri,
            headers: Vec::new(),
            body: Bytes::new(),
            to: None,
            tls: None,
            http2: false,
            timeout: Duration::from_secs(15),
        }
    }

    /// With this header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// To this address, without asking DNS.
    pub fn to(mut self, address: SocketAddr) -> Self {
        self.to = Some(address);
        self
    }

    /// With this TLS, which `https` needs, see [`crate::tls::client`].
    pub fn tls(mut self, config: &Arc<rustls::ClientConfig>) -> Self {
        self.tls = Some(config.clone());
        self
    }

    /// In HTTP/2, with prior knowledge where there is no TLS.
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Within this time. Default 15 seconds.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the call from `machine`, on a connection of its own.
    pub fn send(&self, machine: &Machine) -> Result<Response, CallError> {
        machine.block_on(self.future(machine))
    }

    /// The call as a future to be awaited on `machine`, to make many at once.
    pub fn future(
        &self,
        machine: &Machine,
    ) -> impl Future<Output = Result<Response, CallError>> + Send + 'static {
        let call = self.clone();
        let resolvers = machine.dns().to_vec();
        async move {
            let limit = call.timeout;
            timeout(limit, call.exchange(&resolvers))
                .await
                .unwrap_or(Err(CallError::Timeout))
        }
    }

    async fn exchange(self, resolvers: &[std::net::IpAddr]) -> Result<Response, CallError> {
        let host = self.url.host().unwrap_or_default();
        let secure = self.url.scheme_str() == Some("https");
        let port = self.url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let address = match self.to {
            Some(address) => address,
            None => SocketAddr::new(resolve(host, resolvers).await?, port),
        };
        let begun = Instant::now();
        let mut how = Dial::to(address).within(self.timeout);
        if secure {
            let config = self
                .tls
                .as_ref()
                .unwrap_or_else(|| panic!("{} needs `Call::tls`", self.url));
            how = how.tls(config, host);
        }
        let Dialed { stream, local, tls } = dial(&how).await.map_err(CallError::Dial)?;
        let io = TokioIo::new(stream);
        let response = if self.http2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                    .await
                    .map_err(CallError::Exchange)?;
            tokio::spawn(connection);
            whole(sender.send_request(self.request()).await).await
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
                .await
                .map_err(CallError::Exchange)?;
            tokio::spawn(connection);
            whole(sender.send_request(self.request()).await).await
        };
        let (head, body) = response.map_err(CallError::Exchange)?.into_parts();
        Ok(Response {
            status: head.status.as_u16(),
            version: format!("{:?}", head.version),
            headers: head.headers,
            body,
            local,
            tls,
            elapsed: begun.elapsed(),
        })
    }

    fn request(&self) -> http::Request<Full<Bytes>> {
        let builder = http::Request::builder().method(self.method.clone());
        // HTTP/2 takes scheme and authority from the URL; HTTP/1.1 has a path and a Host.
        let mut builder = if self.http2 {
            builder.version(Version::HTTP_2).uri(self.url.clone())
        } else {
            let path = self.url.path_and_query().map_or("/", |path| path.as_str());
            let builder = builder.uri(path);
            let own_host = self
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("host"));
            match self.url.authority() {
                Some(authority) if !own_host => builder.header("host", authority.as_str()),
                _ => builder,
            }
        };
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        builder
            .body(Full::new(self.body.clone()))
            .expect("the test names valid headers")
    }
}

async fn whole(
    response: hyper::Result<http::Response<hyper::body::Incoming>>,
) -> hyper::Result<http::Response<Bytes>> {
    let (head, body) = response?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(http::Response::from_parts(head, body))
}

async fn resolve(
    host: &str,
    resolvers: &[std::net::IpAddr],
) -> Result<std::net::IpAddr, CallError> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Ok(address);
    }
    let Some(resolver) = resolvers.first() else {
        return Err(CallError::Resolve(format!(
            "no resolver to ask for `{host}`"
        )));
    };
    let resolver = SocketAddr::new(*resolver, dns::PORT);
    let mut failure = String::new();
    for kind in [dns::Kind::A, dns::Kind::Aaaa] {
        match dns::lookup(resolver, host, kind).await {
            Ok(answer) => {
                if let Some(address) = answer.addresses.first() {
                    return Ok(*address);
                }
                failure = format!("`{host}` has no address: {:?}", answer.code);
            }
            Err(error) => failure = format!("no answer for `{host}` from {resolver}: {error}"),
        }
    }
    Err(CallError::Resolve(failure))
}

impl Response {
    /// A header as text, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resolve(failure) => f.write_str(failure),
            Self::Dial(error) => error.fmt(f),
            Self::Exchange(error) => write!(f, "the exchange failed: {error}"),
            Self::Timeout => write!(f, "no whole response in time"),
        }
    }
}

impl std::error::Error for CallError {}
