//! The authority from either source, tried on real directories.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use sluice_identity::{
    WorkloadNames,
    certificate::Contents,
    csr::{self, ProvenKey},
};
use sluice_plan::identity::{ClassId, SpiffeId};
use x509_parser::prelude::FromDer;

use super::{Authority, BACKDATE, CaError, MAX_LIFETIME, key::SigningKey};

/// A key for tests alone, in the form (PKCS#1) that Istio's own tools write.
const RSA_KEY: &str = include_str!("testdata/rsa-key.pem");

fn now() -> SystemTime {
    // Certificates count whole seconds.
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn names() -> WorkloadNames {
    let spiffe = SpiffeId::new("cluster.local", "shop", "checkout").unwrap();
    let class = ClassId::of("shop", "checkout", []);
    WorkloadNames::new(spiffe, Some(class), Some("web-0"), None).unwrap()
}

fn proven() -> ProvenKey {
    ProvenKey::from_request(&csr::request(&KeyPair::generate().unwrap()).unwrap()).unwrap()
}

fn state(dir: &Path) -> Result<Authority, CaError> {
    Authority::from_state_dir(dir, "cluster.local", now())
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_after = (now() + Duration::from_secs(30 * 24 * 3600)).into();
    params
}

struct Cacerts {
    dir: tempfile::TempDir,
    root: CertifiedIssuer<'static, KeyPair>,
}

impl Cacerts {
    /// A root and an intermediate that signs, as Istio's task "Plug in CA certificates" makes them.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root =
            CertifiedIssuer::self_signed(ca_params("root"), KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let intermediate = ca_params("intermediate").signed_by(&key, &root).unwrap();
        let cacerts = Self { dir, root };
        cacerts.put("ca-key.pem", &key.serialize_pem());
        cacerts.put("ca-cert.pem", &intermediate.pem());
        cacerts.put("root-cert.pem", &cacerts.root.pem());
        cacerts.put(
            "cert-chain.pem",
            &[intermediate.pem(), cacerts.root.pem()].concat(),
        );
        cacerts
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn open(&self) -> Result<Authority, CaError> {
        Authority::from_cacerts(self.dir.path(), now())
    }
}

fn subject_and_issuer(pem: &str) -> (String, String) {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let certificate = block.parse_x509().unwrap();
    (
        certificate.subject().to_string(),
        certificate.issuer().to_string(),
    )
}

#[test]
fn root_survives_restarts() {
    let dir = tempfile::tempdir().unwrap();

    let first = state(dir.path()).unwrap().roots_pem();
    let second = state(dir.path()).unwrap().roots_pem();

    assert_eq!(first, second);
    let key = fs::metadata(dir.path().join("ca-key.pem")).unwrap();
    assert_eq!(key.permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn starters_at_the_same_moment_share_one_root() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let together = Arc::new(Barrier::new(8));
        let starters: Vec<_> = (0..8)
            .map(|_| {
                let path = dir.path().to_owned();
                let together = Arc::clone(&together);
                thread::spawn(move || {
                    together.wait();
                    state(&path).unwrap().roots_pem()
                })
            })
            .collect();

        let roots: Vec<String> = starters
            .into_iter()
            .map(|starter| starter.join().unwrap())
            .collect();

        assert!(roots.iter().all(|root| *root == roots[0]));
    }
}

#[test]
fn root_is_finished_after_a_crash_between_its_two_files() {
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap().serialize_pem();
    let path = dir.path().join("ca-key.pem");
    fs::write(&path, &key).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

    state(dir.path()).unwrap();

    assert_eq!(fs::read_to_string(&path).unwrap(), key);
}

#[test]
fn root_without_its_key_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    state(dir.path()).unwrap();
    fs::remove_file(dir.path().join("ca-key.pem")).unwrap();

    let refused = state(dir.path()).unwrap_err().to_string();

    assert!(
        refused.contains("its key ca-key.pem is missing"),
        "{refused}"
    );
}

#[test]
fn key_that_others_may_read_is_refused_with_the_command_to_run() {
    let dir = tempfile::tempdir().unwrap();
    state(dir.path()).unwrap();
    let key = dir.path().join("ca-key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();

    let refused = state(dir.path()).unwrap_err().to_string();

    assert!(refused.contains("chmod 600"), "{refused}");
}

#[test]
fn certificate_is_backdated_and_lives_a_day_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let authority = state(dir.path()).unwrap();
    let year = Duration::from_secs(365 * 24 * 3600);
    let hour = Duration::from_secs(3600);

    for (asked, granted) in [
        (None, MAX_LIFETIME),
        (Some(year), MAX_LIFETIME),
        (Some(Duration::MAX), MAX_LIFETIME),
        (Some(hour), hour),
    ] {
        let chain = authority
            .certify(&names(), &proven(), asked, now())
            .unwrap();
        let contents = Contents::read(&chain.presented[0]).unwrap();

        assert_eq!(contents.validity, chain.validity);
        assert_eq!(contents.validity.not_before, now() - BACKDATE);
        assert_eq!(contents.validity.not_after, now() + granted);
    }
}

#[test]
fn no_certificate_outlives_the_authority() {
    let dir = tempfile::tempdir().unwrap();
    let authority = state(dir.path()).unwrap();
    let late = authority.not_after() - Duration::from_secs(60);

    let chain = authority.certify(&names(), &proven(), None, late).unwrap();
    let after = authority.certify(&names(), &proven(), None, authority.not_after());

    assert_eq!(chain.validity.not_after, authority.not_after());
    assert!(matches!(after, Err(CaError::Expired)));
}

#[test]
fn same_key_certified_twice_gets_two_serial_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let authority = state(dir.path()).unwrap();
    let key = proven();

    let [one, other] = [(), ()].map(|()| {
        let chain = authority.certify(&names(), &key, None, now()).unwrap();
        let leaf: CertificateDer<'_> = chain.presented[0].clone();
        let (_, leaf) = x509_parser::certificate::X509Certificate::from_der(&leaf).unwrap();
        leaf.raw_serial().to_vec()
    });

    assert_ne!(one, other);
}

