//! A pod with the guard, a peer in the cluster, a server outside, and what the wire carried.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sluice_tests::net::{Lab, Machine, Process, ranges};

/// The pod's addresses.
pub(crate) const POD: &str = "10.244.1.10";
pub(crate) const POD_V6: &str = "fd00:10:244:1::10";
/// Outside the cluster: what the pod is to be kept from.
pub(crate) const OUTSIDE: &str = "198.51.100.1";
pub(crate) const OUTSIDE_V6: &str = "2001:db8:51::1";
/// In the cluster: what the pod may reach.
pub(crate) const PEER: &str = "10.244.2.10";
pub(crate) const PEER_V6: &str = "fd00:10:244:2::10";

/// The machines of one test.
pub(crate) struct World {
    pub(crate) pod: Machine,
    pub(crate) peer: Machine,
    pub(crate) outside: Machine,
    _lab: Lab,
}

impl World {
    /// Without the guard.
    pub(crate) fn open() -> Self {
        let lab = Lab::new();
        let outside = lab
            .machine("outside")
            .address(&format!("{OUTSIDE}/24"))
            .address(&format!("{OUTSIDE_V6}/64"))
            .start();
        let peer = lab
            .machine("peer")
            .address(&format!("{PEER}/16"))
            .address(&format!("{PEER_V6}/64"))
            .start();
        let pod = lab
            .machine("pod")
            .address(&format!("{POD}/16"))
            .address(&format!("{POD_V6}/64"))
            .pod()
            .start();
        Self {
            pod,
            peer,
            outside,
            _lab: lab,
        }
    }

    /// With the guard.
    pub(crate) fn guarded() -> Self {
        let world = Self::open();
        world.pod.guard(&ranges::CLUSTER);
        world
    }

