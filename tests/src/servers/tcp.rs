//! TCP servers with one habit each, and a record of how each connection went and ended.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::accept::{Accepted, Connection, Listening, Stream, Transport};
use super::unsent::until_acknowledged;
use super::{Recorder, pattern};
use crate::net::Machine;

/// How much of what a client sent is kept.
const KEPT_BYTES: usize = 64 * 1024;

/// What a server does with each connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// Sends back what comes, as it comes, and its own FIN after the client's.
    Echo,
    /// Speaks first, then echoes.
    Banner(Bytes),
    /// Reads to the client's FIN, then sends everything back, then FIN.
    HalfCloseEcho,
    /// Sends this many bytes of [`pattern`], then FIN, then reads to the client's FIN.
    Send(u64),
    /// Sends this many bytes of [`pattern`], waits until they arrived, then RST.
    ResetAfter(u64),
    /// Reads everything, answers nothing, ends after the client.
    Sink,
    /// Accepts, then neither reads nor writes.
    Stall,
}

/// One connection as the server lived it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Whence and whereto, and its TLS.
    pub connection: Connection,
    /// How many bytes came.
    pub received: u64,
    /// The first 64 KiB of them.
    pub first: Vec<u8>,
    /// How many bytes were handed to the kernel.
    pub sent: u64,
    /// How the client ended; `None` while it has not.
    pub end: Option<End>,
}

/// How one end of a connection saw the other's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// An orderly end: everything arrived.
    Fin,
    /// The connection was reset.
    Reset,
    /// Anything else, as TLS that was cut off.
    Broken(String),
}

/// The running server; dropped, it closes with all its connections.
pub struct TcpServer {
    listening: Listening,
    exchanges: Recorder<Exchange>,
}

impl TcpServer {
    /// Serves on `address` of `machine` (port 0: one that is free) by `script`.
    #[track_caller]
    pub fn start(
        machine: &Machine,
        address: SocketAddr,
        transport: Transport,
        script: Script,
    ) -> Self {
        let exchanges = Recorder::new();
        let recorder = exchanges.clone();
        let prepare: fn(&TcpStream) = match script {
            // With zero linger, closing is resetting; TLS hides the socket later.
            Script::ResetAfter(_) => |stream| {
                stream.set_zero_linger().expect("the socket is open");
            },
            Script::Echo
            | Script::Banner(_)
            | Script::HalfCloseEcho
            | Script::Send(_)
            | Script::Sink
            | Script::Stall => |_| {},
        };
        let listening = Listening::start(machine, address, transport, prepare, move |accepted| {
            serve(accepted, script.clone(), recorder.clone())
        });
        Self {
            listening,
            exchanges,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// The connections that got past their handshake, updated as they go.
    pub fn exchanges(&self) -> &Recorder<Exchange> {
        &self.exchanges
    }

    /// All connections that came.
    pub fn connections(&self) -> &Recorder<Connection> {
        &self.listening.connections
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Reset,
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// A connection with its entry in the record.
struct Recorded {
    stream: Box<dyn Stream>,
    recorder: Recorder<Exchange>,
    index: usize,
}

async fn serve(accepted: Accepted, script: Script, recorder: Recorder<Exchange>) {
    let Accepted { stream, connection } = accepted;
    let (local, peer) = (connection.local, connection.peer);
    let index = recorder.push(Exchange {
        connection,
        received: 0,
        first: Vec::new(),
        sent: 0,
        end: None,
    });
    let mut recorded = Recorded {
        stream,
        recorder,
        index,
    };
    let end = match script {
        Script::Echo => recorded.echo().await,
        Script::Banner(banner) => match recorded.write(&banner).await {
            Ok(()) => recorded.echo().await,
            Err(error) => Err(error),
        },
        Script::HalfCloseEcho => recorded.half_close_echo().await,
        Script::Send(bytes) => recorded.send_then_close(bytes).await,
        Script::ResetAfter(bytes) => {
            let sent = recorded.send(bytes).await;
            until_acknowledged(local, peer, Duration::from_secs(30)).await;
            // The end is our own doing, unless the client was quicker.
            let Err(error) = sent else { return };
            Err(error)
        }
        Script::Sink => recorded.sink().await,
        Script::Stall => std::future::pending().await,
    };
    let end = end.map_or_else(End::from, |()| End::Fin);
    recorded.update(|exchange| exchange.end = Some(end));
}

impl Recorded {
    async fn echo(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = self.read(&mut buffer).await?;
            if length == 0 {
                self.update(|exchange| exchange.end = Some(End::Fin));
                return self.stream.shutdown().await;
            }
            self.write(&buffer[..length]).await?;
        }
    }

    async fn half_close_echo(&mut self) -> io::Result<()> {
        let mut all = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = self.read(&mut buffer).await?;
            if length == 0 {
                break;
            }
            all.extend_from_slice(&buffer[..length]);
        }
        self.write(&all).await?;
        self.stream.shutdown().await
    }

    async fn send_then_close(&mut self, bytes: u64) -> io::Result<()> {
        self.send(bytes).await?;
        self.stream.shutdown().await?;
        self.sink().await
    }

    async fn send(&mut self, bytes: u64) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        let mut offset = 0;
        while offset < bytes {
            let left = usize::try_from(bytes - offset).unwrap_or(usize::MAX);
            let length = left.min(buffer.len());
            pattern::fill(offset, &mut buffer[..length]);
            self.write(&buffer[..length]).await?;
            offset += length as u64;
        }
        Ok(())
    }

    async fn sink(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        while self.read(&mut buffer).await? > 0 {}
        Ok(())
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stream.read(buffer).await?;
        let bytes = &buffer[..length];
        self.update(|exchange| {
            let room = KEPT_BYTES - exchange.first.len();
            exchange.first.extend_from_slice(&bytes[..length.min(room)]);
            exchange.received += length as u64;
        });
        Ok(length)
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        self.update(|exchange| exchange.sent += bytes.len() as u64);
        Ok(())
    }

    fn update(&self, change: impl FnOnce(&mut Exchange)) {
        self.recorder.update(self.index, change);
    }
}
