//! The wire form of DNS (RFC 1035), as far as the lab speaks it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Anything else, by its number; the lab has no such records.
    Other(u16),
}

/// How an answer turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The name exists; it may still have nothing of the type asked for.
    NoError,
    /// There is no such name.
    NoSuchName,
    /// The server will not say.
    Refused,
    /// Anything else, by its number.
    Other(u8),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it turned out.
    pub code: Code,
    /// The addresses in it, in order.
    pub addresses: Vec<IpAddr>,
    /// The shortest time to live among its records, in seconds.
    pub ttl_seconds: Option<u32>,
}

/// A query that arrived.
pub(super) struct Question {
    pub(super) name: String,
    pub(super) kind: Kind,
    id: u16,
    recursion_desired: bool,
    /// The question section as it came, to be repeated in the answer.
    section: Vec<u8>,
}

/// A record of an answer; all are about the name before them, beginning with that asked for.
pub(super) enum Record {
    Alias(String),
    Address(IpAddr),
}

const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
const CNAME: u16 = 5;

impl Kind {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Other(number) => number,
        }
    }
}

impl From<u16> for Kind {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::A,
            28 => Self::Aaaa,
            number => Self::Other(number),
        }
    }
}

impl Code {
    fn number(self) -> u8 {
        match self {
            Self::NoError => 0,
            Self::NoSuchName => 3,
            Self::Refused => 5,
            Self::Other(number) => number,
        }
    }
}

impl From<u8> for Code {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::NoError,
            3 => Self::NoSuchName,
            5 => Self::Refused,
            number => Self::Other(number),
        }
    }
}

/// A query's bytes.
pub(super) fn query(id: u16, name: &str, kind: Kind) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Flags: recursion desired. Counts: one question.
    for word in [id, 0x0100, 1, 0, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    write_name(&mut bytes, name)?;
    bytes.extend(kind.number().to_be_bytes());
    bytes.extend(CLASS_IN.to_be_bytes());
    Ok(bytes)
}

/// Reads a query; `None` if it is none.
pub(super) fn question(bytes: &[u8]) -> Option<Question> {
    let flags = word(bytes, 2)?;
    let is_response = flags & 0x8000 != 0;
    if is_response || word(bytes, 4)? != 1 {
        return None;
    }
    let (name, end) = read_name(bytes, HEADER)?;
    Some(Question {
        name,
        kind: word(bytes, end)?.into(),
        id: word(bytes, 0)?,
        recursion_desired: flags & 0x0100 != 0,
        section: bytes.get(HEADER..end + 4)?.to_vec(),
    })
}

