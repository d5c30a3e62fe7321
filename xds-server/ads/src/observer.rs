//! What happens on the streams, told to whoever counts and logs.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use crate::{Peer, TypeUrl};

/// Which variant of the protocol a stream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Differences of named, versioned resources.
    Delta,
    /// State of the world: whole lists.
    Sotw,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delta => "delta",
            Self::Sotw => "sotw",
        })
    }
}

/// One stream of a client.
#[derive(Clone, Debug)]
pub struct StreamInfo {
    /// Counts the streams of this process.
    pub number: u64,
    /// [`Subscription::id`](crate::Subscription::id).
    pub id: Arc<str>,
    /// How it speaks.
    pub protocol: Protocol,
    /// Where it comes from; none on a Unix socket.
    pub remote: Option<SocketAddr>,
    /// The client's software, as it says.
    pub agent: String,
}

/// One response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The type of its resources.
    pub kind: TypeUrl,
    /// Its nonce.
    pub nonce: u64,
    /// Its encoded size.
    pub bytes: usize,
    /// How many resources it has.
    pub resources: usize,
    /// How many names it removes.
    pub removed: usize,
}

/// Hears what happens. All methods do nothing unless overridden, and must not block.
pub trait Observer: Send + Sync + 'static {
    /// A client was admitted.
    fn connected(&self, stream: &StreamInfo) {
        let _ = stream;
    }

    /// A stream was refused or never came to its first message.
    fn refused(&self, peer: &Peer, status: &tonic::Status) {
        let _ = (peer, status);
    }

    /// The stream of an admitted client ended, after `lasted`.
    fn disconnected(&self, stream: &StreamInfo, lasted: Duration) {
        let _ = (stream, lasted);
    }

    /// A response was handed to the transport.
    fn sent(&self, stream: &StreamInfo, sent: Sent) {
        let _ = (stream, sent);
    }

    /// The client accepted a response, `elapsed` after it was sent.
    fn acked(&self, stream: &StreamInfo, kind: TypeUrl, nonce: u64, elapsed: Duration) {
        let _ = (stream, kind, nonce, elapsed);
    }

    /// The client rejected a response. `names` are the resources that its message names, or all
    /// of the response when it names none.
    fn nacked(
        &self,
        stream: &StreamInfo,
        kind: TypeUrl,
        nonce: u64,
        names: &[Arc<str>],
        message: &str,
    ) {
        let _ = (stream, kind, nonce, names, message);
    }

    /// The client has left a response without an answer for `waited`: a cluster or listener may
    /// hang in warming, or a rejection was not told. Said once per response.
    fn stalled(&self, stream: &StreamInfo, kind: TypeUrl, nonce: u64, waited: Duration) {
        let _ = (stream, kind, nonce, waited);
    }
}

impl Observer for () {}
