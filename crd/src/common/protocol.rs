//! Protocols of ports, as users write them: in any case.

/// A protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1
    Http,
    /// HTTP/1.1, as a proxy takes it.
    HttpProxy,
    /// HTTP/2 without TLS.
    Http2,
    /// TLS with HTTP inside, not terminated unless a Gateway says so.
    Https,
    /// gRPC
    Grpc,
    /// gRPC-Web
    GrpcWeb,
    /// TLS with anything inside.
    Tls,
    /// Any bytes.
    Tcp,
    /// Datagrams.
    Udp,
    /// MongoDB
    Mongo,
    /// MySQL
    MySql,
    /// Redis
    Redis,
}

impl Protocol {
    /// The protocol of that name; none for an empty or unknown one.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "http" => Self::Http,
            "http_proxy" => Self::HttpProxy,
            "http2" => Self::Http2,
            "https" => Self::Https,
            "grpc" => Self::Grpc,
            "grpc-web" => Self::GrpcWeb,
            "tls" => Self::Tls,
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "mongo" => Self::Mongo,
            "mysql" => Self::MySql,
            "redis" => Self::Redis,
            _ => return None,
        })
    }

    /// Whether requests can be told apart by path and headers.
    pub const fn is_http(self) -> bool {
        matches!(
            self,
            Self::Http | Self::HttpProxy | Self::Http2 | Self::Grpc | Self::GrpcWeb
        )
    }

    /// Whether connections can be told apart by SNI.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tls)
    }
}
