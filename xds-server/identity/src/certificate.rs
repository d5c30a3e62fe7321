//! What stands in a workload's certificate, and reading it back.
//!
//! As Istio makes them: an empty subject, the names in a critical subjectAltName, usable by both ends
//! of a TLS connection, never a CA.

use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
    SerialNumber, string::Ia5String,
};
use rustls_pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use crate::names::{NamesError, WorkloadNames};

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment, a little before the certificate was made, for clocks that run late.
    pub not_before: SystemTime,
    /// The last moment.
    pub not_after: SystemTime,
}

impl Validity {
    /// When to get the next certificate: in the middle of what was left when it was `issued`.
    ///
    /// Counted from there and not from `not_before`, which lies minutes earlier: a certificate made for
    /// a short life would be due for renewal before it was first used.
    pub fn half_life(&self, issued: SystemTime) -> SystemTime {
        let left = self
            .not_after
            .duration_since(issued)
            .unwrap_or(Duration::ZERO);
        issued + left / 2
    }
}

/// Why a certificate cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not the DER of one X.509 certificate.
    #[error("malformed certificate")]
    Malformed,
    /// A kind of name that no certificate of ours has.
    #[error("unexpected kind of subject alternative name")]
    OtherName,
    /// The names are not those of a workload.
    #[error(transparent)]
    Names(#[from] NamesError),
}

/// The contents of a workload's certificate; `serial` is random, since one key may be certified twice.
pub fn workload_params(
    names: &WorkloadNames,
    validity: Validity,
    serial: [u8; 16],
) -> CertificateParams {
    leaf_params(&names.uri(), &names.dns_names(), validity, serial)
        .expect("the checked names of a workload are ASCII")
}

/// The contents of a certificate with these names, of a workload or of the control plane.
pub fn leaf_params(
    uri: &str,
    dns_names: &[String],
    validity: Validity,
    mut serial: [u8; 16],
) -> Result<CertificateParams, rcgen::Error> {
    // RFC 5280 4.1.2.2: positive, and the encoding must not shrink it to zero.
    serial[0] = serial[0] & 0x7f | 0x40;

    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = validity.not_before.into();
    params.not_after = validity.not_after.into();
    params.serial_number = Some(SerialNumber::from(serial.to_vec()));
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(uri)?)];
    for name in dns_names {
        let name = Ia5String::try_from(name.as_str())?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    Ok(params)
}

/// A certificate's names and times, as they stand there; its signature is for others to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The URIs of the subjectAltName, in their order.
    pub uris: Vec<String>,
    /// The DNS names of the subjectAltName, in their order.
    pub dns_names: Vec<String>,
    /// Whether the subjectAltName has names of other kinds.
    pub has_other_names: bool,
    /// When the certificate is valid.
    pub validity: Validity,
}

impl Contents {
    /// Reads a certificate.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        let malformed = |_| CertificateError::Malformed;
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed);
        }
        let mut contents = Self {
            uris: Vec::new(),
            dns_names: Vec::new(),
            has_other_names: false,
            validity: Validity {
                not_before: certificate.validity().not_before.to_datetime().into(),
                not_after: certificate.validity().not_after.to_datetime().into(),
            },
        };
        let names = certificate.subject_alternative_name().map_err(malformed)?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::URI(uri) => contents.uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => contents.dns_names.push((*name).to_owned()),
                _ => contents.has_other_names = true,
            }
        }
        Ok(contents)
    }

    /// The names, if they are exactly those of a workload.
    pub fn workload_names(&self) -> Result<WorkloadNames, CertificateError> {
        if self.has_other_names {
            return Err(CertificateError::OtherName);
        }
        let uris = self.uris.iter().map(String::as_str);
        let dns_names = self.dns_names.iter().map(String::as_str);
        Ok(WorkloadNames::from_sans(uris, dns_names)?)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{Issuer, KeyPair};
    use sluice_plan::identity::{ClassId, SpiffeId};

    use super::*;

    fn validity() -> Validity {
        let not_before = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Validity {
            not_before,
            not_after: not_before + Duration::from_secs(86_400),
        }
    }

    fn names() -> WorkloadNames {
        let spiffe = SpiffeId::new("cluster.local", "shop", "checkout").unwrap();
        let class = ClassId::of("shop", "checkout", []);
        WorkloadNames::new(spiffe, Some(class), Some("web-0"), Some("7f6c-1")).unwrap()
    }

    fn signed(params: &CertificateParams) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(CertificateParams::default(), KeyPair::generate().unwrap());
        params.signed_by(&key, &issuer).unwrap().into()
    }

    #[test]
    fn certificate_says_the_names_and_times_that_were_put_in() {
        let der = signed(&workload_params(&names(), validity(), [0xff; 16]));

        let contents = Contents::read(&der).unwrap();

        assert_eq!(contents.validity, validity());
        assert_eq!(contents.workload_names().unwrap(), names());
    }

    #[test]
    fn subject_is_empty_and_names_are_critical_as_istio_makes_them() {
        let der = signed(&workload_params(&names(), validity(), [0; 16]));
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();

        assert_eq!(certificate.subject().iter().count(), 0);
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert!(names.critical);
        let usage = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.server_auth && usage.client_auth);
        assert!(!certificate.is_ca());
    }

    #[test]
    fn serial_numbers_are_positive_and_of_full_length() {
        for serial in [[0; 16], [0xff; 16]] {
            let der = signed(&workload_params(&names(), validity(), serial));
            let (_, certificate) = X509Certificate::from_der(&der).unwrap();

            assert_eq!(certificate.raw_serial().len(), 16);
            assert!(certificate.raw_serial()[0] < 0x80);
        }
    }

    #[test]
    fn names_of_other_kinds_make_no_workload() {
        let mut params = workload_params(&names(), validity(), [1; 16]);
        params
            .subject_alt_names
            .push(SanType::IpAddress([10, 0, 0, 1].into()));

        let contents = Contents::read(&signed(&params)).unwrap();

        assert_eq!(contents.workload_names(), Err(CertificateError::OtherName));
    }

    #[test]
    fn half_life_is_the_middle_of_what_is_left_when_issued() {
        let validity = validity();
        let issued = validity.not_after - Duration::from_secs(20);

        assert_eq!(validity.half_life(issued), issued + Duration::from_secs(10));
        assert_eq!(
            validity.half_life(validity.not_after + Duration::from_secs(1)),
            validity.not_after + Duration::from_secs(1)
        );
    }

    #[test]
    fn truncated_certificates_are_refused_without_panic() {
        let der = signed(&workload_params(&names(), validity(), [1; 16]));

        for end in 0..der.len() {
            assert!(Contents::read(&CertificateDer::from(&der[..end])).is_err());
        }
    }
}
