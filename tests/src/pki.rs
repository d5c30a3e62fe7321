//! Throw-away certificates: an [`Authority`] of a partner or of the world, and what it signs.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

/// A certificate authority made for one test.
pub struct Authority {
    cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, then what signed it short of the root.
    pub cert_pem: String,
    /// Its private key.
    pub key_pem: String,
}

impl Authority {
    /// An authority with this common name.
    pub fn new(common_name: &str) -> Self {
        let mut params = named(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("ring makes P-256 keys");
        let cert = params.self_signed(&key).expect("the parameters are sound");
        Self {
            cert_pem: cert.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate, the root that peers must trust.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// A server certificate for these DNS names and addresses.
    #[track_caller]
    pub fn server(&self, names: &[&str]) -> Identity {
        let mut params = named(names.first().copied().unwrap_or("server"));
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(ia5(name)),
            })
            .collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// A client certificate with this common name and these URI names, none if empty.
    #[track_caller]
    pub fn client(&self, common_name: &str, uris: &[&str]) -> Identity {
        let mut params = named(common_name);
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI(ia5(uri))).collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// A workload's certificate for both ends, as an Istio CA signs it: one SPIFFE URI, then
    /// these DNS names.
    #[track_caller]
    pub fn workload(&self, spiffe: &str, dns: &[&str]) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI(ia5(spiffe))];
        params
            .subject_alt_names
            .extend(dns.iter().map(|name| SanType::DnsName(ia5(name))));
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(params)
    }

    #[track_caller]
    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("ring makes P-256 keys");
        let cert = params
            .signed_by(&key, &self.issuer)
            .expect("the parameters are sound");
        Identity {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
        }
    }
}

impl Identity {
    /// Writes `NAME.pem` and `NAME-key.pem` into `directory`.
    #[track_caller]
    pub fn write(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let cert = directory.join(format!("{name}.pem"));
        let key = directory.join(format!("{name}-key.pem"));
        for (path, pem) in [(&cert, &self.cert_pem), (&key, &self.key_pem)] {
            fs::write(path, pem)
                .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        }
        (cert, key)
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

#[track_caller]
fn ia5(name: &str) -> Ia5String {
    name.try_into()
        .unwrap_or_else(|_| panic!("`{name}` is no name for a certificate"))
}
