//! Responses as bytes.
//!
//! This is a hot path: one change may go to many clients, and the first push to each is
//! megabytes. So the messages are written by hand from the cached bodies: each body is copied
//! once, into the transport's buffer, and nothing is allocated. Tests hold the result against
//! Envoy's generated types.

use std::marker::PhantomData;

use bytes::{Buf, BufMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::{Protocol, Resource, Response, TypeUrl};

/// Field numbers of `DiscoveryResponse` and `DeltaDiscoveryResponse`; where the two have the
/// same field it has the same number.
const VERSION_INFO: u32 = 1;
const RESOURCES: u32 = 2;
const TYPE_URL: u32 = 4;
const NONCE: u32 = 5;
const REMOVED_RESOURCES: u32 = 6;

/// Field numbers of `Resource`, which is a delta response's element.
const RESOURCE_VERSION: u32 = 1;
const RESOURCE_BODY: u32 = 2;
const RESOURCE_NAME: u32 = 3;

/// Field numbers of `google.protobuf.Any`.
const ANY_TYPE_URL: u32 = 1;
const ANY_VALUE: u32 = 2;

/// The digits of a [`Version`](crate::Version).
const VERSION_DIGITS: usize = 32;

/// The encoded size of `response`.
pub(crate) fn encoded_len(response: &Response, protocol: Protocol) -> usize {
    let resources: usize = response
        .resources
        .iter()
        .map(|resource| field_len(RESOURCES, element_len(response.kind, resource, protocol)))
        .sum();
    let removed: usize = response
        .removed
        .iter()
        .map(|name| field_len(REMOVED_RESOURCES, name.len()))
        .sum();
    field_len(VERSION_INFO, VERSION_DIGITS)
        + resources
        + field_len(TYPE_URL, response.kind.as_str().len())
        + field_len(NONCE, response.nonce.to_string().len())
        + removed
}

/// Writes `response`.
pub(crate) fn encode(response: &Response, protocol: Protocol, out: &mut impl BufMut) {
    put(VERSION_INFO, response.version.to_string().as_bytes(), out);
    let kind = response.kind;
    for resource in &response.resources {
        put_key(RESOURCES, element_len(kind, resource, protocol), out);
        match protocol {
            Protocol::Delta => {
                put(
                    RESOURCE_VERSION,
                    resource.version.to_string().as_bytes(),
                    out,
                );
                put_key(RESOURCE_BODY, any_len(kind, resource), out);
                put_any(kind, resource, out);
                put(RESOURCE_NAME, resource.name.as_bytes(), out);
            }
            Protocol::Sotw => put_any(kind, resource, out),
        }
    }
    put(TYPE_URL, kind.as_str().as_bytes(), out);
    put(NONCE, response.nonce.to_string().as_bytes(), out);
    // A state-of-the-world response has no such field, and no session fills it there.
    for name in &response.removed {
        put(REMOVED_RESOURCES, name.as_bytes(), out);
    }
}

fn element_len(kind: TypeUrl, resource: &Resource, protocol: Protocol) -> usize {
    let any = any_len(kind, resource);
    match protocol {
        Protocol::Delta => {
            field_len(RESOURCE_VERSION, VERSION_DIGITS)
                + field_len(RESOURCE_BODY, any)
                + field_len(RESOURCE_NAME, resource.name.len())
        }
        Protocol::Sotw => any,
    }
}

fn any_len(kind: TypeUrl, resource: &Resource) -> usize {
    field_len(ANY_TYPE_URL, kind.as_str().len()) + field_len(ANY_VALUE, resource.body.len())
}

fn put_any(kind: TypeUrl, resource: &Resource, out: &mut impl BufMut) {
    put(ANY_TYPE_URL, kind.as_str().as_bytes(), out);
    put(ANY_VALUE, &resource.body, out);
}

fn put(field: u32, value: &[u8], out: &mut impl BufMut) {
    put_key(field, value.len(), out);
    out.put_slice(value);
}

fn put_key(field: u32, len: usize, out: &mut impl BufMut) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

fn field_len(field: u32, len: usize) -> usize {
    key_len(field) + encoded_len_varint(len as u64) + len
}

/// Reads requests `R` by prost and writes responses by hand.
pub(crate) struct DiscoveryCodec<R> {
    protocol: Protocol,
    request: PhantomData<fn() -> R>,
}

impl<R> DiscoveryCodec<R> {
    pub(crate) const fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            request: PhantomData,
        }
    }
}

