//! Make before break.

use super::*;
use TypeUrl::*;

fn routed(version: u128) -> Stream {
    let mut stream = Stream::delta([
        eds_cluster("a", version),
        endpoints("a", version),
        listener("l", version),
        route("r", version),
    ]);
    stream.settle();
    stream
}

#[test]
fn routes_and_listeners_wait_for_the_acceptance_of_clusters_and_endpoints() {
    let mut stream = routed(1);
    let sent = stream.publish([
        eds_cluster("a", 1),
        endpoints("a", 1),
        eds_cluster("b", 1),
        endpoints("b", 1),
        listener("l", 2),
        route("r", 2),
    ]);
    assert_eq!(texts(&sent), ["CDS b@1"]);
    // Envoy asks for the endpoints before it accepts the cluster.
    let endpoints = stream.subscribe(Endpoints, &["b"]);
    assert_eq!(texts(&endpoints), ["EDS b@1"]);
    assert_eq!(texts(&stream.ack(&endpoints[0])), [""; 0]);
    assert_eq!(texts(&stream.ack(&sent[0])), ["LDS l@2", "RDS r@2"]);
}

#[test]
fn routes_wait_for_endpoints_after_the_clusters_are_accepted() {
    let mut stream = routed(1);
    let sent = stream.publish([
        eds_cluster("a", 2),
        endpoints("a", 2),
        listener("l", 1),
        route("r", 2),
    ]);
    assert_eq!(texts(&sent), ["CDS a@2", "EDS a@2"]);
    assert_eq!(texts(&stream.ack(&sent[0])), [""; 0]);
    assert_eq!(texts(&stream.ack(&sent[1])), ["RDS r@2"]);
}

#[test]
fn endpoints_do_not_wait_for_the_acceptance_of_clusters() {
    let mut stream = Stream::delta([eds_cluster("a", 1), endpoints("a", 1)]);
    assert_eq!(texts(&stream.subscribe(Cluster, &[])), ["CDS a@1"]);
    assert_eq!(texts(&stream.subscribe(Endpoints, &["a"])), ["EDS a@1"]);
}

#[test]
fn changed_cluster_takes_its_unchanged_endpoints_with_it() {
    let mut stream = routed(1);
    let sent = stream.publish([
        eds_cluster("a", 2),
        endpoints("a", 1),
        listener("l", 1),
        route("r", 1),
    ]);
    assert_eq!(texts(&sent), ["CDS a@2", "EDS a@1"]);
}

#[test]
fn endpoints_on_their_way_are_sent_again_for_a_cluster_that_changed_meanwhile() {
    let mut stream = routed(1);
    let rest = [listener("l", 1), route("r", 1)];
    let [l, r] = rest.clone();
    let first = stream.publish([eds_cluster("a", 1), endpoints("a", 2), l, r]);
    assert_eq!(texts(&first), ["EDS a@2"]);
    let [l, r] = rest;
    let second = stream.publish([eds_cluster("a", 2), endpoints("a", 2), l, r]);
    assert_eq!(texts(&second), ["CDS a@2"]);
    assert_eq!(texts(&stream.ack(&first[0])), ["EDS a@2"]);
}

#[test]
fn cluster_changed_while_the_client_was_away_takes_its_endpoints_with_it() {
    let mut stream = Stream::delta([eds_cluster("a", 2), endpoints("a", 1)]);
    assert_eq!(
        texts(&stream.resume(Cluster, &[], &[("a", 1)])),
        ["CDS a@2"]
    );
    assert_eq!(
        texts(&stream.resume(Endpoints, &["a"], &[("a", 1)])),
        ["EDS a@1"]
    );
}

#[test]
fn cluster_without_endpoints_takes_none_with_it() {
    let mut stream = Stream::delta([cluster("a", 1), endpoints("a", 1)]);
    stream.settle();
    assert_eq!(
        texts(&stream.publish([cluster("a", 2), endpoints("a", 1)])),
        ["CDS a@2"]
    );
}

#[test]
fn cluster_goes_after_the_routes_and_listeners_that_led_to_it() {
    let mut stream = Stream::delta([
        cluster("a", 1),
        cluster("old", 1),
        listener("l", 1),
        listener("old", 1),
        route("r", 1),
    ]);
    stream.settle();
    let sent = stream.publish([cluster("a", 1), listener("l", 1), route("r", 2)]);
    assert_eq!(texts(&sent), ["LDS -old", "RDS r@2"]);
    assert_eq!(texts(&stream.ack(&sent[0])), [""; 0]);
    assert_eq!(texts(&stream.ack(&sent[1])), ["CDS -old"]);
}

#[test]
fn replaced_cluster_is_there_before_and_after_the_switch() {
    let mut stream = Stream::delta([cluster("old", 1), listener("l", 1), route("r", 1)]);
    stream.settle();
    let sent = stream.publish([cluster("new", 1), listener("l", 1), route("r", 2)]);
    assert_eq!(texts(&sent), ["CDS new@1"]);
    assert_eq!(stream.ack_all(sent), ["CDS new@1", "RDS r@2", "CDS -old"]);
}

#[test]
fn route_config_goes_after_the_listener_that_needed_it() {
    let mut stream = Stream::delta([listener("l", 1), route("r", 1)]);
    stream.settle();
    let sent = stream.publish([]);
    assert_eq!(texts(&sent), ["LDS -l"]);
    assert_eq!(texts(&stream.ack(&sent[0])), ["RDS -r"]);
}

