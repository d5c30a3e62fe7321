//! How much of a connection's data its kernel still holds.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Waits until the peer has acknowledged all that was written, at most `timeout`.
///
/// To be called on the machine that holds the socket: the table is that of the calling thread's
/// network namespace.
pub(crate) async fn until_acknowledged(local: SocketAddr, peer: SocketAddr, timeout: Duration) {
    let deadline = Instant::now() + timeout;
    while Instant::now() < deadline && queued(local, peer) != Some(0) {
        sleep(Duration::from_millis(2)).await;
    }
}

/// The length of the send queue, as the kernel's table of TCP sockets tells it.
fn queued(local: SocketAddr, peer: SocketAddr) -> Option<u64> {
    let table = if local.is_ipv4() { "tcp" } else { "tcp6" };
    let table = fs::read_to_string(format!("/proc/thread-self/net/{table}")).ok()?;
    let (local, peer) = (hex(local), hex(peer));
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        if fields.next()? != local || fields.next()? != peer {
            return None;
        }
        let (tx, _) = fields.nth(1)?.split_once(':')?;
        u64::from_str_radix(tx, 16).ok()
    })
}

/// The kernel prints addresses as 32-bit words in its own byte order, ports in hexadecimal.
fn hex(address: SocketAddr) -> String {
    let octets = match address.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let words: String = octets
        .chunks_exact(4)
        .map(|word| {
            let word = word.try_into().expect("chunks of four");
            format!("{:08X}", u32::from_ne_bytes(word))
        })
        .collect();
    format!("{words}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_kernel_writes_them() {
        assert_eq!(hex("127.0.0.1:80".parse().unwrap()), "0100007F:0050");
        assert_eq!(
            hex("[::1]:443".parse().unwrap()),
            "00000000000000000000000001000000:01BB"
        );
    }
}
