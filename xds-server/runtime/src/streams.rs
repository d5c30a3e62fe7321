//! What happens on the xDS streams, counted and logged.

use std::{sync::Arc, time::Duration};

use sluice_ads::{Observer, Peer, Sent, StreamInfo, TypeUrl};
use tonic::Status;
use tracing::{debug, info, warn};

use crate::{metrics::Metrics, publish::Publisher};

/// Tells operators; a rejection with the objects that caused it.
pub struct Streams {
    metrics: Arc<Metrics>,
    publisher: Arc<Publisher>,
}

impl Streams {
    /// Counts in `metrics`, asks `publisher` for the objects behind resources.
    pub fn new(metrics: Arc<Metrics>, publisher: Arc<Publisher>) -> Self {
        Self { metrics, publisher }
    }
}

impl Observer for Streams {
    fn connected(&self, stream: &StreamInfo) {
        self.metrics.connected(stream.protocol);
        info!(
            node.id = %stream.id,
            stream = stream.number,
            protocol = %stream.protocol,
            remote = stream.remote.map(tracing::field::display),
            agent = stream.agent,
            "proxy connected"
        );
    }

    fn refused(&self, peer: &Peer, status: &Status) {
        self.metrics.refused();
        warn!(
            remote = peer.remote.map(tracing::field::display),
            identity = peer.uri_sans.first(),
            code = ?status.code(),
            error = status.message(),
            "refused stream"
        );
    }

    fn disconnected(&self, stream: &StreamInfo, lasted: Duration) {
        self.metrics.disconnected(stream.protocol);
        info!(
            node.id = %stream.id,
            stream = stream.number,
            lasted_s = lasted.as_secs(),
            "proxy disconnected"
        );
    }

    fn sent(&self, stream: &StreamInfo, sent: Sent) {
        self.metrics.sent(sent.kind, sent.bytes);
        debug!(
            node.id = %stream.id,
            resource.type = %sent.kind,
            nonce = sent.nonce,
            bytes = sent.bytes,
            resources = sent.resources,
            removed = sent.removed,
            "sent resources"
        );
    }

    fn acked(&self, stream: &StreamInfo, kind: TypeUrl, nonce: u64, elapsed: Duration) {
        self.metrics.acked(kind, elapsed);
        debug!(
            node.id = %stream.id,
            resource.type = %kind,
            nonce,
            elapsed_ms = elapsed.as_millis(),
            "proxy accepted resources"
        );
    }

    fn nacked(
        &self,
        stream: &StreamInfo,
        kind: TypeUrl,
        nonce: u64,
        names: &[Arc<str>],
        message: &str,
    ) {
        self.metrics.nacked(kind);
        let objects = self.publisher.objects_behind(&stream.id, names);
        warn!(
            node.id = %stream.id,
            resource.type = %kind,
            nonce,
            resource.names = names.iter().take(MAX_NAMES).map(|name| &**name).collect::<Vec<_>>().join(", "),
            objects = objects.join(", "),
            error = message,
            "proxy rejected resources"
        );
    }

    fn stalled(&self, stream: &StreamInfo, kind: TypeUrl, nonce: u64, waited: Duration) {
        self.metrics.stalled(kind);
        warn!(
            node.id = %stream.id,
            resource.type = %kind,
            nonce,
            waited_s = waited.as_secs(),
            "proxy does not answer"
        );
    }
}

/// A response may hold thousands of resources; a line may not.
const MAX_NAMES: usize = 10;
