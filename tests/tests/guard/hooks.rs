//! Each hook is needed: with it alone taken off, something gets out or goes wrong.

use crate::world::{Witness, World, assert_unseen};

/// A guarded pod without `hook`, and its witnesses.
fn without(hook: &str) -> (World, [Witness; 2]) {
    let world = World::guarded();
    let witnesses = world.witnesses();
    world.take_off(hook);
    assert_eq!(world.check()["installed"], false, "without {hook}");
    (world, witnesses)
}

fn seen(witnesses: &[Witness]) -> bool {
    witnesses.iter().any(|each| !each.frames().is_empty())
}

#[test]
fn without_the_interface_hook_a_packet_socket_gets_out() {
    let (world, witnesses) = without("interface_egress");
    assert_eq!(
        world.attack("attempt(lambda: frame(0x800, ipv4(OUT)))"),
        "sent"
    );
    assert!(seen(&witnesses));
}

#[test]
fn without_the_option_hook_frames_pass_around_the_interface_hook() {
    let (world, witnesses) = without("setsockopt");
    let got = world.attack(
        "\
link = socket(AF_PACKET, SOCK_RAW); link.bind(('eth0', 0x800))
link.setsockopt(263, 20, 1)
attempt(lambda: link.send(bytes([255] * 6 + [2, 0, 0, 0, 0, 1, 8, 0]) + ipv4(OUT)))",
    );
    assert_eq!(got, "sent");
    assert!(seen(&witnesses));
}

#[test]
fn without_the_cgroup_hook_the_sender_is_neither_told_nor_known() {
    let datagram =
        "os.setuid(4711)\nattempt(lambda: socket(AF_INET, SOCK_DGRAM).sendto(b'x', (OUT, 53)))";
    let world = World::guarded();
    assert_eq!(world.attack(datagram), "EPERM");
    let check = world.check();
    let event = &check["events"][0];
    assert_eq!(event["hook"], "egress");
    assert_eq!(event["reason"], "destination");
    assert_eq!(event["destination"], "198.51.100.1:53");
    assert_eq!(event["uid"], 4711);
    assert!(event["cgroup_id"].as_u64().unwrap() > 1, "{event}");
    assert!(event["cookie"].as_u64().unwrap() > 0, "{event}");
    assert!(event["host_pid"].as_u64().unwrap() > 1, "{event}");
    drop(world);

    let (world, witnesses) = without("egress");
    assert_eq!(world.attack(datagram), "sent");
    assert_unseen(&witnesses);
    let check = world.check();
    assert_eq!(check["events"][0]["hook"], "interface_egress");
    assert_eq!(check["events"][0]["uid"], serde_json::Value::Null);
}

#[test]
fn without_the_connect_hooks_connections_hang_instead_of_reaching_the_sidecar() {
    for (hook, call) in [
        ("connect4", "attempt(lambda: socket().connect((OUT, 443)))"),
        (
            "connect6",
            "attempt(lambda: socket(AF_INET6).connect((OUT6, 443)))",
        ),
    ] {
        let (world, witnesses) = without(hook);
        assert_eq!(world.attack(call), "timeout", "{hook}");
        assert_unseen(&witnesses);
    }
}

#[test]
fn without_the_hand_over_the_sidecar_learns_no_destination() {
    for hook in ["sockops", "getsockopt"] {
        let (world, _witnesses) = without(hook);
        let got = world.attack(
            "\
l = socket(); l.bind(('0.0.0.0', 15001)); l.listen()
s = socket(); s.connect((OUT, 443))
attempt(lambda: l.accept()[0].getsockopt(SOL_IP, 80, 16))",
        );
        assert_ne!(got, "sent", "{hook}");
    }
}

#[test]
fn without_the_peer_hooks_the_app_sees_the_sidecar() {
    for (hook, family, listen, to, shown) in [
        ("getpeername4", "AF_INET", "0.0.0.0", "OUT", "127."),
        ("getpeername6", "AF_INET6", "::", "OUT6", "::1"),
    ] {
        let (world, _witnesses) = without(hook);
        let got = world.attack(&format!(
            "\
l = socket({family}); l.bind(('{listen}', 15001)); l.listen()
s = socket({family}); s.connect(({to}, 443))
print(s.getpeername()[0])"
        ));
        assert!(got.starts_with(shown), "{hook}: {got}");
    }
}

#[test]
fn without_the_ingress_hook_replies_to_inbound_connections_are_dropped() {
    let (world, witnesses) = without("interface_ingress");
    assert!(!super::replies::answers(&world, "10.244.1.10"));
    assert_unseen(&witnesses);
}
