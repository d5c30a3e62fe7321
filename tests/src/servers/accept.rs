//! The part that all servers share: listening, TLS, and a record of every connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

use crate::net::Machine;
use crate::servers::Recorder;
use crate::tls::{self, Session};

/// A client that does not shake hands within this time is gone.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A byte stream, whatever carries it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How a server's connections are carried.
#[derive(Clone)]
pub enum Transport {
    /// As they are.
    Plain,
    /// Over TLS, see [`crate::tls::server`].
    Tls(Arc<rustls::ServerConfig>),
}

/// A connection that a server accepted, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The client's address.
    pub peer: SocketAddr,
    /// The address that it connected to.
    pub local: SocketAddr,
    /// The handshake's result; `None` for plain connections and while it goes on.
    pub tls: Option<Session>,
    /// Why the handshake failed, if it did.
    pub failure: Option<String>,
}

pub(super) struct Accepted {
    pub(super) stream: Box<dyn Stream>,
    pub(super) connection: Connection,
}

/// A listening socket on a machine; dropped, it closes with all its connections.
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    pub(super) connections: Recorder<Connection>,
    task: Option<JoinHandle<()>>,
    // Keeps the machine on for as long as it serves.
    machine: Machine,
}

impl Listening {
    /// Listens on `address`, prepares each socket by `prepare`, and runs `serve` on each stream.
    #[track_caller]
    pub(super) fn start<S, F>(
        machine: &Machine,
        address: SocketAddr,
        transport: Transport,
        prepare: fn(&TcpStream),
        serve: S,
    ) -> Self
    where
        S: Fn(Accepted) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let listener = machine
            .block_on(bind(move || TcpListener::bind(address)))
            .unwrap_or_else(|error| {
                panic!(
                    "cannot listen on {address} of `{}`: {error}",
                    machine.name()
                )
            });
        let address = listener.local_addr().expect("the socket is bound");
        let connections = Recorder::new();
        let recorder = connections.clone();
        let task = machine.spawn_task(async move {
            let mut tasks = JoinSet::new();
            while let Ok((stream, peer)) = listener.accept().await {
                prepare(&stream);
                let (transport, recorder, serve) =
                    (transport.clone(), recorder.clone(), serve.clone());
                tasks.spawn(async move {
                    if let Some(accepted) = accept(stream, peer, transport, &recorder).await {
                        serve(accepted).await;
                    }
                });
                while tasks.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            connections,
            task: Some(task),
            machine: machine.clone(),
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.machine.end_task(task);
        }
    }
}

/// Binds, again for a while if the address is taken.
///
/// Its last user may be gone and yet its socket live on: a program that another test is starting
/// holds a copy of every socket until its own code runs.
pub(crate) async fn bind<T, F>(attempt: impl Fn() -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        match attempt().await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                sleep(Duration::from_millis(5)).await;
            }
            bound => return bound,
        }
    }
}

async fn accept(
    stream: TcpStream,
    peer: SocketAddr,
    transport: Transport,
    recorder: &Recorder<Connection>,
) -> Option<Accepted> {
    let local = stream.local_addr().ok()?;
    stream.set_nodelay(true).ok()?;
    let mut connection = Connection {
        peer,
        local,
        tls: None,
        failure: None,
    };
    let index = recorder.push(connection.clone());
    let stream: Box<dyn Stream> = match transport {
        Transport::Plain => Box::new(stream),
        Transport::Tls(config) => {
            let shaken = TlsAcceptor::from(config).accept(stream);
            let shaken = match tokio::time::timeout(HANDSHAKE_TIMEOUT, shaken).await {
                Ok(shaken) => shaken.map_err(|error| error.to_string()),
                Err(elapsed) => Err(elapsed.to_string()),
            };
            match shaken {
                Ok(stream) => {
                    let (_, state) = stream.get_ref();
                    connection.tls = Some(tls::session(state, state.server_name()));
                    Box::new(stream)
                }
                Err(failure) => {
                    recorder.update(index, |entry| entry.failure = Some(failure));
                    return None;
                }
            }
        }
    };
    recorder.update(index, |entry| entry.tls = connection.tls.clone());
    Some(Accepted { stream, connection })
}
