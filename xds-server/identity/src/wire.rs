//! The messages of `istio.v1.auth.IstioCertificateService`, written by hand: two messages need no protoc.

/// The full name of the gRPC service.
pub const SERVICE: &str = "istio.v1.auth.IstioCertificateService";

/// The path of its one method.
pub const CREATE_CERTIFICATE: &str = "/istio.v1.auth.IstioCertificateService/CreateCertificate";

/// Asks for a certificate over the key of `csr`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct IstioCertificateRequest {
    /// The PEM certificate signing request.
    #[prost(string, tag = "1")]
    pub csr: String,
    /// The lifetime that the caller would like, in seconds; 0 leaves it to the server, which also caps it.
    #[prost(int64, tag = "3")]
    pub validity_duration: i64,
    /// Istio's extras, such as `CertSigner` and `ImpersonatedIdentity`.
    #[prost(message, optional, tag = "4")]
    pub metadata: Option<prost_types::Struct>,
}

/// The certificates, each PEM: the leaf, intermediates, the root(s) last.
#[derive(Clone, PartialEq, prost::Message)]
pub struct IstioCertificateResponse {
    /// At least the leaf and the root.
    #[prost(string, repeated, tag = "1")]
    pub cert_chain: Vec<String>,
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn fields_have_istios_numbers() {
        let request = IstioCertificateRequest {
            csr: "c".to_owned(),
            validity_duration: 5,
            metadata: Some(prost_types::Struct::default()),
        };
        let response = IstioCertificateResponse {
            cert_chain: vec!["a".to_owned(), "b".to_owned()],
        };

        assert_eq!(request.encode_to_vec(), b"\x0a\x01c\x18\x05\x22\x00");
        assert_eq!(response.encode_to_vec(), b"\x0a\x01a\x0a\x01b");
    }
}
