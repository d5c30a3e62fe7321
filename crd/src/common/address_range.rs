//! Ranges of addresses as pools list them: `203.0.113.10-203.0.113.19`, `2001:db8::10/124`, or one.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Addresses of one family, from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// Why a text is no range of addresses.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no range of addresses: expected FIRST-LAST, ADDRESS/LENGTH or ADDRESS")]
pub struct InvalidAddressRange(String);

impl AddressRange {
    /// Reads `FIRST-LAST`, `ADDRESS/LENGTH` (of which the host bits do not count) and `ADDRESS`.
    pub fn parse(text: &str) -> Result<Self, InvalidAddressRange> {
        between(text)
            .or_else(|| prefix(text))
            .or_else(|| {
                let only = text.parse().ok()?;
                Some(Self {
                    first: only,
                    last: only,
                })
            })
            .ok_or_else(|| InvalidAddressRange(text.to_owned()))
    }

    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        // All IPv4 addresses sort below all of IPv6, so families do not mix.
        (self.first..=self.last).contains(&address)
    }
}

fn between(text: &str) -> Option<AddressRange> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
    let is_range = first.is_ipv4() == last.is_ipv4() && first <= last;
    is_range.then_some(AddressRange { first, last })
}

fn prefix(text: &str) -> Option<AddressRange> {
    let (address, length) = text.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    let address: IpAddr = address.parse().ok()?;
    Some(match address {
        IpAddr::V4(v4) => {
            let host = u32::MAX.checked_shr(length).unwrap_or(0);
            let first = u32::from(v4) & !host;
            (length <= 32).then(|| AddressRange {
                first: IpAddr::V4(first.into()),
                last: IpAddr::V4((first | host).into()),
            })?
        }
        IpAddr::V6(v6) => {
            let host = u128::MAX.checked_shr(length).unwrap_or(0);
            let first = u128::from(v6) & !host;
            (length <= 128).then(|| AddressRange {
                first: IpAddr::V6(first.into()),
                last: IpAddr::V6((first | host).into()),
            })?
        }
    })
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(f)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for AddressRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AddressRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(range: &str, address: &str) -> bool {
        AddressRange::parse(range)
            .unwrap()
            .contains(address.parse().unwrap())
    }

    #[test]
    fn both_ends_belong_to_a_range() {
        for range in ["203.0.113.10-203.0.113.19", "203.0.113.8/29"] {
            assert!(holds(range, "203.0.113.10"), "{range}");
            assert!(!holds(range, "203.0.113.20"), "{range}");
        }
        assert!(holds("203.0.113.10-203.0.113.19", "203.0.113.19"));
        assert!(holds("2001:db8::10/124", "2001:db8::1f"));
        assert!(!holds("2001:db8::10/124", "2001:db8::20"));
        assert!(holds("203.0.113.7", "203.0.113.7"));
        assert!(holds("0.0.0.0/0", "203.0.113.7") && holds("::/0", "2001:db8::1"));
    }

    #[test]
    fn families_do_not_mix() {
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(!holds("::/0", "203.0.113.7"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "a",
            "203.0.113.19-203.0.113.10",
            "203.0.113.1-::1",
            "203.0.113.0/33",
            "::/129",
            "203.0.113.0/",
        ] {
            assert!(AddressRange::parse(text).is_err(), "{text}");
        }
    }
}
