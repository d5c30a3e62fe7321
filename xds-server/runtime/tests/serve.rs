//! The whole control plane on loopback: a Pod with a token gets its certificate and, over real
//! mTLS, its configuration; and nobody gets another's.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]

#[path = "serve/plane.rs"]
mod plane;

use std::time::{Duration, Instant};

use envoy_types::pb::envoy::{
    config::core::v3::Node,
    service::discovery::v3::{
        DeltaDiscoveryRequest, DeltaDiscoveryResponse,
        aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
    },
};
use plane::{GATEWAY, Plane, SIDECAR};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

/// An ADS stream of a proxy that says it is `node`.
struct Stream {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

async fn open(channel: Channel, node: &str) -> Result<Stream, Status> {
    let (requests, outgoing) = mpsc::channel(16);
    let first = DeltaDiscoveryRequest {
        node: Some(Node {
            id: node.to_owned(),
            ..Node::default()
        }),
        type_url: CLUSTER.to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    requests.send(first).await.unwrap();
    let responses = AggregatedDiscoveryServiceClient::new(channel)
        .delta_aggregated_resources(ReceiverStream::new(outgoing))
        .await?
        .into_inner();
    Ok(Stream {
        requests,
        responses,
    })
}

impl Stream {
    async fn next(&mut self) -> Result<DeltaDiscoveryResponse, Status> {
        let next = plane::soon(self.responses.message()).await?;
        next.ok_or_else(|| Status::ok("the stream ended"))
    }

    async fn accept(&mut self, response: &DeltaDiscoveryResponse) {
        let ack = DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(ack).await.unwrap();
    }
}

fn names(response: &DeltaDiscoveryResponse) -> Vec<&str> {
    response.resources.iter().map(|r| r.name.as_str()).collect()
}

async fn refusal(channel: Channel, node: &str) -> Status {
    match open(channel, node).await {
        Err(status) => status,
        Ok(mut stream) => stream.next().await.unwrap_err(),
    }
}

#[tokio::test]
async fn a_pod_with_a_token_gets_its_certificate_and_its_configuration() {
    let plane = Plane::start().await;
    let channel = plane.channel_of(&SIDECAR).await;

    let mut stream = open(channel, &SIDECAR.node("sidecar")).await.unwrap();
    let response = stream.next().await.unwrap();

    assert_eq!(response.type_url, CLUSTER);
    assert!(!response.resources.is_empty());
}

#[tokio::test]
async fn an_edited_file_reaches_the_gateway() {
    let plane = Plane::start().await;
    let mut stream = open(plane.channel_of(&GATEWAY).await, &GATEWAY.node("router"))
        .await
        .unwrap();
    let first = stream.next().await.unwrap();
    assert!(
        !names(&first)
            .iter()
            .any(|name| name.contains("late.example"))
    );
    stream.accept(&first).await;

    plane.write("late.yaml", &plane::service_entry("late", "late.example"));

    let second = stream.next().await.unwrap();
    let new = names(&second);
    assert!(
        new.iter().any(|name| name.contains("late.example")),
        "{new:?}"
    );
}

#[tokio::test]
async fn nobody_gets_the_configuration_of_another() {
    let plane = Plane::start().await;

    let status = refusal(plane.channel_of(&SIDECAR).await, &GATEWAY.node("router")).await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(
        status.message(),
        "node id is of pod istio-system/egress-0, the certificate is of pod shop/web-0"
    );

    let status = refusal(plane.channel_of(&SIDECAR).await, &SIDECAR.node("router")).await;
    assert_eq!(status.code(), Code::PermissionDenied);

    let status = refusal(
        plane.channel_without_certificate(),
        &SIDECAR.node("sidecar"),
    )
    .await;
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_pod_that_goes_loses_its_stream_and_may_not_return() {
    let plane = Plane::start().await;
    let issued = plane.certificate_of(&SIDECAR).await;
    let channel = plane.channel(&issued);
    let mut stream = open(channel.clone(), &SIDECAR.node("sidecar"))
        .await
        .unwrap();
    let first = stream.next().await.unwrap();
    stream.accept(&first).await;

    plane.remove("web-0.yaml");

    stream.next().await.unwrap_err();
    let status = refusal(channel, &SIDECAR.node("sidecar")).await;
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.message(), "pod shop/web-0 is not known");
    let refused = plane.try_certificate_of(&SIDECAR).await.unwrap_err();
    assert!(
        refused.to_string().contains("pod shop/web-0 is not known"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_changed_identity_label_needs_a_new_certificate() {
    let plane = Plane::start().await;
    let issued = plane.certificate_of(&SIDECAR).await;
    let mut stream = open(plane.channel(&issued), &SIDECAR.node("sidecar"))
        .await
        .unwrap();
    stream.next().await.unwrap();

    plane.write("web-0.yaml", &SIDECAR.pod("tier: back"));

    while stream.next().await.is_ok() {}
    let status = refusal(plane.channel(&issued), &SIDECAR.node("sidecar")).await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(
        status.message().ends_with("get a new certificate"),
        "{status}"
    );

    let channel = plane.channel_of(&SIDECAR).await;
    let mut stream = open(channel, &SIDECAR.node("sidecar")).await.unwrap();
    assert!(!stream.next().await.unwrap().resources.is_empty());
}

#[tokio::test]
async fn the_admin_port_tells_health_metrics_and_what_a_proxy_gets() {
    let plane = Plane::start().await;
    let mut stream = open(plane.channel_of(&SIDECAR).await, &SIDECAR.node("sidecar"))
        .await
        .unwrap();
    let first = stream.next().await.unwrap();
    stream.accept(&first).await;

    assert_eq!(plane.get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(plane.get("/readyz").await, (200, "ok\n".to_owned()));

    let (status, metrics) = plane.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "sluice_xds_connected_proxies{protocol=\"delta\"} 1",
        "sluice_xds_pushes_total{type=\"cluster\"} 1",
        "sluice_xds_nacks_total{type=\"listener\"} 0",
        "sluice_ca_certificates_issued_total 1",
        "sluice_config_diagnostics{severity=\"error\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }

    let (status, dump) = plane.get("/debug/config_dump?proxy=shop/web-0").await;
    assert_eq!(status, 200);
    let dump: serde_json::Value = serde_json::from_str(&dump).unwrap();
    assert!(!dump["listeners"].as_array().unwrap().is_empty());

    let (_, connected) = plane.get("/debug/config_dump").await;
    assert!(connected.contains(&SIDECAR.node("sidecar")), "{connected}");
    assert_eq!(plane.get("/debug/config_dump?proxy=shop/gone").await.0, 404);
    assert_eq!(plane.get("/debug/config_dump?proxy=shop").await.0, 400);
}

#[tokio::test]
async fn connected_proxies_do_not_hold_up_the_end() {
    let plane = Plane::start().await;
    let mut stream = open(plane.channel_of(&SIDECAR).await, &SIDECAR.node("sidecar"))
        .await
        .unwrap();
    stream.next().await.unwrap();
    let start = Instant::now();

    plane.stop().await.unwrap();

    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    stream.next().await.unwrap_err();
}

#[tokio::test]
async fn a_directory_that_does_not_exist_is_a_mistake_at_the_start() {
    let error = Plane::try_start_at("no/such/directory").await.unwrap_err();

    assert!(
        error
            .to_string()
            .starts_with("cannot read no/such/directory"),
        "{error}"
    );
}
