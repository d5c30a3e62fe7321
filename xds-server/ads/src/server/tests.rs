//! The services over a real HTTP/2 connection, with a scripted client that uses Envoy's generated
//! types.

mod world;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{Peer, TypeUrl, Version};
use envoy_types::pb::envoy::{
    config::core::v3::Node,
    service::{
        discovery::v3::{
            DeltaDiscoveryRequest, DiscoveryRequest,
            aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
        },
        secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient,
    },
};
use tokio::sync::mpsc;
use tonic::Code;
use world::*;

#[tokio::test]
async fn delta_client_is_brought_to_the_newest_set() {
    let world = world(peer(), clusters(&[("a", 1), ("b", 1)]), false).await;
    let mut client = DeltaClient::start(&world).await;
    client.say(cds()).await;
    let first = client.hear().await;
    assert_eq!(contents(&first), pairs(&[("a", "a 1"), ("b", "b 1")]));
    client.answer(&first, None).await;

    world.feed.publish(clusters(&[("a", 2), ("b", 1)]));
    let second = client.hear().await;
    assert_eq!(contents(&second), pairs(&[("a", "a 2")]));
    client
        .answer(&second, Some("Error adding/updating cluster(s) a: no"))
        .await;

    world.feed.publish(clusters(&[("a", 3), ("b", 1)]));
    let third = client.hear().await;
    assert_eq!(contents(&third), pairs(&[("a", "a 3")]));
    drop(client);

    while !world
        .notes
        .0
        .lock()
        .unwrap()
        .iter()
        .any(|note| note.starts_with("disconnected"))
    {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(
        world.notes.taken(),
        [
            "connected router~1 delta envoy",
            "sent CDS 2 -0",
            "acked CDS 1",
            "sent CDS 1 -0",
            "nacked CDS [\"a\"] Error adding/updating cluster(s) a: no",
            "sent CDS 1 -0",
            "disconnected router~1",
        ]
    );
}

#[tokio::test]
async fn reconnecting_delta_client_gets_the_difference_only() {
    let world = world(peer(), clusters(&[("a", 1), ("b", 2)]), false).await;
    let mut client = DeltaClient::start(&world).await;
    let held = [("a", 1), ("b", 1)];
    client
        .say(DeltaDiscoveryRequest {
            initial_resource_versions: HashMap::from(
                held.map(|(name, version)| (name.to_owned(), Version(version).to_string())),
            ),
            ..cds()
        })
        .await;
    assert_eq!(contents(&client.hear().await), pairs(&[("b", "b 2")]));
}

#[tokio::test]
async fn sotw_client_is_brought_to_the_newest_set() {
    let world = world(peer(), clusters(&[("a", 1)]), false).await;
    let (requests, receiver) = mpsc::channel(16);
    let mut responses = AggregatedDiscoveryServiceClient::new(world.channel.clone())
        .stream_aggregated_resources(tokio_stream::wrappers::ReceiverStream::new(receiver))
        .await
        .unwrap()
        .into_inner();
    let request = DiscoveryRequest {
        node: node(),
        type_url: TypeUrl::Cluster.as_str().to_owned(),
        ..Default::default()
    };
    requests.send(request.clone()).await.unwrap();
    let first = responses.message().await.unwrap().unwrap();
    assert_eq!(first.resources.len(), 1);
    assert_eq!(first.resources[0].type_url, TypeUrl::Cluster.as_str());
    let ack = DiscoveryRequest {
        version_info: first.version_info,
        response_nonce: first.nonce,
        ..request
    };
    requests.send(ack).await.unwrap();
    world.feed.publish(clusters(&[("a", 1), ("b", 1)]));
    let second = responses.message().await.unwrap().unwrap();
    let bodies: Vec<_> = second.resources.iter().map(|any| &*any.value).collect();
    assert_eq!(bodies, [b"a 1", b"b 1"]);
}

#[tokio::test]
async fn secret_that_is_made_when_asked_for_is_in_the_first_answer() {
    let world = world(None, Arc::default(), true).await;
    let (requests, receiver) = mpsc::channel(16);
    let mut responses = SecretDiscoveryServiceClient::new(world.channel.clone())
        .delta_secrets(tokio_stream::wrappers::ReceiverStream::new(receiver))
        .await
        .unwrap()
        .into_inner();
    // The type is that of the service.
    let request = DeltaDiscoveryRequest {
        node: node(),
        resource_names_subscribe: vec!["file-cert:a~b".to_owned()],
        ..Default::default()
    };
    requests.send(request).await.unwrap();
    let first = responses.message().await.unwrap().unwrap();
    assert_eq!(
        contents(&first),
        pairs(&[("file-cert:a~b", "file-cert:a~b 1")])
    );
}

#[tokio::test]
async fn fetching_secrets_is_unimplemented() {
    let world = world(None, Arc::default(), false).await;
    let status = SecretDiscoveryServiceClient::new(world.channel.clone())
        .fetch_secrets(DiscoveryRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn stream_without_a_certificate_is_refused() {
    let world = world(None, clusters(&[("a", 1)]), false).await;
    let status = AggregatedDiscoveryServiceClient::new(world.channel.clone())
        .delta_aggregated_resources(tokio_stream::iter([cds()]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(world.notes.taken(), ["refused no client certificate"]);
}

#[tokio::test]
async fn refusal_of_the_embedder_reaches_the_client() {
    let banned = Peer {
        uri_sans: vec!["spiffe://td/ns/a/sa/banned".to_owned()],
        ..Peer::default()
    };
    let world = world(Some(banned), clusters(&[("a", 1)]), false).await;
    let mut client = DeltaClient::start(&world).await;
    client.say(cds()).await;
    assert_eq!(client.end().await.code(), Code::PermissionDenied);
    assert_eq!(world.notes.taken(), ["refused banned"]);
}

#[tokio::test]
async fn first_message_without_a_node_is_refused() {
    let world = world(peer(), clusters(&[("a", 1)]), false).await;
    let mut client = DeltaClient::start(&world).await;
    client
        .say(DeltaDiscoveryRequest {
            node: None,
            ..cds()
        })
        .await;
    assert_eq!(client.end().await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn node_that_changes_within_the_stream_ends_it() {
    let world = world(peer(), clusters(&[("a", 1)]), false).await;
    let mut client = DeltaClient::start(&world).await;
    client.say(cds()).await;
    client.hear().await;
    let other = Node {
        id: "router~2".to_owned(),
        ..Node::default()
    };
    client
        .say(DeltaDiscoveryRequest {
            node: Some(other),
            ..cds()
        })
        .await;
    assert_eq!(client.end().await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn type_that_is_not_served_is_passed_over_in_silence() {
    let world = world(peer(), clusters(&[("a", 1)]), false).await;
    let mut client = DeltaClient::start(&world).await;
    let runtime = "type.googleapis.com/envoy.service.runtime.v3.Runtime".to_owned();
    client
        .say(DeltaDiscoveryRequest {
            type_url: runtime,
            ..cds()
        })
        .await;
    client.say(cds()).await;
    assert_eq!(client.hear().await.type_url, TypeUrl::Cluster.as_str());
}

#[tokio::test(start_paused = true)]
async fn stream_ends_when_the_certificate_expires() {
    let not_after = Some(SystemTime::now() + Duration::from_secs(60));
    let world = world(
        peer().map(|peer| Peer { not_after, ..peer }),
        clusters(&[]),
        false,
    )
    .await;
    let mut client = DeltaClient::start(&world).await;
    client.say(cds()).await;
    let first = client.hear().await;
    client.answer(&first, None).await;
    assert_eq!(client.end().await.code(), Code::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn silent_client_is_not_waited_for() {
    let world = world(peer(), clusters(&[]), false).await;
    let mut client = DeltaClient::start(&world).await;
    assert_eq!(client.end().await.code(), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn missing_answer_is_observed() {
    let world = world(peer(), clusters(&[("a", 1)]), false).await;
    let mut client = DeltaClient::start(&world).await;
    client.say(cds()).await;
    client.hear().await;
    tokio::time::sleep(crate::ACK_TIMEOUT + Duration::from_secs(1)).await;
    assert!(
        world
            .notes
            .taken()
            .iter()
            .any(|note| note.starts_with("stalled CDS 1 20"))
    );
}

#[tokio::test]
async fn stream_ends_when_there_is_no_more_configuration() {
    let world = world(peer(), clusters(&[("a", 1)]), false).await;
    let mut client = DeltaClient::start(&world).await;
    client.say(cds()).await;
    client.hear().await;
    world.feed.sets.lock().unwrap().take();
    assert_eq!(client.end().await.code(), Code::Unavailable);
}

#[tokio::test]
async fn request_beyond_four_mebibytes_is_read() {
    let world = world(peer(), clusters(&[("a", 1)]), false).await;
    let mut client = DeltaClient::start(&world).await;
    let held = (0..60_000).map(|n| {
        (
            format!("outbound|443||host-{n}.a-rather-long-domain.example.com"),
            Version(n).to_string(),
        )
    });
    client
        .say(DeltaDiscoveryRequest {
            initial_resource_versions: held.collect(),
            ..cds()
        })
        .await;
    assert_eq!(contents(&client.hear().await), pairs(&[("a", "a 1")]));
}
