//! Opening a connection: from which address, whereto, over TLS or not.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::servers::Stream;
use crate::tls::{self, Session};

/// Whereto and how to connect.
#[derive(Clone)]
pub struct Dial {
    address: SocketAddr,
    source: Option<IpAddr>,
    tls: Option<(Arc<rustls::ClientConfig>, String)>,
    timeout: Duration,
    receive_buffer: Option<u32>,
}

/// An open connection.
pub struct Dialed {
    /// The bytes.
    pub stream: Box<dyn Stream>,
    /// Our own address.
    pub local: SocketAddr,
    /// What the server showed.
    pub tls: Option<Session>,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum DialError {
    /// TCP failed; the kind tells a refusal from an unreachable host.
    Connect(io::Error),
    /// TCP stood, TLS failed.
    Handshake(io::Error),
    /// Neither success nor failure in time.
    Timeout,
}

impl Dial {
    /// To `address`, plain, within ten seconds.
    pub fn to(address: SocketAddr) -> Self {
        Self {
            address,
            source: None,
            tls: None,
            timeout: Duration::from_secs(10),
            receive_buffer: None,
        }
    }

    /// From this address of the machine.
    #[must_use]
    pub fn from(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Over TLS, asking for `name` and demanding a certificate for it.
    #[must_use]
    pub fn tls(mut self, config: &Arc<rustls::ClientConfig>, name: &str) -> Self {
        self.tls = Some((config.clone(), name.to_owned()));
        self
    }

    /// Within this time for all of it.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With a receive buffer of about this size, so that a slow reader is felt soon.
    #[must_use]
    pub fn receive_buffer_bytes(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Opens TCP only; what [`dial`] does before TLS.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn open(&self) -> Result<Dialed, DialError> {
        let stream = self.connect().await.map_err(DialError::Connect)?;
        let local = stream.local_addr().map_err(DialError::Connect)?;
        let Some((config, name)) = &self.tls else {
            return Ok(Dialed {
                stream: Box::new(stream),
                local,
                tls: None,
            });
        };
        let name = ServerName::try_from(name.clone())
            .map_err(|error| DialError::Handshake(io::Error::other(error)))?;
        let stream = TlsConnector::from(config.clone())
            .connect(name, stream)
            .await
            .map_err(DialError::Handshake)?;
        let tls = tls::session(stream.get_ref().1, None);
        Ok(Dialed {
            stream: Box::new(stream),
            local,
            tls: Some(tls),
        })
    }
}

/// Opens a connection. To be awaited on the machine that it shall start from.
pub async fn dial(how: &Dial) -> Result<Dialed, DialError> {
    timeout(how.timeout, how.open())
        .await
        .unwrap_or(Err(DialError::Timeout))
}

impl std::fmt::Display for DialError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Handshake(error) => write!(f, "tls handshake failed: {error}"),
            Self::Timeout => write!(f, "no connection in time"),
        }
    }
}

impl std::error::Error for DialError {}