impl<R: prost::Message + Default + 'static> Codec for DiscoveryCodec<R> {
    type Encode = Response;
    type Decode = R;
    type Encoder = ResponseEncoder;
    type Decoder = RequestDecoder<R>;

    fn encoder(&mut self) -> Self::Encoder {
        ResponseEncoder(self.protocol)
    }

    fn decoder(&mut self) -> Self::Decoder {
        RequestDecoder(PhantomData)
    }
}

pub(crate) struct ResponseEncoder(Protocol);

impl Encoder for ResponseEncoder {
    type Item = Response;
    type Error = Status;

    fn encode(&mut self, response: Response, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(encoded_len(&response, self.0));
        encode(&response, self.0, out);
        Ok(())
    }
}

pub(crate) struct RequestDecoder<R>(PhantomData<fn() -> R>);

impl<R: prost::Message + Default> Decoder for RequestDecoder<R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<R>, Status> {
        let request = R::decode(&mut *buffer)
            .map_err(|error| Status::invalid_argument(format!("discovery request: {error}")))?;
        debug_assert!(
            !buffer.has_remaining(),
            "prost reads to the end of the message"
        );
        Ok(Some(request))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::{Bytes, BytesMut};
    use envoy_types::pb::envoy::service::discovery::v3::{
        DeltaDiscoveryResponse, DiscoveryResponse,
    };
    use prost::Message;

    use super::*;
    use crate::Version;

    fn response() -> Response {
        let resource = |name: &str, size: usize| {
            Arc::new(Resource {
                name: name.into(),
                version: Version(size as u128),
                body: Bytes::from(vec![7; size]),
                requires: Arc::default(),
            })
        };
        Response {
            kind: TypeUrl::Endpoints,
            nonce: 300,
            version: Version(u128::MAX),
            // Sizes around the steps of a varint.
            resources: vec![resource("a", 0), resource("b", 127), resource("c", 20_000)],
            removed: vec!["gone".into(), "".into()],
        }
    }

    fn bytes(response: &Response, protocol: Protocol) -> BytesMut {
        let mut out = BytesMut::new();
        encode(response, protocol, &mut out);
        assert_eq!(out.len(), encoded_len(response, protocol));
        out
    }

    #[test]
    fn delta_response_reads_as_the_generated_type() {
        let sent = response();
        let read = DeltaDiscoveryResponse::decode(bytes(&sent, Protocol::Delta)).unwrap();

        assert_eq!(read.type_url, TypeUrl::Endpoints.as_str());
        assert_eq!(read.nonce, "300");
        assert_eq!(read.system_version_info, Version(u128::MAX).to_string());
        assert_eq!(read.removed_resources, ["gone", ""]);
        for (sent, read) in sent.resources.iter().zip(&read.resources) {
            assert_eq!(read.name, *sent.name);
            assert_eq!(read.version, sent.version.to_string());
            let any = read.resource.as_ref().unwrap();
            assert_eq!(
                (&*any.type_url, &*any.value),
                (TypeUrl::Endpoints.as_str(), &*sent.body)
            );
        }
        assert_eq!(read.resources.len(), sent.resources.len());
    }

    #[test]
    fn sotw_response_reads_as_the_generated_type() {
        let sent = Response {
            removed: vec![],
            ..response()
        };
        let read = DiscoveryResponse::decode(bytes(&sent, Protocol::Sotw)).unwrap();

        assert_eq!(read.type_url, TypeUrl::Endpoints.as_str());
        assert_eq!(read.nonce, "300");
        assert_eq!(read.version_info, Version(u128::MAX).to_string());
        for (sent, any) in sent.resources.iter().zip(&read.resources) {
            assert_eq!(
                (&*any.type_url, &*any.value),
                (TypeUrl::Endpoints.as_str(), &*sent.body)
            );
        }
        assert_eq!(read.resources.len(), sent.resources.len());
    }
}