/// An answer's bytes.
pub(super) fn response(
    question: &Question,
    code: Code,
    ttl_seconds: u32,
    records: &[Record],
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Flags: response, authoritative, recursion available as asked.
    let recursion = u16::from(question.recursion_desired);
    let flags = 0x8400 | recursion << 8 | recursion << 7 | u16::from(code.number());
    let count = u16::try_from(records.len()).map_err(io::Error::other)?;
    for word in [question.id, flags, 1, count, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(&question.section);
    let mut owner = question.name.as_str();
    for record in records {
        write_name(&mut bytes, owner)?;
        let mut data = Vec::new();
        let number = match record {
            Record::Alias(target) => {
                write_name(&mut data, target)?;
                owner = target;
                CNAME
            }
            Record::Address(address) => {
                match address {
                    IpAddr::V4(v4) => data.extend(v4.octets()),
                    IpAddr::V6(v6) => data.extend(v6.octets()),
                }
                Kind::from(*address).number()
            }
        };
        bytes.extend(number.to_be_bytes());
        bytes.extend(CLASS_IN.to_be_bytes());
        bytes.extend(ttl_seconds.to_be_bytes());
        let length = u16::try_from(data.len()).map_err(io::Error::other)?;
        bytes.extend(length.to_be_bytes());
        bytes.extend(data);
    }
    Ok(bytes)
}

/// Reads an answer; `None` if it is none.
pub(super) fn answer(bytes: &[u8]) -> Option<Answer> {
    let [_, flags] = word(bytes, 2)?.to_be_bytes();
    let mut at = HEADER;
    for _ in 0..word(bytes, 4)? {
        at = read_name(bytes, at)?.1 + 4;
    }
    let mut answer = Answer {
        code: (flags & 0x0f).into(),
        addresses: Vec::new(),
        ttl_seconds: None,
    };
    for _ in 0..word(bytes, 6)? {
        at = read_name(bytes, at)?.1;
        let kind = Kind::from(word(bytes, at)?);
        let ttl = u32::from_be_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?);
        let length = usize::from(word(bytes, at + 8)?);
        let data = bytes.get(at + 10..at + 10 + length)?;
        match kind {
            Kind::A => {
                let octets: [u8; 4] = data.try_into().ok()?;
                answer.addresses.push(Ipv4Addr::from(octets).into());
            }
            Kind::Aaaa => {
                let octets: [u8; 16] = data.try_into().ok()?;
                answer.addresses.push(Ipv6Addr::from(octets).into());
            }
            Kind::Other(_) => {}
        }
        answer.ttl_seconds = Some(answer.ttl_seconds.map_or(ttl, |other| other.min(ttl)));
        at += 10 + length;
    }
    Some(answer)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn write_name(bytes: &mut Vec<u8>, name: &str) -> io::Result<()> {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|length| *length < 64);
        let length =
            length.ok_or_else(|| io::Error::other(format!("`{name}` has a label too long")))?;
        bytes.push(length);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    Ok(())
}

/// A name in lower case without its last dot, and where it ends.
fn read_name(bytes: &[u8], start: usize) -> Option<(String, usize)> {
    let mut labels: Vec<String> = Vec::new();
    let mut at = start;
    let mut end = None;
    // Pointers go backwards only, and so come to an end.
    loop {
        let length = usize::from(*bytes.get(at)?);
        if length & 0xc0 == 0xc0 {
            end.get_or_insert(at + 2);
            let target = usize::from(word(bytes, at)? & 0x3fff);
            if target >= at {
                return None;
            }
            at = target;
            continue;
        }
        at += 1;
        if length == 0 {
            break;
        }
        let label = bytes.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
        if labels.len() > 127 {
            return None;
        }
    }
    Some((labels.join("."), end.unwrap_or(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_back() {
        let bytes = query(7, "API.Partner.example.", Kind::Aaaa).unwrap();
        let question = question(&bytes).unwrap();
        assert_eq!(question.name, "api.partner.example");
        assert_eq!(question.kind, Kind::Aaaa);
        assert_eq!(question.id, 7);
    }

    #[test]
    fn an_alias_and_its_addresses_are_read_back() {
        let bytes = query(7, "www.partner.example", Kind::A).unwrap();
        let question = question(&bytes).unwrap();
        let records = [
            Record::Alias("edge.partner.example".into()),
            Record::Address("198.51.100.1".parse().unwrap()),
            Record::Address("198.51.100.2".parse().unwrap()),
        ];
        let bytes = response(&question, Code::NoError, 30, &records).unwrap();
        let read = answer(&bytes).unwrap();
        assert_eq!(read.code, Code::NoError);
        assert_eq!(read.ttl_seconds, Some(30));
        assert_eq!(read.addresses.len(), 2);
    }

    #[test]
    fn no_prefix_of_a_message_is_a_panic() {
        let bytes = query(7, "www.partner.example", Kind::A).unwrap();
        let asked = question(&bytes).unwrap();
        let record = [Record::Address("2001:db8::1".parse().unwrap())];
        let reply = response(&asked, Code::NoError, 30, &record).unwrap();
        for end in 0..reply.len() {
            assert!(answer(&reply[..end]).is_none(), "{end}");
        }
        for end in 0..bytes.len() {
            assert!(question(&bytes[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn a_name_that_points_at_itself_is_refused() {
        let mut bytes = query(7, "a", Kind::A).unwrap();
        bytes[HEADER] = 0xc0;
        bytes[HEADER + 1] = HEADER as u8;
        assert!(question(&bytes).is_none());
    }
}
