//! What operators count: `sluice_*` in OpenMetrics, every label from a closed set.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use sluice_ads::{Protocol, TypeUrl};
use sluice_crd::diagnostic::{Diagnostic, Severity};

/// From a cache hit on the same node to a proxy that warms thousands of clusters.
const ACK_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0];

/// From one changed route to a world of ten thousand hosts.
const PUBLISH_SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0];

/// All metrics of the control plane.
pub struct Metrics {
    registry: Registry,
    connected: Family<ProtocolLabel, Gauge>,
    refused: Counter,
    pushes: Family<TypeLabel, Counter>,
    sent: Family<TypeLabel, Counter>,
    acks: Family<TypeLabel, Histogram>,
    nacks: Family<TypeLabel, Counter>,
    stalls: Family<TypeLabel, Counter>,
    publishes: Histogram,
    failures: Counter,
    objects: Gauge,
    diagnostics: Family<SeverityLabel, Gauge>,
    load_errors: Gauge,
    certificates: Counter,
    certificates_refused: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabel {
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SeverityLabel {
    severity: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("sluice"),
            connected: Family::default(),
            refused: Counter::default(),
            pushes: Family::default(),
            sent: Family::default(),
            acks: Family::new_with_constructor(|| Histogram::new(ACK_SECONDS)),
            nacks: Family::default(),
            stalls: Family::default(),
            publishes: Histogram::new(PUBLISH_SECONDS),
            failures: Counter::default(),
            objects: Gauge::default(),
            diagnostics: Family::default(),
            load_errors: Gauge::default(),
            certificates: Counter::default(),
            certificates_refused: Counter::default(),
        };
        metrics.register();
        metrics.start_at_zero();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "xds_connected_proxies",
            "Streams of admitted proxies",
            self.connected.clone(),
        );
        registry.register(
            "xds_refused_streams",
            "Streams refused at their first message",
            self.refused.clone(),
        );
        registry.register("xds_pushes", "Responses sent", self.pushes.clone());
        registry.register_with_unit(
            "xds_sent",
            "Encoded size of the responses",
            Unit::Bytes,
            self.sent.clone(),
        );
        registry.register_with_unit(
            "xds_ack",
            "Time from a response to its acceptance",
            Unit::Seconds,
            self.acks.clone(),
        );
        registry.register(
            "xds_nacks",
            "Responses that were rejected",
            self.nacks.clone(),
        );
        registry.register(
            "xds_stalled_responses",
            "Responses without an answer for too long",
            self.stalls.clone(),
        );
        registry.register_with_unit(
            "publish",
            "Time to bring all connected proxies' sets up to date",
            Unit::Seconds,
            self.publishes.clone(),
        );
        registry.register(
            "publish_failures",
            "Sets that could not be made; proxies keep those of before",
            self.failures.clone(),
        );
        registry.register("config_objects", "Objects read", self.objects.clone());
        registry.register(
            "config_diagnostics",
            "Findings about objects now",
            self.diagnostics.clone(),
        );
        registry.register(
            "config_load_errors",
            "Errors in reading objects now",
            self.load_errors.clone(),
        );
        registry.register(
            "ca_certificates_issued",
            "Certificates signed",
            self.certificates.clone(),
        );
        registry.register(
            "ca_certificates_refused",
            "Requests for certificates that were refused",
            self.certificates_refused.clone(),
        );
    }

    /// A series that appears with its first event hides that event from `rate()`.
    fn start_at_zero(&self) {
        for kind in TypeUrl::ALL {
            let label = TypeLabel::of(kind);
            drop(self.pushes.get_or_create(&label));
            drop(self.sent.get_or_create(&label));
            drop(self.nacks.get_or_create(&label));
            drop(self.stalls.get_or_create(&label));
        }
        for protocol in [Protocol::Delta, Protocol::Sotw] {
            drop(self.connected.get_or_create(&ProtocolLabel::of(protocol)));
        }
        self.diagnostics(&[]);
    }

    /// Everything, as text in OpenMetrics format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        text
    }

    pub(crate) fn published(&self, elapsed: Duration, objects: usize) {
        self.publishes.observe(elapsed.as_secs_f64());
        self.objects.set(gauge(objects));
    }

    pub(crate) fn publish_failed(&self) {
        self.failures.inc();
    }

    pub(crate) fn load_errors(&self, diagnostics: &[Diagnostic]) {
        let errors = diagnostics.iter().filter(|d| d.is_error()).count();
        self.load_errors.set(gauge(errors));
    }

    pub(crate) fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        for severity in [Severity::Error, Severity::Warning, Severity::Info] {
            let count = diagnostics
                .iter()
                .filter(|d| d.severity == severity)
                .count();
            let label = SeverityLabel::of(severity);
            self.diagnostics.get_or_create(&label).set(gauge(count));
        }
    }

    pub(crate) fn certificate(&self, is_issued: bool) {
        match is_issued {
            true => self.certificates.inc(),
            false => self.certificates_refused.inc(),
        };
    }

    pub(crate) fn connected(&self, protocol: Protocol) {
        self.connected
            .get_or_create(&ProtocolLabel::of(protocol))
            .inc();
    }

    pub(crate) fn disconnected(&self, protocol: Protocol) {
        self.connected
            .get_or_create(&ProtocolLabel::of(protocol))
            .dec();
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    pub(crate) fn sent(&self, kind: TypeUrl, bytes: usize) {
        let label = TypeLabel::of(kind);
        self.pushes.get_or_create(&label).inc();
        self.sent.get_or_create(&label).inc_by(bytes as u64);
    }

    pub(crate) fn acked(&self, kind: TypeUrl, elapsed: Duration) {
        self.acks
            .get_or_create(&TypeLabel::of(kind))
            .observe(elapsed.as_secs_f64());
    }

    pub(crate) fn nacked(&self, kind: TypeUrl) {
        self.nacks.get_or_create(&TypeLabel::of(kind)).inc();
    }

    pub(crate) fn stalled(&self, kind: TypeUrl) {
        self.stalls.get_or_create(&TypeLabel::of(kind)).inc();
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl TypeLabel {
    fn of(kind: TypeUrl) -> Self {
        Self {
            r#type: match kind {
                TypeUrl::Cluster => "cluster",
                TypeUrl::Endpoints => "endpoints",
                TypeUrl::Listener => "listener",
                TypeUrl::Route => "route",
                TypeUrl::Secret => "secret",
            },
        }
    }
}

impl ProtocolLabel {
    fn of(protocol: Protocol) -> Self {
        Self {
            protocol: match protocol {
                Protocol::Delta => "delta",
                Protocol::Sotw => "sotw",
            },
        }
    }
}

impl SeverityLabel {
    fn of(severity: Severity) -> Self {
        Self {
            severity: match severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Info => "info",
            },
        }
    }
}