    /// What `sluice-init check` says, with the events since the last time.
    pub(crate) fn check(&self) -> Value {
        let output = self
            .pod
            .sluice_init("check", &["--events", "--output", "json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// One of the pod's counters.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.check()["counters"][name].as_u64().unwrap()
    }

    /// Runs Python in the pod: what it printed.
    pub(crate) fn attack(&self, code: &str) -> String {
        let output = self.pod.run(python(code));
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    /// Takes one hook off, as if it had never been there.
    pub(crate) fn take_off(&self, hook: &str) {
        let mut rm = Command::new("sh");
        rm.args(["-c", &format!("rm /sys/fs/bpf/sluice/*/links/{hook}*")]);
        self.pod.check(rm);
    }

    /// Looks, at both ends of the wire, for frames of the pod that are not for the cluster.
    pub(crate) fn witnesses(&self) -> [Witness; 2] {
        let mut ip = Command::new("ip");
        ip.args(["-j", "link", "show", "eth0"]);
        let link: Value = serde_json::from_str(&self.pod.check(ip)).unwrap();
        let mac = link[0]["address"].as_str().unwrap();
        let filter = format!(
            "(ether src {mac} or ether src 02:00:00:00:00:01) and not (arp and less 61) and not (ip6 and ip6[7] == 255) \
             and not (ip6 dst ff02::16) \
             and not (ip and ip[0] == 0x45 and dst net 10.244.0.0/16) \
             and not (ip6 and ip6[6] != 43 and ip6 dst net fd00:10:244::/48)"
        );
        [&self.outside, &self.peer].map(|machine| Witness::at(machine, &filter))
    }
}

/// Something that a process in the pod tries, and what it gets.
pub(crate) struct Attempt {
    /// What it is.
    pub(crate) name: &'static str,
    /// In Python; it prints how it went.
    pub(crate) code: &'static str,
    /// What it prints in a guarded pod.
    pub(crate) got: &'static str,
}

/// Asserts that each attempt leaves a pod without the guard, so that it is one, and that none
/// leaves a pod that has it.
#[track_caller]
pub(crate) fn assert_kept_in(attempts: &[Attempt]) {
    let open = World::open();
    let witnesses = open.witnesses();
    for attempt in attempts {
        let before: usize = witnesses.iter().map(|each| each.frames().len()).sum();
        let got = open.attack(attempt.code);
        let after: usize = witnesses.iter().map(|each| each.frames().len()).sum();
        assert!(after > before, "{}: no attempt at all: {got}", attempt.name);
    }
    drop((witnesses, open));

    let world = World::guarded();
    let witnesses = world.witnesses();
    for attempt in attempts {
        assert_eq!(world.attack(attempt.code), attempt.got, "{}", attempt.name);
    }
    assert_unseen(&witnesses);
    assert_eq!(world.check()["installed"], true);
}

/// Asserts that nothing left.
#[track_caller]
pub(crate) fn assert_unseen(witnesses: &[Witness]) {
    for witness in witnesses {
        let frames = witness.frames();
        assert!(frames.is_empty(), "left the pod:\n{}", frames.join("\n"));
    }
}

/// A Python program that knows the world's addresses and tells how a call went.
pub(crate) fn python(code: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", &format!("{PRELUDE}{code}")]);
    command
}

const PRELUDE: &str = r#"
import atexit, ctypes, errno, os, struct, subprocess, sys, time
from socket import *
POD, OUT, PEER = '10.244.1.10', '198.51.100.1', '10.244.2.10'
POD6, OUT6, PEER6 = 'fd00:10:244:1::10', '2001:db8:51::1', 'fd00:10:244:2::10'
setdefaulttimeout(1)

def attempt(call):
    try:
        call()
        print('sent')
    except TimeoutError:
        print('timeout')
    except OSError as error:
        print(errno.errorcode[error.errno])

def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff

# With its checksum: a bridge that hosts filter drops the frame otherwise.
def ipv4(to, protocol=17, payload=bytes(16), options=b'', source=POD):
    words = 5 + len(options) // 4
    bare = lambda check: struct.pack('!BBHHHBBH4s4s', 0x40 | words, 0, words * 4 + len(payload),
        1, 0, 64, protocol, check, inet_aton(source), inet_aton(to)) + options
    return bare(checksum(bare(0))) + payload

def ipv6(to, following=17, payload=bytes(16), hops=64):
    return struct.pack('!IHBB16s16s', 6 << 28, len(payload), following, hops,
        inet_pton(AF_INET6, POD6), inet_pton(AF_INET6, to)) + payload

def segment(source, to, ports, flags, sequence=1, acknowledged=0):
    bare = lambda check: struct.pack('!HHIIBBHHH', *ports, sequence, acknowledged, 0x50, flags,
        65535, check, 0)
    pseudo = inet_aton(source) + inet_aton(to) + struct.pack('!BBH', 0, 6, 20)
    return bare(checksum(pseudo + bare(0)))

def frame(ethertype, packet, sent_as=None, by='eth0', to='ff:ff:ff:ff:ff:ff'):
    link = socket(AF_PACKET, SOCK_RAW)
    mac = bytes.fromhex(to.replace(':', '')) + bytes([2, 0, 0, 0, 0, 1])
    link.bind((by, sent_as or ethertype))
    link.send(mac + struct.pack('!H', ethertype) + packet)

def sh(line):
    done = subprocess.run(['sh', '-c', line], capture_output=True, text=True)
    if done.returncode:
        sys.exit(line + ': ' + done.stderr)

# The folder of this process in the cgroup2 hierarchy, and of the hierarchy.
def cgroups():
    mounts = [line.split()[4] for line in open('/proc/self/mountinfo') if ' - cgroup2 ' in line]
    return mounts[0] + open('/proc/self/cgroup').read().split('0::')[1].strip(), mounts[0]

# A network namespace of the pod's own making, routed through the pod; enters it.
def nest():
    inner = subprocess.Popen(['unshare', '-n', 'sleep', '20'], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    atexit.register(inner.kill)
    time.sleep(0.5)
    sh(f"""set -e
        ! ip link show v0 || ip link del v0
        ip link add v0 address 02:00:00:00:77:01 type veth peer name v1 netns {inner.pid}
        ip addr add 192.168.77.1/30 dev v0
        ip link set v0 up
        echo 1 >/proc/sys/net/ipv4/ip_forward
        nsenter -t {inner.pid} -n ip link set lo up
        nsenter -t {inner.pid} -n ip addr add 192.168.77.2/30 dev v1
        nsenter -t {inner.pid} -n ip link set v1 up
        nsenter -t {inner.pid} -n ip route add default via 192.168.77.1""")
    assert ctypes.CDLL(None).setns(os.open(f'/proc/{inner.pid}/ns/net', 0), 0) == 0
"#;

/// What arrives at a machine, as a witness.
pub(crate) struct Witness {
    process: Process,
}

impl Witness {
    fn at(machine: &Machine, filter: &str) -> Self {
        let mut tcpdump = Command::new("tcpdump");
        tcpdump.args([
            "-i",
            "eth0",
            "-Q",
            "in",
            "-n",
            "-l",
            "-e",
            "--immediate-mode",
        ]);
        tcpdump.arg(filter);
        let process = machine.spawn(tcpdump);
        process.wait_for("listening on", Duration::from_secs(10));
        Self { process }
    }

    /// The frames seen so far, after a moment for those on their way.
    pub(crate) fn frames(&self) -> Vec<String> {
        std::thread::sleep(Duration::from_millis(100));
        let lines = self.process.lines();
        lines
            .into_iter()
            .filter(|line| line.contains(" > "))
            .collect()
    }
}

/// A socket's address.
pub(crate) fn address(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}
