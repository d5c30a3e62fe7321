//! Address ranges of a cluster, as `10.244.0.0/16` or `fd00::/8`.
//!
//! A [`Cidr`] holds the network's first address, so two spellings of one range are equal and a
//! ruleset made from them has each range once.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses that share a prefix; a bare address is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// Why a text is not a [`Cidr`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CidrError {
    /// The part before the slash is no IP address.
    Address(String),
    /// The part after the slash is no prefix length of that address family.
    Prefix(String),
}

impl Cidr {
    /// The first address of the range.
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// How many leading bits the addresses share.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.network.is_ipv4() && first(address, self.prefix) == self.network
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| CidrError::Address(text.to_owned()))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= longest)
                .ok_or_else(|| CidrError::Prefix(text.to_owned()))?,
        };
        Ok(Self {
            network: first(address, prefix),
            prefix,
        })
    }
}

fn first(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(text) => write!(f, "`{text}` does not start with an IP address"),
            Self::Prefix(text) => write!(f, "`{text}` has no valid prefix length"),
        }
    }
}

impl std::error::Error for CidrError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_cut_so_that_spellings_of_one_range_are_equal() {
        let a: Cidr = "10.244.7.9/16".parse().unwrap();
        let b: Cidr = "10.244.0.0/16".parse().unwrap();
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "10.244.0.0/16");
        let v6: Cidr = "fd00:10::5/64".parse().unwrap();
        assert_eq!(v6.to_string(), "fd00:10::/64");
    }

    #[test]
    fn a_bare_address_is_a_range_of_one() {
        assert_eq!(
            "192.0.2.1".parse::<Cidr>().unwrap().to_string(),
            "192.0.2.1/32"
        );
        assert_eq!("::1".parse::<Cidr>().unwrap().to_string(), "::1/128");
    }

    #[test]
    fn the_whole_space_contains_every_address_of_its_family() {
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("198.51.100.1".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
        let some: Cidr = "10.0.0.0/9".parse().unwrap();
        assert!(some.contains("10.127.255.255".parse().unwrap()));
        assert!(!some.contains("10.128.0.0".parse().unwrap()));
    }

    #[test]
    fn what_is_no_range_is_refused_by_name() {
        for text in ["", "shop", "10.0.0/8", "/8"] {
            assert_eq!(
                text.parse::<Cidr>(),
                Err(CidrError::Address(text.to_owned()))
            );
        }
        for text in ["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1"] {
            assert_eq!(
                text.parse::<Cidr>(),
                Err(CidrError::Prefix(text.to_owned()))
            );
        }
    }
}
