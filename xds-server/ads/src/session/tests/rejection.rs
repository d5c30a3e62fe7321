//! What a client rejects.

use super::*;
use TypeUrl::*;

#[test]
fn nack_keeps_the_last_good_version_and_waits_for_different_content() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    stream.settle();
    let bad = stream.publish([cluster("a", 2)]);
    assert_eq!(
        texts(&stream.nack(&bad[0], "Error adding/updating cluster(s) a: no")),
        [""; 0]
    );
    assert_eq!(
        texts(&stream.publish([cluster("a", 2), cluster("b", 1)])),
        ["CDS b@1"]
    );
    stream.ack_all(vec![]);
    let [.., report] = &stream.reports[..] else {
        panic!("no report")
    };
    let Report::Nacked {
        kind: Cluster,
        nonce,
        names,
        message,
    } = report
    else {
        panic!("{report:?}");
    };
    assert_eq!((*nonce, &names[..]), (bad[0].nonce, &["a".into()][..]));
    assert!(message.contains("a: no"));
}

#[test]
fn different_content_is_sent_after_a_nack() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    stream.settle();
    let bad = stream.publish([cluster("a", 2)]);
    stream.nack(&bad[0], "a: no");
    let good = stream.publish([cluster("a", 3)]);
    assert_eq!(texts(&good), ["CDS a@3"]);
    assert_eq!(texts(&stream.ack(&good[0])), [""; 0]);
}

#[test]
fn return_to_the_last_good_version_is_sent_because_the_client_may_have_applied_a_part() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    stream.settle();
    let bad = stream.publish([cluster("a", 2)]);
    stream.nack(&bad[0], "a: no");
    assert_eq!(texts(&stream.publish([cluster("a", 1)])), ["CDS a@1"]);
}

#[test]
fn good_resources_of_a_rejected_response_are_sent_again_without_the_bad_one() {
    let mut stream = Stream::delta([cluster("a", 1), cluster("bad", 1), cluster("c", 1)]);
    let first = stream.subscribe(Cluster, &[]);
    let again = stream.nack(&first[0], "Error adding/updating cluster(s) bad: no");
    assert_eq!(texts(&again), ["CDS a@1 c@1"]);
    assert_eq!(texts(&stream.ack(&again[0])), [""; 0]);
}

#[test]
fn rejection_without_a_name_is_found_by_halves() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut stream = Stream::delta(names.map(|name| cluster(name, 1)));
    let mut held: Vec<String> = Vec::new();
    let mut queue = stream.subscribe(Cluster, &[]);
    let mut pushes = 0;
    while let Some(response) = queue.pop() {
        pushes += 1;
        let got: Vec<_> = response
            .resources
            .iter()
            .map(|r| r.name.to_string())
            .collect();
        queue = if got.iter().any(|name| name == "f") {
            stream.nack(&response, "Proto constraint validation failed")
        } else {
            held.extend(got);
            stream.ack(&response)
        };
        assert!(pushes < 20, "it ends");
    }
    held.sort();
    assert_eq!(held, ["a", "b", "c", "d", "e", "g", "h"]);
    assert_eq!(
        texts(&stream.publish(names.map(|name| cluster(name, 2)))),
        ["CDS a@2 b@2 c@2 d@2 e@2 f@2 g@2 h@2"]
    );
}

#[test]
fn explicit_subscription_is_answered_though_it_was_rejected() {
    let mut stream = Stream::delta([secret("a", 1)]);
    let first = stream.subscribe(Secret, &["a"]);
    stream.nack(&first[0], "a: no key");
    assert_eq!(texts(&stream.subscribe(Secret, &["a"])), ["SDS a@1"]);
}

#[test]
fn rejected_new_resource_that_disappears_is_removed() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    stream.settle();
    let bad = stream.publish([cluster("a", 1), cluster("bad", 1)]);
    stream.nack(&bad[0], "bad: no");
    assert_eq!(texts(&stream.publish([cluster("a", 1)])), ["CDS -bad"]);
}

#[test]
fn cluster_stays_while_a_last_good_route_may_lead_to_it() {
    let mut stream = Stream::delta([cluster("old", 1), route("r", 1)]);
    stream.settle();
    let sent = stream.publish([cluster("new", 1), route("r", 2)]);
    let routes = stream.ack(&sent[0]);
    assert_eq!(texts(&routes), ["RDS r@2"]);
    assert_eq!(
        texts(&stream.nack(&routes[0], "r: duplicate domain")),
        [""; 0]
    );
    let routes = stream.publish([cluster("new", 1), route("r", 3)]);
    assert_eq!(stream.ack_all(routes), ["RDS r@3", "CDS -old"]);
}

#[test]
fn rejected_cluster_does_not_hold_back_routes() {
    let mut stream = Stream::delta([cluster("a", 1), route("r", 1)]);
    stream.settle();
    let sent = stream.publish([cluster("a", 2), route("r", 2)]);
    assert_eq!(texts(&stream.nack(&sent[0], "a: no")), ["RDS r@2"]);
}

#[test]
fn rejected_removal_is_not_repeated() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    stream.settle();
    let sent = stream.publish([]);
    assert_eq!(texts(&sent), ["CDS -a"]);
    assert_eq!(texts(&stream.nack(&sent[0], "static cluster")), [""; 0]);
    assert!(
        matches!(&stream.reports[..], [Report::Nacked { names, .. }] if names[..] == ["a".into()])
    );
}

#[test]
fn acceptance_tells_how_long_it_took() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    let sent = stream.subscribe(Cluster, &[]);
    stream.now += Duration::from_millis(7);
    stream.ack(&sent[0]);
    let (kind, nonce) = (Cluster, sent[0].nonce);
    assert_eq!(
        stream.reports,
        [Report::Acked {
            kind,
            nonce,
            elapsed: Duration::from_millis(7)
        }]
    );
}

#[test]
fn key_that_envoy_quotes_is_not_repeated() {
    let quoted = "goo.gle/debugproto\nname: \"s\"\ninline_string: \"-----BEGIN PRIVATE KEY-----\\nMIG\"\n: \
                  Proto constraint validation failed";
    for (kind, published) in [(Secret, secret("s", 1)), (Cluster, cluster("s", 1))] {
        let mut stream = Stream::delta([published]);
        let sent = stream.subscribe(kind, &["s"]);
        stream.nack(&sent[0], quoted);
        let [Report::Nacked { message, .. }] = &stream.reports[..] else {
            panic!("{:?}", stream.reports);
        };
        assert!(
            message.ends_with("Proto constraint validation failed"),
            "{message}"
        );
        assert!(!message.contains("MIG"), "{message}");
    }
}
