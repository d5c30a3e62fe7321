//! Installing, replacing, checking and removing, with the rights that a container is given.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice_tests::net::ranges;
use sluice_tests::programs::Program;

use crate::world::{World, assert_unseen};

/// `sluice-init` in the pod with no capability but these, as a container runtime starts it.
fn with_capabilities(world: &World, capabilities: &str, verb: &str) -> std::process::Output {
    let mut setpriv = Command::new("setpriv");
    setpriv
        .args(["--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all"])
        .arg(format!("--bounding-set=-all{capabilities}"))
        .arg(Program::Init.path())
        .arg(verb);
    if verb == "install" {
        setpriv.arg("--cgroup").arg(world.pod.cgroup());
        for range in ranges::CLUSTER {
            setpriv.args(["--allow-cidr", range]);
        }
    }
    world.pod.run(setpriv)
}

#[test]
fn two_capabilities_are_enough_and_the_lack_of_either_is_named() {
    let world = World::open();
    for lacking in ["", ",+bpf", ",+net_admin"] {
        let output = with_capabilities(&world, lacking, "install");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{lacking}: {error}");
        assert!(error.contains("BPF and NET_ADMIN"), "{lacking}: {error}");
        let doctor = with_capabilities(&world, lacking, "doctor");
        assert_eq!(doctor.status.code(), Some(1), "{lacking}");
        let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
        for (name, given) in [("BPF", "+bpf"), ("NET_ADMIN", "+net_admin")] {
            let verdict = if lacking.contains(given) { "ok" } else { "no" };
            let line = format!("{verdict}  capability {name}: ");
            assert!(found.contains(&line), "{lacking}: {found}");
        }
    }
    let output = with_capabilities(&world, ",+bpf,+net_admin", "install");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    assert_eq!(world.check()["installed"], true);
    let doctor = with_capabilities(&world, ",+bpf,+net_admin", "doctor");
    let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.success(), "{found}");
}

#[test]
fn installing_again_replaces_rules_and_leaves_no_moment_open() {
    let world = World::guarded();
    let witnesses = world.witnesses();
    let sender = world.pod.spawn(crate::world::python(
        "\
s = socket(AF_INET, SOCK_DGRAM); refused = 0
print('ready', flush=True)
end = time.time() + 3
while time.time() < end:
    try:
        s.sendto(b'x', (OUT, 53)); print('sent'); break
    except PermissionError:
        refused += 1
print('refused', refused > 100, flush=True)",
    ));
    sender.wait_for("ready", Duration::from_secs(10));
    let wider: Vec<&str> = ranges::CLUSTER
        .into_iter()
        .chain(["192.0.2.0/24"])
        .collect();
    for allowed in [&wider[..], &ranges::CLUSTER, &wider] {
        world.pod.guard(allowed);
    }
    sender.wait_for("refused True", Duration::from_secs(10));
    assert_unseen(&witnesses);
    // Counted on through all replacements, for the maps stay.
    assert!(world.counter("dropped_egress") > 100);

    let allowed = "attempt(lambda: socket(AF_INET, SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53)))";
    assert_eq!(world.attack(allowed), "sent");
    world.pod.guard(&ranges::CLUSTER);
    assert_eq!(world.attack(allowed), "EPERM");
}

#[test]
fn remove_takes_everything_off_and_check_says_so() {
    let world = World::guarded();
    assert!(world.pod.sluice_init("remove", &[]).status.success());
    let check = world.pod.sluice_init("check", &["--output", "json"]);
    assert_eq!(check.status.code(), Some(1));
    let check: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(check["installed"], false);
    let states: Vec<_> = check["hooks"].as_array().unwrap().iter().collect();
    assert!(
        states.iter().all(|hook| hook["state"] == "missing"),
        "{states:?}"
    );
    assert_eq!(
        world.attack("attempt(lambda: socket(AF_INET, SOCK_DGRAM).sendto(b'x', (OUT, 53)))"),
        "sent"
    );
}

#[test]
fn install_sweeps_the_pins_of_pods_that_are_gone() {
    let world = World::open();
    let pins = || {
        let mut ls = Command::new("ls");
        ls.arg("/sys/fs/bpf/sluice");
        world.pod.check(ls).lines().count()
    };
    let gone = world.pod.cgroup().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let mut install = Program::Init.command();
    install.args(["install", "--cgroup"]).arg(&gone);
    world.pod.check(install);
    assert_eq!(pins(), 1);

    // A living pod's pins stay, a dead one's go.
    world.pod.guard(&ranges::CLUSTER);
    assert_eq!(pins(), 2);
    std::fs::remove_dir(&gone).unwrap();
    // The kernel takes a moment to take leave of a cgroup.
    let deadline = Instant::now() + Duration::from_secs(5);
    while pins() > 1 {
        assert!(
            Instant::now() < deadline,
            "the pins of a cgroup that is gone stay"
        );
        world.pod.guard(&ranges::CLUSTER);
    }
    assert_eq!(world.check()["installed"], true);
}

#[test]
fn cgroup_above_the_pods_and_folder_without_bpffs_are_refused() {
    let world = World::open();
    let above = &sluice_init::cgroup::mounts().unwrap()[0];
    let mut install = Program::Init.command();
    install.args(["install", "--cgroup"]).arg(above);
    let output = world.pod.run(install);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("is the root of the hierarchy"), "{error}");

    let folder = std::env::temp_dir();
    let output = world
        .pod
        .sluice_init("install", &["--pin-dir", folder.to_str().unwrap()]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("is not in a bpf file system"), "{error}");
}