#[test]
fn unknown_route_config_is_denied_only_when_no_listener_is_on_its_way() {
    let mut stream = Stream::delta([listener("l", 1), route("r", 1)]);
    stream.settle();
    let sent = stream.publish([listener("l", 2), route("r", 1)]);
    assert_eq!(
        texts(&stream.subscribe(Route, &["of-an-old-listener"])),
        [""; 0]
    );
    assert_eq!(texts(&stream.ack(&sent[0])), ["RDS -of-an-old-listener"]);
}

#[test]
fn endpoints_go_after_their_cluster() {
    let mut stream = Stream::delta([eds_cluster("a", 1), endpoints("a", 1)]);
    stream.settle();
    let sent = stream.publish([]);
    assert_eq!(stream.ack_all(sent), ["CDS -a", "EDS -a"]);
}

#[test]
fn secret_goes_after_what_used_it() {
    let mut stream = Stream::delta([cluster("a", 1), secret("s", 1)]);
    stream.settle();
    let sent = stream.publish([cluster("a", 2)]);
    assert_eq!(stream.ack_all(sent), ["CDS a@2", "SDS -s"]);
}

#[test]
fn secrets_do_not_wait_for_the_cluster_that_waits_for_them() {
    let mut stream = Stream::delta([cluster("a", 1), secret("s", 1)]);
    assert_eq!(texts(&stream.subscribe(Cluster, &[])), ["CDS a@1"]);
    assert_eq!(texts(&stream.subscribe(Secret, &["s"])), ["SDS s@1"]);
}

#[test]
fn names_of_draining_listeners_stay_subscribed_in_peace() {
    let mut stream = Stream::delta([listener("l", 1), route("old", 1), route("new", 1)]);
    stream.settle();
    let sent = stream.publish([listener("l", 2), route("new", 1)]);
    assert_eq!(stream.ack_all(sent), ["LDS l@2", "RDS -old"]);
    // Envoy unsubscribes when the old listener has drained, minutes later.
    assert_eq!(
        texts(&stream.publish([listener("l", 2), route("new", 2)])),
        ["RDS new@2"]
    );
    assert_eq!(texts(&stream.unsubscribe(Route, &["old"])), [""; 0]);
}

#[test]
fn answer_that_does_not_come_is_reported_once_and_no_longer_waited_for() {
    let mut stream = routed(1);
    let sent = stream.publish([
        eds_cluster("a", 2),
        endpoints("a", 1),
        listener("l", 1),
        route("r", 2),
    ]);
    let since = stream.now;
    stream.ack(&sent[1]);
    stream.reports.clear();
    assert_eq!(stream.session.wake_at(), Some(since + ACK_TIMEOUT));
    assert_eq!(stream.session.stalled_since(Cluster), None);

    assert_eq!(
        texts(&stream.wait(ACK_TIMEOUT)),
        ["RDS r@2"],
        "other hosts' routes go on"
    );
    let nonce = sent[0].nonce;
    assert_eq!(
        stream.reports,
        [Report::Stalled {
            kind: Cluster,
            nonce,
            waited: ACK_TIMEOUT
        }]
    );
    assert_eq!(stream.session.stalled_since(Cluster), Some(since));
    stream.reports.clear();
    stream.wait(Duration::from_secs(1));
    assert_eq!(stream.reports, []);

    stream.ack(&sent[0]);
    assert_eq!(stream.session.stalled_since(Cluster), None);
}

#[test]
fn newer_content_is_pushed_past_a_stalled_response() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    stream.settle();
    let stuck = stream.publish([cluster("a", 2)]);
    stream.wait(ACK_TIMEOUT);
    let next = stream.publish([cluster("a", 3)]);
    assert_eq!(texts(&next), ["CDS a@3"]);
    // Now Envoy says what was wrong with the first.
    assert_eq!(texts(&stream.nack(&stuck[0], "a: bad table size")), [""; 0]);
    assert_eq!(texts(&stream.ack(&next[0])), [""; 0]);
    assert_eq!(texts(&stream.publish([cluster("a", 4)])), ["CDS a@4"]);
}

#[test]
fn cluster_stays_while_a_listener_is_unanswered() {
    let mut stream = Stream::delta([cluster("old", 1), listener("l", 1)]);
    stream.settle();
    stream.publish([listener("l", 2)]);
    assert_eq!(texts(&stream.wait(ACK_TIMEOUT)), [""; 0]);
}

#[test]
fn cluster_goes_after_the_routes_of_a_reconnecting_client_have_moved() {
    let mut stream = Stream::delta([cluster("new", 1), listener("l", 1), route("r", 2)]);
    let clusters = stream.resume(Cluster, &[], &[("old", 1)]);
    assert_eq!(texts(&clusters), ["CDS new@1"]);
    assert_eq!(texts(&stream.ack(&clusters[0])), [""; 0]);
    assert_eq!(texts(&stream.resume(Listener, &[], &[("l", 1)])), [""; 0]);
    let routes = stream.resume(Route, &["r"], &[("r", 1)]);
    assert_eq!(texts(&routes), ["RDS r@2"]);
    assert_eq!(texts(&stream.ack(&routes[0])), ["CDS -old"]);
}

#[test]
fn denied_endpoints_do_not_wait_for_the_cluster_that_waits_for_them() {
    let mut stream = Stream::delta([eds_cluster("a", 1), endpoints("a", 1)]);
    stream.settle();
    let loads = stream.publish([eds_cluster("a", 1), endpoints("a", 2)]);
    // Envoy withholds the acceptance of this until it has the endpoints again.
    stream.publish([eds_cluster("a", 2), endpoints("a", 2)]);
    stream.publish([]);
    assert_eq!(texts(&stream.ack(&loads[0])), ["EDS -a"]);
}
