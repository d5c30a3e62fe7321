//! An authoritative server for the whole lab, whose table tests change while it runs.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};

use super::PORT;
use super::message::{self, Code, Kind, Question, Record};
use crate::net::Machine;
use crate::servers::{Recorder, bind};

/// How long resolvers may keep an answer, unless the zone says otherwise.
const TTL_SECONDS: u32 = 1;

/// A query that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Who asked.
    pub peer: SocketAddr,
    /// The name in lower case, without its last dot.
    pub name: String,
    /// The type asked for.
    pub kind: Kind,
}

/// The table of names; clones are the same table.
#[derive(Clone)]
pub struct Zone {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    names: BTreeMap<String, Entry>,
    ttl_seconds: Option<u32>,
}

#[derive(Clone)]
enum Entry {
    Addresses(Vec<IpAddr>),
    Alias(String),
}

/// The running server; dropped, it stops.
pub struct DnsServer {
    zone: Zone,
    queries: Recorder<Query>,
    tasks: Vec<JoinHandle<()>>,
    // Keeps the machine on for as long as it serves.
    machine: Machine,
}

impl DnsServer {
    /// Serves an empty zone on port 53 of `address`, over UDP and TCP.
    #[track_caller]
    pub fn start(machine: &Machine, address: IpAddr) -> Self {
        let address = SocketAddr::new(address, PORT);
        let zone = Zone {
            table: Arc::default(),
        };
        let queries = Recorder::new();
        let (udp, tcp) = machine
            .block_on(async move {
                let udp = bind(|| UdpSocket::bind(address)).await?;
                Ok::<_, std::io::Error>((udp, bind(|| TcpListener::bind(address)).await?))
            })
            .unwrap_or_else(|error| {
                panic!(
                    "cannot serve DNS on {address} of `{}`: {error}",
                    machine.name()
                )
            });
        let service = Service {
            zone: zone.clone(),
            queries: queries.clone(),
        };
        let udp = machine.spawn_task(serve_udp(udp, service.clone()));
        let tcp = machine.spawn_task(serve_tcp(tcp, service));
        Self {
            zone,
            queries,
            tasks: vec![udp, tcp],
            machine: machine.clone(),
        }
    }

    /// The table that it answers from.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The queries that came.
    pub fn queries(&self) -> &Recorder<Query> {
        &self.queries
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        for task in self.tasks.drain(..) {
            self.machine.end_task(task);
        }
    }
}

impl Zone {
    /// Gives `name` exactly these addresses. A first label `*` stands for any labels.
    #[track_caller]
    pub fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses
            .iter()
            .map(|text| {
                text.parse()
                    .unwrap_or_else(|_| panic!("`{text}` is no IP address"))
            })
            .collect();
        self.insert(name, Entry::Addresses(addresses));
    }

    /// Makes `name` an alias of `target`.
    pub fn alias(&self, name: &str, target: &str) {
        self.insert(name, Entry::Alias(target.to_ascii_lowercase()));
    }

    /// Takes `name` out.
    pub fn remove(&self, name: &str) {
        self.table().names.remove(&name.to_ascii_lowercase());
    }

    /// How long resolvers may keep answers from now on. Default one second.
    pub fn ttl_seconds(&self, seconds: u32) {
        self.table().ttl_seconds = Some(seconds);
    }

    fn insert(&self, name: &str, entry: Entry) {
        self.table().names.insert(name.to_ascii_lowercase(), entry);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn find(&self, name: &str) -> Option<&Entry> {
        let wildcards = name
            .match_indices('.')
            .map(|(dot, _)| format!("*{}", &name[dot..]));
        std::iter::once(name.to_owned())
            .chain(wildcards)
            .find_map(|name| self.names.get(&name))
    }

    fn resolve(&self, question: &Question) -> (Code, Vec<Record>) {
        let mut records = Vec::new();
        let mut name = question.name.clone();
        // An alias of an alias is fine, a circle is not: eight steps are enough for a lab.
        for _ in 0..8 {
            match self.find(&name) {
                None if records.is_empty() => return (Code::NoSuchName, records),
                None => break,
                Some(Entry::Alias(target)) => {
                    records.push(Record::Alias(target.clone()));
                    name.clone_from(target);
                }
                Some(Entry::Addresses(addresses)) => {
                    let wanted = addresses
                        .iter()
                        .filter(|address| Kind::from(**address) == question.kind);
                    records.extend(wanted.map(|address| Record::Address(*address)));
                    break;
                }
            }
        }
        (Code::NoError, records)
    }
}

#[derive(Clone)]
struct Service {
    zone: Zone,
    queries: Recorder<Query>,
}

impl Service {
    fn answer(&self, bytes: &[u8], peer: SocketAddr) -> Option<Vec<u8>> {
        let question = message::question(bytes)?;
        self.queries.push(Query {
            peer,
            name: question.name.clone(),
            kind: question.kind,
        });
        let table = self.zone.table();
        let (code, records) = table.resolve(&question);
        let ttl = table.ttl_seconds.unwrap_or(TTL_SECONDS);
        message::response(&question, code, ttl, &records).ok()
    }
}

async fn serve_udp(socket: UdpSocket, service: Service) {
    let mut buffer = vec![0; 4096];
    // An error here is an ICMP message about an answer that nobody waits for any more.
    loop {
        if let Ok((length, peer)) = socket.recv_from(&mut buffer).await
            && let Some(answer) = service.answer(&buffer[..length], peer)
        {
            let _ = socket.send_to(&answer, peer).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, service: Service) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, peer)) = listener.accept().await {
        let service = service.clone();
        tasks.spawn(async move {
            let _ = converse(stream, peer, service).await;
        });
        while tasks.try_join_next().is_some() {}
    }
}

async fn converse(
    mut stream: TcpStream,
    peer: SocketAddr,
    service: Service,
) -> std::io::Result<()> {
    loop {
        let mut query = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut query).await?;
        let Some(answer) = service.answer(&query, peer) else {
            return Ok(());
        };
        let length = u16::try_from(answer.len()).map_err(std::io::Error::other)?;
        stream.write_u16(length).await?;
        stream.write_all(&answer).await?;
    }
}
