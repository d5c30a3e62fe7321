//! Whether the redirect and guard stand: what the sidecar asks before it says that it is ready.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::Serialize;

use super::pins::{Pins, file, open_link};
use super::{Error, Hook, Interface, evidence, sys};

/// All that stands, and what it has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whether every hook stands.
    pub installed: bool,
    /// Each hook, on each interface where it belongs there.
    pub hooks: Vec<HookStatus>,
    /// The pod's counters; empty before the first install.
    pub counters: BTreeMap<&'static str, u64>,
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookStatus {
    /// Which.
    pub hook: Hook,
    /// On which interface, for those that are on interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Whether it stands.
    pub state: State,
}

/// Whether a hook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Our program runs there.
    Attached,
    /// Nothing is pinned.
    Missing,
    /// What is pinned belongs to another cgroup or interface, or to one that is gone.
    Severed,
}

/// Looks at every hook of `cgroup` and `interfaces`.
pub fn status(cgroup: &Path, interfaces: &[Interface], pins: &Pins) -> Result<Status, Error> {
    let id = fs::metadata(cgroup).map_err(file(cgroup))?.ino();
    let mut hooks = Vec::new();
    for hook in Hook::ALL {
        if hook.is_on_interfaces() {
            for interface in interfaces {
                hooks.push(HookStatus {
                    hook,
                    interface: Some(interface.name.clone()),
                    state: state(&pins.link(hook, Some(interface.index)), |info| {
                        info.interface() == interface.index
                    })?,
                });
            }
        } else {
            hooks.push(HookStatus {
                hook,
                interface: None,
                state: state(&pins.link(hook, None), |info| info.cgroup() == id)?,
            });
        }
    }
    let counters = if pins.maps().join("counters").exists() {
        evidence::counters(pins)?
    } else {
        BTreeMap::new()
    };
    Ok(Status {
        installed: hooks.iter().all(|hook| hook.state == State::Attached),
        hooks,
        counters,
    })
}

fn state(path: &Path, is_ours: impl Fn(sys::LinkInfo) -> bool) -> Result<State, Error> {
    let Some(link) = open_link(path).map_err(file(path))? else {
        return Ok(State::Missing);
    };
    let info = sys::link_info(link.as_fd()).map_err(file(path))?;
    Ok(if is_ours(info) && info.program != 0 {
        State::Attached
    } else {
        State::Severed
    })
}
