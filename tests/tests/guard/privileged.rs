//! Attempts that take what no app should have: NET_ADMIN, a writable cgroup tree, bpf(2).

use crate::world::{Attempt, World, assert_kept_in, assert_unseen};

#[test]
fn other_namespaces_and_cgroups_are_no_way_out() {
    assert_kept_in(&[
        Attempt {
            name: "udp from a network namespace in the pod",
            code: "nest()\nattempt(lambda: socket(AF_INET, SOCK_DGRAM).sendto(b'x', (OUT, 53)))",
            got: "EPERM",
        },
        Attempt {
            name: "tcp from a network namespace in the pod",
            code: "nest()\nattempt(lambda: socket().connect((OUT, 443)))",
            got: "ECONNREFUSED",
        },
        Attempt {
            name: "a frame that the pod would forward",
            // Nothing is refused here: it is dropped where the pod sends it on.
            code: "\
nest()
packet = ipv4(OUT, source='192.168.77.2')
attempt(lambda: frame(0x800, packet, by='v1', to='02:00:00:00:77:01'))
time.sleep(0.2)",
            got: "sent",
        },
        Attempt {
            name: "udp from a cgroup below the pod's",
            code: "\
mine, _ = cgroups()
os.makedirs(mine + '/below'); open(mine + '/below/cgroup.type', 'w').write('threaded')
open(mine + '/below/cgroup.threads', 'w').write('0')
attempt(lambda: socket(AF_INET, SOCK_DGRAM).sendto(b'x', (OUT, 53)))",
            got: "EPERM",
        },
        Attempt {
            name: "udp by a socket that was made outside of the pod's cgroup",
            // The cgroup's hook is the socket's, not the process's; the interface has the last word.
            code: "\
mine, top = cgroups()
open(top + '/cgroup.threads', 'w').write('0')
s = socket(AF_INET, SOCK_DGRAM)
open(mine + '/cgroup.threads', 'w').write('0')
attempt(lambda: s.sendto(b'x', (OUT, 53)))",
            got: "sent",
        },
        Attempt {
            name: "tcp by a socket that was made outside of the pod's cgroup",
            code: "\
mine, top = cgroups()
open(top + '/cgroup.threads', 'w').write('0')
s = socket()
open(mine + '/cgroup.threads', 'w').write('0')
attempt(lambda: s.connect((OUT, 443)))",
            got: "timeout",
        },
    ]);
}

#[test]
fn what_net_admin_may_take_off_is_not_what_guards() {
    assert_kept_in(&[
        Attempt {
            name: "queues and rules flushed",
            code: "\
subprocess.run(['tc', 'qdisc', 'del', 'dev', 'eth0', 'clsact'], capture_output=True)
subprocess.run(['nft', 'flush', 'ruleset'], capture_output=True)
subprocess.run(['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'pfifo'], capture_output=True)
attempt(lambda: frame(0x800, ipv4(OUT)))",
            got: "ENOBUFS",
        },
        Attempt {
            name: "a macvlan on the interface",
            code: "\
sh('ip link add m0 link eth0 type macvlan mode bridge && ip link set m0 up')
try: frame(0x800, ipv4(OUT), by='m0')
except OSError: pass
time.sleep(0.2)
sh('ip link del m0')
print('tried')",
            got: "tried",
        },
        Attempt {
            name: "programs detached by bpf(2) without their descriptor",
            code: "\
bpf = lambda target, kind: ctypes.CDLL(None).syscall(321, 9,
    ctypes.create_string_buffer(struct.pack('IIIIII', target, 0, kind, 0, 0, 0), 128), 128)
mine, _ = cgroups()
folder = os.open(mine, os.O_RDONLY)
interface = if_nametoindex('eth0')
for target, kind in [(interface, 47), (interface, 46), (folder, 1), (folder, 10), (folder, 22)]:
    assert bpf(target, kind) == -1
attempt(lambda: frame(0x800, ipv4(OUT)))
attempt(lambda: socket(AF_INET, SOCK_DGRAM).sendto(b'x', (OUT, 53)))",
            got: "ENOBUFS\nEPERM",
        },
    ]);
}

#[test]
fn inbound_connection_forged_between_two_macvlans_is_not_answered() {
    let world = World::guarded();
    let witnesses = world.witnesses();
    let got = world.attack(
        "\
sh('ip link add m0 link eth0 type macvlan mode bridge && ip link set m0 up')
sh('ip link add m1 link eth0 address 02:00:00:00:77:02 type macvlan mode bridge && ip link set m1 up')
syn = ipv4(POD, 6, segment(OUT, POD, (443, 8080), 2), source=OUT)
attempt(lambda: frame(0x800, syn, by='m0', to='02:00:00:00:77:02'))
time.sleep(0.2)
answer = ipv4(OUT, 6, segment(POD, OUT, (8080, 443), 16) + b'payload')
attempt(lambda: frame(0x800, answer))",
    );
    assert_eq!(got, "sent\nENOBUFS");
    assert_unseen(&witnesses);
    assert_eq!(world.counter("inbound"), 0);
}

#[test]
fn sockets_of_af_xdp_get_no_memory_to_send_from() {
    let umem = "attempt(lambda: socket(44, SOCK_RAW).setsockopt(283, 4, bytes(32)))";
    let got = World::open().attack(umem);
    assert_ne!(got, "EPERM");
    let world = World::guarded();
    assert_eq!(world.attack(umem), "EPERM");
    assert_eq!(world.counter("refused_options"), 1);
    assert_eq!(world.check()["installed"], true);
}
