//! Who dials the pod from anywhere gets its answers; who only seems to have dialled does not.

use std::time::Duration;

use sluice_tests::clients::{Dial, tcp};
use sluice_tests::servers::Transport;
use sluice_tests::servers::tcp::{Script, TcpServer};

use crate::world::{POD, POD_V6, World, address, assert_unseen};

/// Whether the pod answers a client that is outside of the cluster, as a load balancer that keeps
/// the client's address would bring it.
pub(crate) fn answers(world: &World, pod: &str) -> bool {
    let at = address(pod, 8080);
    let _server = TcpServer::start(&world.pod, at, Transport::Plain, Script::Echo);
    let how = Dial::to(at).within(Duration::from_secs(1));
    let answer = world
        .outside
        .block_on(async move { tcp::exchange(&how, b"hello", 5).await });
    answer.is_ok_and(|bytes| bytes == b"hello")
}

#[test]
fn connections_that_came_in_are_answered() {
    let world = World::guarded();
    for pod in [POD, POD_V6] {
        assert!(answers(&world, pod), "{pod}");
    }
    assert_eq!(world.counter("inbound"), 2);
}

#[test]
fn connection_forged_over_loopback_is_not_answered() {
    let world = World::guarded();
    let witnesses = world.witnesses();
    let got = world.attack(
        "\
l = socket(); l.bind(('0.0.0.0', 8080)); l.listen()
raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW)
syn = ipv4(POD, 6, segment(OUT, POD, (443, 8080), 2), source=OUT)
attempt(lambda: raw.sendto(syn, (POD, 0)))
time.sleep(0.5)
print(open('/proc/net/snmp').read().count('Tcp:'))",
    );
    assert_eq!(got, "sent\n2");
    assert_unseen(&witnesses);
    let check = world.check();
    assert_eq!(check["counters"]["inbound"], 0);
    // The kernel did take the forged SYN: its answer is what was dropped.
    let is_answer = |event: &serde_json::Value| event["destination"] == "198.51.100.1:443";
    assert!(
        check["events"].as_array().unwrap().iter().any(is_answer),
        "{check}"
    );
}

#[test]
fn connection_that_came_in_opens_no_way_to_connect_back() {
    let world = World::guarded();
    assert!(answers(&world, POD));
    let witnesses = world.witnesses();
    // From the very port that was answered, to any other of the client's.
    let got = world.attack(
        "\
raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW)
syn = ipv4(OUT, 6, segment(POD, OUT, (8080, 443), 2))
attempt(lambda: raw.sendto(syn, (OUT, 0)))",
    );
    assert_eq!(got, "EPERM");
    assert_unseen(&witnesses);
}
