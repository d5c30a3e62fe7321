//! What is spoken on a port, as Istio reads `protocol`, `appProtocol` and port names.

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum PortProtocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2, gRPC.
    Http2,
    /// TLS that is not ended here: HTTPS, TLS.
    Tls,
    /// Bytes; the server may speak first.
    Tcp,
    /// Not carried: UDP and unknown names.
    Unsupported,
}

impl PortProtocol {
    /// The meaning of a ServiceEntry's or Gateway's `protocol`.
    pub(crate) fn parse(text: &str) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "HTTP" | "HTTP_PROXY" => Self::Http,
            "HTTP2" | "GRPC" | "GRPC-WEB" => Self::Http2,
            "HTTPS" | "TLS" => Self::Tls,
            "TCP" | "MONGO" | "MYSQL" | "REDIS" => Self::Tcp,
            _ => Self::Unsupported,
        }
    }

    /// The meaning of a Kubernetes Service's port: `appProtocol`, then the name's first word,
    /// else TCP.
    pub(crate) fn of_kubernetes(name: &str, app_protocol: Option<&str>, transport: &str) -> Self {
        if transport.eq_ignore_ascii_case("UDP") || transport.eq_ignore_ascii_case("SCTP") {
            return Self::Unsupported;
        }
        let word = match app_protocol {
            Some("kubernetes.io/h2c") => "HTTP2",
            Some(protocol) => protocol,
            None if name.starts_with("grpc-web") => "GRPC-WEB",
            None => name.split('-').next().unwrap_or_default(),
        };
        match Self::parse(word) {
            Self::Unsupported => Self::Tcp,
            known => known,
        }
    }

    pub(crate) fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_names_say_the_protocol_before_the_dash() {
        assert_eq!(
            PortProtocol::of_kubernetes("http-web", None, "TCP"),
            PortProtocol::Http
        );
        assert_eq!(
            PortProtocol::of_kubernetes("http2", None, "TCP"),
            PortProtocol::Http2
        );
        assert_eq!(
            PortProtocol::of_kubernetes("web", None, "TCP"),
            PortProtocol::Tcp
        );
        assert_eq!(
            PortProtocol::of_kubernetes("web", Some("https"), "TCP"),
            PortProtocol::Tls
        );
        assert_eq!(
            PortProtocol::of_kubernetes("http", None, "UDP"),
            PortProtocol::Unsupported
        );
    }
}