#[test]
fn reply_is_the_leaf_then_intermediates_then_the_root() {
    let cacerts = Cacerts::new();
    let authority = cacerts.open().unwrap();

    let chain = authority.certify(&names(), &proven(), None, now()).unwrap();
    let reply = chain.reply(&authority);

    let links: Vec<_> = reply.iter().map(|pem| subject_and_issuer(pem)).collect();
    assert_eq!(links.len(), 3);
    assert_eq!(links[0].0, "");
    assert_eq!(links[0].1, links[1].0);
    assert_eq!(links[1].1, links[2].0);
    assert_eq!(links[2].0, links[2].1);
    assert_eq!(chain.presented.len(), 2);
}

#[test]
fn chain_without_the_issuer_is_completed() {
    let cacerts = Cacerts::new();
    fs::remove_file(cacerts.dir.path().join("cert-chain.pem")).unwrap();

    let authority = cacerts.open().unwrap();

    let chain = authority.certify(&names(), &proven(), None, now()).unwrap();
    assert_eq!(chain.presented.len(), 2);
}

#[test]
fn several_roots_are_all_told_to_clients() {
    let cacerts = Cacerts::new();
    let next = Cacerts::new();
    cacerts.put(
        "root-cert.pem",
        &[cacerts.root.pem(), next.root.pem()].concat(),
    );

    let authority = cacerts.open().unwrap();

    assert_eq!(
        authority.roots_pem().matches("BEGIN CERTIFICATE").count(),
        2
    );
}

#[test]
fn cacerts_that_cannot_issue_are_refused_at_the_start() {
    let other = Cacerts::new();
    let read = |name: &str| fs::read_to_string(other.dir.path().join(name)).unwrap();
    for (name, text) in [
        ("ca-key.pem", read("ca-key.pem")),
        ("ca-cert.pem", read("ca-cert.pem")),
        ("root-cert.pem", read("root-cert.pem")),
        ("ca-key.pem", "no key".to_owned()),
        ("ca-cert.pem", String::new()),
    ] {
        let cacerts = Cacerts::new();
        cacerts.put(name, &text);

        assert!(cacerts.open().is_err(), "{name}");
    }
}

#[test]
fn missing_file_is_named() {
    let cacerts = Cacerts::new();
    fs::remove_file(cacerts.dir.path().join("root-cert.pem")).unwrap();

    let refused = cacerts.open().unwrap_err().to_string();

    assert!(
        refused.contains("root-cert.pem: cannot be read"),
        "{refused}"
    );
}

#[test]
fn rsa_root_as_istio_makes_it_signs() {
    let dir = tempfile::tempdir().unwrap();
    let key = SigningKey::from_pem(RSA_KEY.as_bytes()).unwrap();
    let root = ca_params("root").self_signed(&key).unwrap().pem();
    fs::write(dir.path().join("ca-key.pem"), RSA_KEY).unwrap();
    for name in ["ca-cert.pem", "root-cert.pem", "cert-chain.pem"] {
        fs::write(dir.path().join(name), &root).unwrap();
    }

    let authority = Authority::from_cacerts(dir.path(), now()).unwrap();

    let chain = authority.certify(&names(), &proven(), None, now()).unwrap();
    assert_eq!(chain.reply(&authority).len(), 2);
}

#[test]
fn key_is_not_printed() {
    let dir = tempfile::tempdir().unwrap();

    let printed = format!("{:?}", state(dir.path()).unwrap());

    assert!(printed.contains("[redacted]"), "{printed}");
}
