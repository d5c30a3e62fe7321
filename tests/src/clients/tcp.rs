//! Raw connections with the habits that proxies get wrong.
//!
//! All functions are to be awaited on the machine that they shall start from, as in
//! `machine.block_on(async move { tcp::receive(&dial, Pace::Fast).await })`.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::dial::{Dial, DialError, dial};
use crate::servers::pattern;
use crate::servers::tcp::End;
use crate::servers::unsent::until_acknowledged;

/// How fast a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it comes.
    Fast,
    /// This many bytes, then a pause of this length.
    Slow {
        /// The most that one read takes.
        bytes: usize,
        /// How long to wait after it.
        pause: Duration,
    },
}

/// What a reader got of [`pattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// How many bytes.
    pub bytes: u64,
    /// Whether every byte was the one that the pattern has there.
    pub intact: bool,
    /// How it ended; `None` if `idle` passed without a byte.
    pub end: Option<End>,
    /// From the first read to the end.
    pub elapsed: Duration,
}

/// Reads a server's [`pattern`] to its end, or until nothing comes for 20 seconds.
pub async fn receive(how: &Dial, pace: Pace) -> Result<Received, DialError> {
    const IDLE: Duration = Duration::from_secs(20);
    let mut stream = dial(how).await?.stream;
    let mut buffer = vec![
        0;
        match pace {
            Pace::Fast => 64 * 1024,
            Pace::Slow { bytes, .. } => bytes,
        }
    ];
    let begun = Instant::now();
    let mut received = Received {
        bytes: 0,
        intact: true,
        end: None,
        elapsed: Duration::ZERO,
    };
    loop {
        match timeout(IDLE, stream.read(&mut buffer)).await {
            Err(_) => break,
            Ok(Ok(0)) => {
                received.end = Some(End::Fin);
                break;
            }
            Ok(Err(error)) => {
                received.end = Some(error.into());
                break;
            }
            Ok(Ok(length)) => {
                received.intact &= pattern::matches(received.bytes, &buffer[..length]);
                received.bytes += length as u64;
            }
        }
        if let Pace::Slow { pause, .. } = pace {
            sleep(pause).await;
        }
    }
    received.elapsed = begun.elapsed();
    Ok(received)
}

/// Sends `payload`, then FIN, then reads to the server's FIN.
pub async fn half_close(how: &Dial, payload: &[u8]) -> io::Result<Vec<u8>> {
    bounded(async {
        let mut stream = dial(how).await.map_err(io::Error::other)?.stream;
        stream.write_all(payload).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    })
    .await
}

/// Sends `payload` and reads `length` bytes, with both directions open throughout.
pub async fn exchange(how: &Dial, payload: &[u8], length: usize) -> io::Result<Vec<u8>> {
    bounded(async {
        let mut stream = dial(how).await.map_err(io::Error::other)?.stream;
        stream.write_all(payload).await?;
        stream.flush().await?;
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    })
    .await
}

/// Sends `payload` over plain TCP, waits until it arrived at the next hop, then aborts with RST.
pub async fn abort(how: &Dial, payload: &[u8]) -> io::Result<()> {
    bounded(async {
        let mut stream = how.connect().await?;
        // With zero linger, closing is resetting.
        stream.set_zero_linger()?;
        stream.write_all(payload).await?;
        let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
        until_acknowledged(local, peer, Duration::from_secs(10)).await;
        Ok(())
    })
    .await
}

/// No server of the lab takes longer for what it does at all.
async fn bounded<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(Duration::from_secs(60), work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
