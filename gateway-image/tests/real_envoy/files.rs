//! Secrets that users keep in files, as Gateways and DestinationRules name them.

use std::{fs, net::TcpStream, sync::Arc, time::Duration};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    control_plane::ControlPlane,
    echo,
    proxy::{Proxy, free_port},
    resources::{cluster, listener},
};

/// The certificate that is presented on `port`.
fn presented(control_plane: &ControlPlane, port: u16) -> Option<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(control_plane.file("root.pem")).unwrap())
        .unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("gateway.example").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).ok()?;
    }
    stream
        .conn
        .peer_certificates()
        .map(|chain| chain[0].clone().into_owned())
}

fn write(control_plane: &ControlPlane) -> CertificateDer<'static> {
    let (chain, key) = control_plane.server_certificate("gateway.example");
    fs::write(control_plane.file("tls.key"), key).unwrap();
    fs::write(control_plane.file("tls.crt"), &chain).unwrap();
    CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()
}

fn name(control_plane: &ControlPlane) -> String {
    let (chain, key) = (control_plane.file("tls.crt"), control_plane.file("tls.key"));
    format!("file-cert:{}~{}", chain.display(), key.display())
}

#[test]
fn file_secret_is_served_when_it_appears_and_again_when_it_changes() {
    let control_plane = ControlPlane::start();
    let port = free_port();
    let name = name(&control_plane);
    control_plane.publish([
        cluster("echo", echo()),
        listener("tls", port, "echo", Some(&name)),
    ]);
    let proxy = Proxy::start(&control_plane);
    proxy.wait_for_log("cannot serve this secret, waiting for its files");
    assert!(
        proxy.log().contains("tls.crt: No such file"),
        "{}",
        proxy.log()
    );
    assert_eq!(presented(&control_plane, port), None);

    let first = write(&control_plane);
    proxy.wait_until("serving the file", || {
        presented(&control_plane, port).as_ref() == Some(&first)
    });
    proxy.wait_until_ready();

    let second = write(&control_plane);
    proxy.wait_until("serving the new file", || {
        presented(&control_plane, port).as_ref() == Some(&second)
    });
    control_plane.assert_nothing_rejected();
}

#[test]
fn file_outside_of_the_secret_roots_is_not_served() {
    let control_plane = ControlPlane::start();
    let elsewhere = tempfile::tempdir().unwrap();
    let port = free_port();
    write(&control_plane);
    let name = name(&control_plane);
    control_plane.publish([
        cluster("echo", echo()),
        listener("tls", port, "echo", Some(&name)),
    ]);
    let root = format!("--secret-root={}", elsewhere.path().display());
    let proxy = Proxy::start_with(&control_plane, &[&root]);
    proxy.wait_for_log("outside of the directories given by --secret-root");
    assert_eq!(presented(&control_plane, port), None);
}
