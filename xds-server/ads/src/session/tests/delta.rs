//! Delta: subscriptions, answers, reconnects.

use super::*;
use TypeUrl::*;

#[test]
fn empty_first_message_gets_all_clusters() {
    let mut stream = Stream::delta([cluster("a", 1), cluster("b", 1)]);
    assert_eq!(texts(&stream.subscribe(Cluster, &[])), ["CDS a@1 b@1"]);
}

#[test]
fn wildcard_of_nothing_is_answered_so_that_envoy_starts() {
    let mut stream = Stream::delta([]);
    let first = stream.subscribe(Cluster, &[]);
    assert_eq!(texts(&first), ["CDS"]);
    assert_eq!(texts(&stream.ack(&first[0])), [""; 0]);
}

#[test]
fn equal_versions_send_nothing() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    stream.settle();
    assert_eq!(texts(&stream.publish([cluster("a", 1)])), [""; 0]);
}

#[test]
fn only_the_difference_is_sent() {
    let mut stream = Stream::delta([cluster("a", 1), cluster("b", 1), cluster("c", 1)]);
    stream.settle();
    let sent = stream.publish([cluster("a", 1), cluster("b", 2), cluster("d", 1)]);
    assert_eq!(texts(&sent), ["CDS b@2 d@1 -c"]);
}

#[test]
fn one_response_per_type_is_on_its_way_and_the_newest_set_wins() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    let first = stream.subscribe(Cluster, &[]);
    assert_eq!(texts(&stream.publish([cluster("a", 2)])), [""; 0]);
    assert_eq!(
        texts(&stream.publish([cluster("a", 3), cluster("b", 1)])),
        [""; 0]
    );
    assert_eq!(texts(&stream.ack(&first[0])), ["CDS a@3 b@1"]);
}

#[test]
fn change_undone_before_the_answer_is_not_sent() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    let first = stream.subscribe(Cluster, &[]);
    stream.publish([cluster("a", 2)]);
    stream.publish([cluster("a", 1)]);
    assert_eq!(texts(&stream.ack(&first[0])), [""; 0]);
}

#[test]
fn stale_nonce_is_no_answer_but_its_names_count() {
    let mut stream = Stream::delta([secret("a", 1), secret("b", 1)]);
    let first = stream.subscribe(Secret, &["a"]);
    let stale = Request {
        kind: Secret,
        nonce: Some(99),
        error: None,
        names: Names::Delta {
            subscribe: owned(&["b"]),
            unsubscribe: vec![],
            initial: vec![],
        },
    };
    assert_eq!(
        texts(&stream.say(stale)),
        [""; 0],
        "the first response has no answer yet"
    );
    assert_eq!(texts(&stream.ack(&first[0])), ["SDS b@1"]);
}

#[test]
fn nonce_answered_before_is_ignored() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    let first = stream.subscribe(Cluster, &[]);
    stream.ack(&first[0]);
    stream.nack(&first[0], "a: too late");
    assert_eq!(stream.reports.len(), 1);
    assert_eq!(texts(&stream.publish([cluster("a", 2)])), ["CDS a@2"]);
}

#[test]
fn explicit_subscription_is_answered_though_the_version_is_known() {
    let mut stream = Stream::delta([secret("a", 1)]);
    stream.settle();
    assert_eq!(texts(&stream.subscribe(Secret, &["a"])), ["SDS a@1"]);
}

#[test]
fn subscription_in_an_acknowledgement_is_answered() {
    let mut stream = Stream::delta([endpoints("a", 1), endpoints("b", 1)]);
    let first = stream.subscribe(Endpoints, &["a"]);
    let ack = Request {
        kind: Endpoints,
        nonce: Some(first[0].nonce),
        error: None,
        names: Names::Delta {
            subscribe: owned(&["b"]),
            unsubscribe: vec![],
            initial: vec![],
        },
    };
    assert_eq!(texts(&stream.say(ack)), ["EDS b@1"]);
}

#[test]
fn unsubscribed_name_is_left_alone() {
    let mut stream = Stream::delta([secret("a", 1), secret("b", 1)]);
    stream.settle();
    assert_eq!(texts(&stream.unsubscribe(Secret, &["a"])), [""; 0]);
    assert_eq!(
        texts(&stream.publish([secret("a", 2), secret("b", 2)])),
        ["SDS b@2"]
    );
}

#[test]
fn name_unsubscribed_under_a_wildcard_is_sent_again() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    let first = stream.subscribe(Cluster, &["*", "a"]);
    stream.ack(&first[0]);
    assert_eq!(texts(&stream.unsubscribe(Cluster, &["a"])), ["CDS a@1"]);
}

