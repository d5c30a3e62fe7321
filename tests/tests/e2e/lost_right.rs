//! A right that is taken away ends the connections that lived by it, and no other.

use std::time::Duration;

use sluice_tests::clients::{Dial, dial};
use sluice_tests::mesh::{Mesh, example};
use sluice_tests::net::Machine;
use sluice_tests::servers::tcp::{Script, TcpServer};
use sluice_tests::servers::{Stream, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// The proxies of the lab drain for one second.
const SOON: Duration = Duration::from_secs(10);

const SFTP: &str = "198.51.100.40:22";
const FEEDS: &str = "198.51.100.50:7000";

type Connection = Box<dyn Stream>;

fn open(app: &Machine, address: &str) -> Connection {
    let how = Dial::to(address.parse().unwrap());
    let dialed = app.block_on(async move { dial(&how).await });
    dialed.unwrap().stream
}

/// Asserts that a line comes back.
#[track_caller]
fn echo(app: &Machine, mut connection: Connection) -> Connection {
    let exchange = async move {
        connection.write_all(b"line\n").await?;
        connection.read_exact(&mut [0; 5]).await?;
        Ok::<_, std::io::Error>(connection)
    };
    let echoed = app.block_on(async move { timeout(SOON, exchange).await });
    echoed.unwrap().unwrap()
}

#[test]
fn a_connection_whose_host_is_closed_is_reset_and_others_go_on() {
    let both = example("tcp-by-address/ssh.yaml");
    let (sftp, feeds) = both.split_once("---\n").unwrap();
    let files = [("sftp.yaml", sftp), ("feeds.yaml", feeds)];
    let (mesh, _servers) = Mesh::start(&files, |mesh| {
        [("sftp", SFTP), ("feeds", FEEDS)].map(|(name, address)| {
            let (ip, _) = address.split_once(':').unwrap();
            let machine = mesh.external(name, ip, &[]);
            let address = address.parse().unwrap();
            TcpServer::start(&machine, address, Transport::Plain, Script::Echo)
        })
    });
    let app = mesh.app();
    let mut losing = echo(app, open(app, SFTP));
    let going_on = echo(app, open(app, FEEDS));

    mesh.config.remove("sftp.yaml");

    // A FIN would tell the app that it has all.
    let ended = app.block_on(async move { timeout(SOON, losing.read(&mut [0; 1])).await });
    let error = ended.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    echo(app, going_on);
    mesh.assert_no_nack();
}
