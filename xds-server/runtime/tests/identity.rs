//! The mTLS port over loopback: who gets which certificate, and whom a service behind it sees.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

#[path = "identity/port.rs"]
mod port;

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use port::{ANONYMOUS_LIFETIME, Port, TOKEN, lines};
use rcgen::{CertificateParams, KeyPair};
use sluice_identity::{
    client::{CertificateClient, ClientError, Credential, Issued, request_certificate},
    wire::IstioCertificateRequest,
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tonic::{Code, Request};

fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn with<'a>(issued: &'a Issued, key_pem: &'a str) -> Credential<'a> {
    Credential::Certificate {
        chain_pem: &issued.chain_pem,
        key_pem,
    }
}

fn code(refused: &ClientError) -> Code {
    match refused {
        ClientError::Refused(status) => status.code(),
        other => panic!("not refused by the control plane: {other}"),
    }
}

#[tokio::test]
async fn token_gets_the_names_of_its_pod() {
    let port = Port::start().await;

    let issued = request_certificate(&port.plane(), Credential::Token(TOKEN), &key(), None)
        .await
        .unwrap();

    assert_eq!(issued.names, port.names());
    assert_eq!(issued.roots_pem, port.authority.roots_pem());
    let left = issued
        .validity
        .not_after
        .duration_since(SystemTime::now())
        .unwrap();
    assert!(left > Duration::from_secs(24 * 3600 - 60), "{left:?}");
}

#[tokio::test]
async fn names_in_the_request_are_ignored() {
    let port = Port::start().await;
    let key = key();
    let mut greedy = CertificateParams::new(vec!["sluice.sluice-system.svc".to_owned()]).unwrap();
    greedy.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let mut request = Request::new(IstioCertificateRequest {
        csr: greedy.serialize_request(&key).unwrap().pem().unwrap(),
        ..IstioCertificateRequest::default()
    });
    let bearer = format!("Bearer {TOKEN}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);

    let channel = port.plane().channel(Credential::Token(TOKEN)).unwrap();
    let reply = CertificateClient::new(channel)
        .create_certificate(request)
        .await
        .unwrap();

    let issued = Issued::read(&reply.cert_chain, &key).unwrap();
    assert_eq!(issued.names, port.names());
}

#[tokio::test]
async fn unknown_token_is_refused() {
    let port = Port::start().await;

    for token in ["", "tok", "other-token"] {
        let refused = request_certificate(&port.plane(), Credential::Token(token), &key(), None)
            .await
            .unwrap_err();
        assert_eq!(code(&refused), Code::Unauthenticated, "{token}");
    }
}

#[tokio::test]
async fn token_that_was_taken_out_of_the_file_is_refused() {
    let port = Port::start().await;

    port.write_tokens("# nobody\n");
    let refused = request_certificate(&port.plane(), Credential::Token(TOKEN), &key(), None).await;

    assert_eq!(code(&refused.unwrap_err()), Code::Unauthenticated);
}

#[tokio::test]
async fn certificate_renews_itself_and_gets_the_new_class() {
    let port = Port::start().await;
    let first_key = key();
    let first = request_certificate(&port.plane(), Credential::Token(TOKEN), &first_key, None)
        .await
        .unwrap();

    port.relabel("tier", "back");
    let first_key = first_key.serialize_pem();
    let second = request_certificate(&port.plane(), with(&first, &first_key), &key(), None)
        .await
        .unwrap();

    assert_eq!(second.names, port.names());
    assert_ne!(second.names.class(), first.names.class());
    assert_eq!(second.names.pod(), first.names.pod());
}

#[tokio::test]
async fn certificate_of_a_pod_that_is_gone_renews_nothing() {
    let port = Port::start().await;
    let first_key = key();
    let first = request_certificate(&port.plane(), Credential::Token(TOKEN), &first_key, None)
        .await
        .unwrap();
    let first_key = first_key.serialize_pem();

    port.recreate_pod("another-uid");
    let successor =
        request_certificate(&port.plane(), with(&first, &first_key), &key(), None).await;
    port.delete_pod();
    let nobody = request_certificate(&port.plane(), with(&first, &first_key), &key(), None).await;

    assert_eq!(code(&successor.unwrap_err()), Code::PermissionDenied);
    assert_eq!(code(&nobody.unwrap_err()), Code::PermissionDenied);
}

#[tokio::test]
async fn expired_certificate_is_refused_by_the_handshake() {
    let port = Port::start().await;
    let (chain_pem, key_pem) =
        port.certificate_made(SystemTime::now() - Duration::from_secs(172_800));
    let expired = Credential::Certificate {
        chain_pem: &chain_pem,
        key_pem: &key_pem,
    };

    let refused = request_certificate(&port.plane(), expired, &key(), None)
        .await
        .unwrap_err();

    assert!(lines(&refused).contains("Expired"), "{}", lines(&refused));
}

#[tokio::test]
async fn certificate_that_expires_on_an_open_connection_renews_nothing() {
    let port = Port::start().await;
    let two_seconds = Some(Duration::from_secs(2));
    let first_key = key();
    let first = request_certificate(
        &port.plane(),
        Credential::Token(TOKEN),
        &first_key,
        two_seconds,
    )
    .await
    .unwrap();
    let first_key = first_key.serialize_pem();
    let channel = port.plane().channel(with(&first, &first_key)).unwrap();
    let mut client = CertificateClient::new(channel);
    let request = || {
        Request::new(IstioCertificateRequest {
            csr: sluice_identity::csr::request(&key()).unwrap(),
            ..IstioCertificateRequest::default()
        })
    };

    let while_valid = client.create_certificate(request()).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = client.create_certificate(request()).await;

    assert!(while_valid.is_ok(), "{while_valid:?}");
    let after = after.unwrap_err();
    assert_eq!(after.code(), Code::Unauthenticated);
    assert_eq!(after.message(), "the client certificate has expired");
}

#[tokio::test]
async fn certificate_of_a_foreign_ca_is_refused_by_the_handshake() {
    let port = Port::start().await;
    let foreign = Port::start().await;
    let (chain_pem, key_pem) = foreign.certificate_made(SystemTime::now());
    let credential = Credential::Certificate {
        chain_pem: &chain_pem,
        key_pem: &key_pem,
    };

    let refused = request_certificate(&port.plane(), credential, &key(), None)
        .await
        .unwrap_err();

    assert!(lines(&refused).contains("UnknownCA"), "{}", lines(&refused));
}

#[tokio::test]
async fn client_refuses_a_control_plane_of_another_root_or_name() {
    let port = Port::start().await;
    let mut other_root = port.plane();
    other_root.roots_pem = Port::start().await.authority.roots_pem();
    let mut other_name = port.plane();
    other_name.san = "istiod.istio-system.svc".to_owned();

    for (plane, reason) in [
        (other_root, "UnknownIssuer"),
        (other_name, "not valid for name"),
    ] {
        let refused = request_certificate(&plane, Credential::Token(TOKEN), &key(), None)
            .await
            .unwrap_err();
        assert!(lines(&refused).contains(reason), "{}", lines(&refused));
    }
}

#[tokio::test]
async fn service_sees_the_names_of_the_client_certificate_in_their_order() {
    let port = Port::start().await;
    let (chain_pem, key_pem) = port.certificate_made(SystemTime::now());
    let credential = Credential::Certificate {
        chain_pem: &chain_pem,
        key_pem: &key_pem,
    };

    let seen = port.who_am_i(credential).await.unwrap();

    let names = port.names();
    assert_eq!(seen.uri_sans, [names.uri()]);
    assert_eq!(seen.dns_sans, names.dns_names());
    assert!(seen.not_after.unwrap() > SystemTime::now());
}

#[tokio::test]
async fn service_sees_no_names_of_a_client_without_certificate() {
    let port = Port::start().await;

    let seen = port.who_am_i(Credential::Token(TOKEN)).await.unwrap();

    assert!(seen.uri_sans.is_empty() && seen.dns_sans.is_empty());
    assert_eq!(seen.not_after, None);
    assert!(seen.remote.is_some_and(|remote| remote.ip().is_loopback()));
}

#[tokio::test]
async fn stalled_handshakes_hold_up_nobody_and_are_ended() {
    let port = Port::start().await;
    let address: SocketAddr = port.plane().address.parse().unwrap();
    let mut stalled = Vec::new();
    for _ in 0..50 {
        stalled.push(TcpStream::connect(address).await.unwrap());
    }

    let (plane, key) = (port.plane(), key());
    let call = request_certificate(&plane, Credential::Token(TOKEN), &key, None);
    timeout(Duration::from_secs(3), call)
        .await
        .expect("the others' handshakes are in the way")
        .unwrap();

    let mut buffer = [0];
    let ended = timeout(Duration::from_secs(10), stalled[0].read(&mut buffer)).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
}

#[tokio::test]
async fn no_session_is_resumed_past_the_expiry_of_its_certificate() {
    let port = Port::start().await;

    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = port.client_config(version);
        for _ in 0..2 {
            let mut stream = port.anonymous(config.clone()).await;
            // Tickets come after the handshake.
            let _ = timeout(Duration::from_millis(200), stream.read(&mut [0])).await;
            let kind = stream.get_ref().1.handshake_kind();
            assert_eq!(kind, Some(rustls::HandshakeKind::Full), "{version:?}");
        }
    }
}

#[tokio::test]
async fn connection_without_certificate_ends_soon_and_one_with_it_stays() {
    let port = Port::start().await;
    let (chain_pem, key_pem) = port.certificate_made(SystemTime::now());
    let named = port.connect(Credential::Certificate {
        chain_pem: &chain_pem,
        key_pem: &key_pem,
    });
    let before = port::ask(&named).await.unwrap();
    let mut anonymous = port
        .anonymous(port.client_config(&rustls::version::TLS13))
        .await;

    let end = timeout(2 * ANONYMOUS_LIFETIME, async {
        while let Ok(1..) = anonymous.read(&mut [0]).await {}
    });

    end.await.expect("it is still open");
    assert_eq!(port::ask(&named).await.unwrap().remote, before.remote);
}

#[tokio::test]
async fn new_serving_certificate_keeps_the_connections_that_stand() {
    let port = Port::start().await;
    let before = port.serving_certificate().await;
    let connection = port.connect(Credential::Token(TOKEN));
    let first = port::ask(&connection).await.unwrap();

    port.serving.renew(SystemTime::now()).unwrap();

    let second = port::ask(&connection).await.unwrap();
    assert_eq!(second.remote, first.remote);
    assert_ne!(port.serving_certificate().await, before);
}

#[tokio::test]
async fn serving_certificate_renews_itself_at_half_life() {
    let port = Port::start_with_serving_lifetime(Duration::from_secs(4)).await;
    let before = port.serving_certificate().await;

    tokio::time::sleep(Duration::from_secs(3)).await;

    assert_ne!(port.serving_certificate().await, before);
}