#[test]
fn unknown_name_comes_back_as_removed_once() {
    let mut stream = Stream::delta([]);
    let first = stream.subscribe(Secret, &["nobody"]);
    assert_eq!(texts(&first), ["SDS -nobody"]);
    assert_eq!(texts(&stream.ack(&first[0])), [""; 0]);
    assert_eq!(
        texts(&stream.publish([secret("nobody", 1)])),
        ["SDS nobody@1"]
    );
}

#[test]
fn secret_socket_leaves_an_unknown_name_unanswered_until_it_appears() {
    let mut stream = Stream::new(Session::delta(Missing::Awaited), []);
    assert_eq!(
        texts(&stream.subscribe(Secret, &["file-cert:a~b"])),
        [""; 0]
    );
    assert_eq!(
        texts(&stream.publish([secret("file-cert:a~b", 1)])),
        ["SDS file-cert:a~b@1"]
    );
}

#[test]
fn client_that_holds_the_current_versions_gets_nothing_on_reconnect() {
    let mut stream = Stream::delta([
        eds_cluster("a", 1),
        endpoints("a", 4),
        listener("l", 2),
        route("r", 3),
    ]);
    assert_eq!(texts(&stream.resume(Cluster, &[], &[("a", 1)])), [""; 0]);
    assert_eq!(
        texts(&stream.resume(Endpoints, &["a"], &[("a", 4)])),
        [""; 0]
    );
    assert_eq!(texts(&stream.resume(Listener, &[], &[("l", 2)])), [""; 0]);
    assert_eq!(texts(&stream.resume(Route, &["r"], &[("r", 3)])), [""; 0]);
}

#[test]
fn reconnecting_client_hears_what_changed_and_what_is_gone() {
    let mut stream = Stream::delta([cluster("a", 2), cluster("b", 1)]);
    let sent = stream.resume(Cluster, &[], &[("a", 1), ("b", 1), ("gone", 1)]);
    assert_eq!(texts(&sent), ["CDS a@2"]);
    // By now a client with routes would have asked for them.
    assert_eq!(texts(&stream.wait(ARRIVAL)), [""; 0]);
    assert_eq!(texts(&stream.ack(&sent[0])), ["CDS -gone"]);
}

#[test]
fn named_resource_that_is_gone_is_removed_on_reconnect() {
    let mut stream = Stream::delta([secret("a", 1)]);
    stream.resume(Secret, &["a", "gone"], &[("a", 1), ("gone", 1)]);
    assert_eq!(texts(&stream.wait(ARRIVAL)), ["SDS -gone"]);
}

#[test]
fn version_of_another_build_is_replaced() {
    let mut stream = Stream::delta([cluster("a", 1)]);
    let names = Names::Delta {
        subscribe: vec![],
        unsubscribe: vec![],
        initial: vec![("a".to_owned(), None)],
    };
    let sent = stream.say(Request {
        kind: Cluster,
        nonce: None,
        error: None,
        names,
    });
    assert_eq!(texts(&sent), ["CDS a@1"]);
}

#[test]
fn initial_versions_count_in_the_first_message_only() {
    let mut stream = Stream::delta([secret("a", 1), secret("b", 1)]);
    let first = stream.subscribe(Secret, &["a"]);
    stream.ack(&first[0]);
    let sent = stream.resume(Secret, &["b"], &[("b", 1)]);
    assert_eq!(texts(&sent), ["SDS b@1"]);
}

#[test]
fn new_names_are_told_before_they_are_subscribed() {
    let mut stream = Stream::delta([]);
    stream.subscribe(Secret, &["a"]);
    let names = Names::Delta {
        subscribe: owned(&["a", "b"]),
        unsubscribe: vec![],
        initial: vec![],
    };
    let request = Request {
        kind: Secret,
        nonce: None,
        error: None,
        names,
    };
    assert_eq!(stream.session.new_names(&request), ["b"]);
}

#[test]
fn sets_that_skip_one_another_are_compared_in_whole() {
    let mut stream = Stream::delta([cluster("a", 1), cluster("b", 1)]);
    stream.settle();
    // The stream never sees the set in between, so the last one's own difference says too little.
    let between = set([cluster("a", 2), cluster("b", 1)]).following(&stream.set);
    stream.set = between;
    assert_eq!(
        texts(&stream.publish([cluster("a", 2), cluster("b", 2)])),
        ["CDS a@2 b@2"]
    );
}
