//! What the kernel side counted and reported of a pod.

use std::collections::BTreeMap;

use aya::maps::{Map, MapData, MapError, PerCpuArray, RingBuf};

use super::abi::{COUNTERS, Event};
use super::{Error, Pins};

/// The pod's counters by name, summed over CPUs.
pub fn counters(pins: &Pins) -> Result<BTreeMap<&'static str, u64>, Error> {
    let read = || -> Result<_, MapError> {
        let counters = PerCpuArray::<_, u64>::try_from(open(pins, "counters")?)?;
        let mut found = BTreeMap::new();
        for (index, name) in (0u32..).zip(COUNTERS) {
            found.insert(name, counters.get(&index, 0)?.iter().sum());
        }
        Ok(found)
    };
    read().map_err(failed("counters"))
}

/// The events since the last call, by whomever; at most as many as the buffer holds.
pub fn events(pins: &Pins) -> Result<Vec<Event>, Error> {
    let read = || -> Result<_, MapError> {
        let mut buffer = RingBuf::try_from(open(pins, "events")?)?;
        let mut found = Vec::new();
        while let Some(record) = buffer.next() {
            found.extend(Event::parse(&record));
        }
        Ok(found)
    };
    read().map_err(failed("events"))
}

fn open(pins: &Pins, name: &str) -> Result<Map, MapError> {
    Map::from_map_data(MapData::from_pin(pins.maps().join(name))?)
}

fn failed(name: &'static str) -> impl FnOnce(MapError) -> Error {
    move |source| Error::Map {
        name,
        source: Box::new(source),
    }
}
