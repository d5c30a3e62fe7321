//! The TLS side of port 15012: who is connected, proven before a byte reaches gRPC.
//!
//! A client certificate is optional here, since a workload without one asks for its first on the same
//! port; what needs a name refuses a [`Peer`] without. A certificate that is shown must verify.
//! [`Incoming`] accepts and shakes hands at once with many, so that no slow client holds up another.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::Stream;
use rustls::{
    ServerConfig,
    pki_types::CertificateDer,
    server::{NoServerSessionStorage, ResolvesServerCert},
};
use sluice_ads::Peer;
use sluice_identity::certificate::Contents;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use crate::ca::{Authority, provider};

/// A handshake is two round trips and one signature; who needs longer comes again.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection without a client certificate is for one certificate request. It ends then, so that nobody
/// without a name can fill the process with idle connections.
const ANONYMOUS_LIFETIME: Duration = Duration::from_secs(60);

/// Handshakes under way at once: about 30 KiB each, so 30 MiB, and 200 new connections a second
/// even if every client stalled. Further connections wait in the kernel's backlog.
const MAX_HANDSHAKES: usize = 1024;

/// The pause after a failed `accept`, which is out of file descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The configuration of the mTLS port: its certificate from `certificate`, its clients' from `authority`.
pub fn server_config(
    authority: &Authority,
    certificate: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(authority.client_verifier()?)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would bring back a certificate that has expired since. Handshakes are rare here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Connections whose handshake is done, for tonic's `serve_with_incoming_shutdown`. It never ends.
pub struct Incoming {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<Connection>>,
    pause: Option<Pin<Box<Sleep>>>,
    anonymous_lifetime: Duration,
}

impl Incoming {
    /// Accepts from `listener`.
    pub fn new(listener: TcpListener, config: Arc<ServerConfig>) -> Self {
        Self {
            listener,
            acceptor: config.into(),
            handshakes: JoinSet::new(),
            pause: None,
            anonymous_lifetime: ANONYMOUS_LIFETIME,
        }
    }

    /// Ends connections without a client certificate after this time, instead of a minute.
    #[must_use]
    pub fn with_anonymous_lifetime(mut self, lifetime: Duration) -> Self {
        self.anonymous_lifetime = lifetime;
        self
    }

    /// Starts the handshake of the next connection; ready as soon as there may be more to do.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        match ready!(self.listener.poll_accept(cx)) {
            Ok((stream, remote)) => {
                let handshake = handshake(
                    self.acceptor.clone(),
                    stream,
                    remote,
                    self.anonymous_lifetime,
                );
                self.handshakes.spawn(handshake);
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                self.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
            }
        }
        Poll::Ready(())
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.handshakes.poll_join_next(cx) {
                Poll::Ready(Some(Ok(Some(connection)))) => {
                    return Poll::Ready(Some(Ok(connection)));
                }
                Poll::Ready(Some(Ok(None))) => continue,
                Poll::Ready(Some(Err(error))) => {
                    tracing::error!(error = %error, "a handshake ended unexpectedly");
                    continue;
                }
                Poll::Ready(None) | Poll::Pending => {}
            }
            if self.handshakes.len() >= MAX_HANDSHAKES {
                return Poll::Pending;
            }
            ready!(self.poll_accept(cx));
        }
    }
}

/// One handshake, to its end or its timeout. What fails here is the client's affair, and logged for him.
async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    remote: SocketAddr,
    anonymous_lifetime: Duration,
) -> Option<Connection> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, %remote, "the client left before the handshake");
        return None;
    }
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => match peer(&stream, remote) {
            Some(peer) => Some(Connection {
                stream,
                end: match peer.not_after {
                    Some(_) => None,
                    None => Some(Box::pin(sleep(anonymous_lifetime))),
                },
                peer,
            }),
            None => {
                tracing::info!(%remote, "refused a client certificate that cannot be read");
                None
            }
        },
        // Probes of the port alone close before they say anything.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            tracing::debug!(error = %error, %remote, "the client left during the handshake");
            None
        }
        Ok(Err(error)) => {
            tracing::info!(error = %error, %remote, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::info!(%remote, "a TLS handshake took too long");
            None
        }
    }
}

/// Who is at the other end; without a certificate only where from. None if a certificate is unreadable.
fn peer(stream: &TlsStream<TcpStream>, remote: SocketAddr) -> Option<Peer> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    let named = match leaf {
        Some(leaf) => named(leaf)?,
        None => Peer::default(),
    };
    Some(Peer {
        remote: Some(remote),
        ..named
    })
}

fn named(leaf: &CertificateDer<'_>) -> Option<Peer> {
    let contents = Contents::read(leaf).ok()?;
    Some(Peer {
        uri_sans: contents.uris,
        dns_sans: contents.dns_names,
        not_after: Some(contents.validity.not_after),
        remote: None,
    })
}

/// An accepted connection. Its [`Peer`] is in the extensions of every request that comes over it.
#[derive(Debug)]
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    /// When it is closed, if nobody is named at the other end.
    end: Option<Pin<Box<Sleep>>>,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A server reads at all times: this is where the timer wakes it.
        if let Some(end) = &mut self.end
            && end.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
