//! Installing, and replacing what is installed.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::path::Path;

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, MapData, MapError};
use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfLoader};
use nix::net::if_::{if_nameindex, if_nametoindex};
use serde::Serialize;

use super::pins::{Pins, file, open_link};
use super::{Error, Hook, OBJECT, abi, sys};
use crate::cidr::Cidr;

/// What a pod may reach without its sidecar, and where the sidecar is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The sidecar's capture port. Unit: TCP port.
    pub proxy_port: u16,
    /// Pod and Service ranges, the gateway and the control plane. All else is redirected to the
    /// sidecar if it is TCP, and dropped if it is not.
    pub allow: BTreeSet<Cidr>,
    /// No gateway has IPv6: connections by it are refused as unreachable, so that clients try
    /// IPv4 at once.
    pub refuse_ipv6: bool,
}

/// An interface of the pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Interface {
    /// As the kernel numbers it in the pod's network namespace.
    pub index: u32,
    /// As `eth0`.
    pub name: String,
}

/// The interfaces of this network namespace by these names; by none, all but the loopback.
pub fn interfaces(names: &[String]) -> Result<Vec<Interface>, Error> {
    const LOOPBACK: u32 = 1;
    if !names.is_empty() {
        let mut found = Vec::new();
        for name in names {
            let index = if_nametoindex(name.as_str())
                .map_err(|_| Error::Interface { name: name.clone() })?;
            found.push(Interface {
                index,
                name: name.clone(),
            });
        }
        return Ok(found);
    }
    let all = if_nameindex().map_err(|errno| file(Path::new("/sys/class/net"))(errno.into()))?;
    let mut found: Vec<_> = all
        .iter()
        .filter(|interface| interface.index() != LOOPBACK)
        .map(|interface| Interface {
            index: interface.index(),
            name: interface.name().to_string_lossy().into_owned(),
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Attaches the redirect and guard to `cgroup` and to `interfaces` of this network namespace.
///
/// Done again, it replaces programs and rules in place. An error leaves what was attached until
/// then, which is never a redirect without its guard.
pub fn install(
    cgroup: &Path,
    interfaces: &[Interface],
    rules: &Rules,
    pins: &Pins,
) -> Result<(), Error> {
    let _lock = pins.lock()?;
    pins.sweep();
    let cgroup_folder = File::open(cgroup).map_err(file(cgroup))?;
    let mut object = EbpfLoader::new()
        .default_map_pin_directory(pins.maps())
        .load(OBJECT)
        .map_err(|error| Error::Maps(Box::new(error)))?;
    fill(&mut object, rules)?;
    for hook in Hook::ALL {
        let program = load(&mut object, hook)?;
        if hook.is_on_interfaces() {
            for interface in interfaces {
                attach(program, hook, interface.index, Some(interface.index), pins)?;
            }
        } else {
            let target = u32::try_from(cgroup_folder.as_raw_fd())
                .expect("an open descriptor is not negative");
            attach(program, hook, target, None, pins)?;
        }
    }
    Ok(())
}

/// Takes the redirect and guard off.
pub fn remove(pins: &Pins) -> Result<(), Error> {
    pins.remove()
}

/// Has `program` run at the hook: in the place of the one that runs there, or newly.
fn attach(
    program: BorrowedFd<'_>,
    hook: Hook,
    target: u32,
    interface: Option<u32>,
    pins: &Pins,
) -> Result<(), Error> {
    let path = pins.link(hook, interface);
    let failed = |source| Error::Attach {
        pin: path.display().to_string(),
        source,
    };
    if let Some(link) = open_link(&path).map_err(failed)? {
        // A link that lost its cgroup or interface cannot be updated, and does nothing.
        if sys::link_update(link.as_fd(), program).is_ok() {
            return Ok(());
        }
        std::fs::remove_file(&path).map_err(failed)?;
    }
    let link = sys::link_create(program, target, hook.attach_type()).map_err(failed)?;
    sys::pin(&path, link.as_fd()).map_err(failed)
}

fn load(object: &mut Ebpf, hook: Hook) -> Result<BorrowedFd<'_>, Error> {
    let failed = |source| Error::Load {
        hook,
        source: Box::new(source),
    };
    let program = object
        .program_mut(&hook.program())
        .expect("every hook has its program in the object, as a test holds");
    match program {
        Program::CgroupSockAddr(program) => program.load(),
        Program::CgroupSkb(program) => program.load(),
        Program::CgroupSockopt(program) => program.load(),
        Program::SockOps(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        // The enum is aya's, and the object is ours.
        _ => Err(ProgramError::UnexpectedProgramType),
    }
    .map_err(failed)?;
    program.fd().map(|fd| fd.as_fd()).map_err(failed)
}

fn fill(object: &mut Ebpf, rules: &Rules) -> Result<(), Error> {
    let named = |name| {
        move |source| Error::Map {
            name,
            source: Box::new(source),
        }
    };
    // First the settings: without a port nothing is redirected to the right place.
    settings(object, rules).map_err(named("settings"))?;
    let (mut v4, mut v6) = (BTreeSet::new(), BTreeSet::new());
    for cidr in &rules.allow {
        match cidr.network() {
            IpAddr::V4(network) => v4.insert((cidr.prefix(), network.octets())),
            IpAddr::V6(network) => v6.insert((cidr.prefix(), network.octets())),
        };
    }
    replace(object, "allow4", &v4).map_err(named("allow4"))?;
    replace(object, "allow6", &v6).map_err(named("allow6"))
}

fn settings(object: &mut Ebpf, rules: &Rules) -> Result<(), MapError> {
    let map = object
        .map_mut("settings")
        .expect("the object has the map, as a test holds");
    let mut map = Array::<&mut MapData, [u8; 8]>::try_from(map)?;
    map.set(0, abi::settings(rules.proxy_port, rules.refuse_ipv6), 0)
}

/// Adds what is new, then takes out what is no longer wanted.
fn replace<const N: usize>(
    object: &mut Ebpf,
    name: &'static str,
    wanted: &BTreeSet<(u8, [u8; N])>,
) -> Result<(), MapError> {
    let map = object
        .map_mut(name)
        .expect("the object has the map, as a test holds");
    let mut map = LpmTrie::<&mut MapData, [u8; N], u32>::try_from(map)?;
    for (prefix, network) in wanted {
        map.insert(&Key::new(u32::from(*prefix), *network), 1, 0)?;
    }
    let unwanted: Vec<_> = map
        .keys()
        .filter_map(Result::ok)
        .filter(|key| {
            u8::try_from(key.prefix_len())
                .is_ok_and(|prefix| !wanted.contains(&(prefix, key.data())))
        })
        .collect();
    for key in unwanted {
        map.remove(&key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_has_its_program_and_every_map_its_name() {
        let text = String::from_utf8_lossy(OBJECT);
        for hook in Hook::ALL {
            assert!(text.contains(&hook.program()), "{hook}");
        }
        for map in ["settings", "allow4", "allow6", "counters", "events"] {
            assert!(text.contains(map), "{map}");
        }
    }

    #[test]
    fn interface_that_is_not_there_is_refused_by_name() {
        let error = interfaces(&["nosuch0".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no interface `nosuch0` in this network namespace"
        );
    }
}
