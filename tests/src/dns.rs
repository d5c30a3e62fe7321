//! DNS of the lab: an authoritative server whose table tests change, and single queries.
//!
//! Enter at [`DnsServer::start`] and [`lookup`]. Only what the lab needs: one question, answers
//! of type A, AAAA and CNAME, over UDP and TCP.

mod message;
mod server;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

pub use message::{Answer, Code, Kind};
pub use server::{DnsServer, Query, Zone};

/// The port that resolvers ask.
pub const PORT: u16 = 53;

/// Asks `server` once, and once more if nothing comes. To be awaited on the machine that asks.
pub async fn lookup(server: SocketAddr, name: &str, kind: Kind) -> io::Result<Answer> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    // The lab's answers cannot be forged, so a constant id does.
    let query = message::query(1, name, kind)?;
    let mut buffer = vec![0; 4096];
    for _ in 0..2 {
        socket.send(&query).await?;
        if let Ok(length) = timeout(PATIENCE, socket.recv(&mut buffer)).await {
            return message::answer(&buffer[..length?])
                .ok_or_else(|| io::Error::other("the answer cannot be read"));
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// The type to ask for when an address of this family is wanted.
impl From<IpAddr> for Kind {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::A,
            IpAddr::V6(_) => Self::Aaaa,
        }
    }
}
