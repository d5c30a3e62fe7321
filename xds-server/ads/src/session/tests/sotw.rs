//! State of the world.

use super::*;
use TypeUrl::*;

#[test]
fn every_cluster_response_has_all_clusters() {
    let mut stream = Stream::sotw([cluster("a", 1), cluster("b", 1)]);
    let first = stream.state(Cluster, &[], None);
    assert_eq!(texts(&first), ["CDS a@1 b@1"]);
    assert_eq!(texts(&stream.state(Cluster, &[], Some(&first[0]))), [""; 0]);
    assert_eq!(
        texts(&stream.publish([cluster("a", 2), cluster("b", 1)])),
        ["CDS a@2 b@1"]
    );
}

#[test]
fn named_types_get_what_changed() {
    let mut stream = Stream::sotw([route("a", 1), route("b", 1)]);
    let first = stream.state(Route, &["a", "b"], None);
    assert_eq!(texts(&first), ["RDS a@1 b@1"]);
    stream.state(Route, &["a", "b"], Some(&first[0]));
    assert_eq!(
        texts(&stream.publish([route("a", 2), route("b", 1)])),
        ["RDS a@2"]
    );
}

#[test]
fn wildcard_of_nothing_is_answered() {
    let mut stream = Stream::sotw([]);
    assert_eq!(texts(&stream.state(Cluster, &[], None)), ["CDS"]);
}

#[test]
fn equal_versions_send_nothing() {
    let mut stream = Stream::sotw([cluster("a", 1)]);
    let first = stream.state(Cluster, &[], None);
    stream.state(Cluster, &[], Some(&first[0]));
    assert_eq!(texts(&stream.publish([cluster("a", 1)])), [""; 0]);
}

#[test]
fn later_empty_message_unsubscribes() {
    let mut stream = Stream::sotw([secret("s", 1)]);
    let first = stream.state(Secret, &["s"], None);
    assert_eq!(texts(&stream.state(Secret, &[], Some(&first[0]))), [""; 0]);
    assert_eq!(texts(&stream.publish([secret("s", 2)])), [""; 0]);
}

#[test]
fn added_name_is_answered_alone() {
    let mut stream = Stream::sotw([secret("a", 1), secret("b", 1)]);
    let first = stream.state(Secret, &["a"], None);
    assert_eq!(
        texts(&stream.state(Secret, &["a", "b"], Some(&first[0]))),
        ["SDS b@1"]
    );
}

#[test]
fn missing_name_is_answered_once_per_change_of_the_subscription() {
    let mut stream = Stream::sotw([secret("a", 1)]);
    let first = stream.state(Secret, &["a", "missing"], None);
    assert_eq!(texts(&first), ["SDS a@1"]);
    assert_eq!(
        texts(&stream.state(Secret, &["a", "missing"], Some(&first[0]))),
        [""; 0]
    );
    let second = stream.state(Secret, &["a", "missing", "too"], None);
    assert_eq!(texts(&second), ["SDS"]);
    assert_eq!(
        texts(&stream.state(Secret, &["a", "missing", "too"], Some(&second[0]))),
        [""; 0]
    );
    assert_eq!(
        texts(&stream.publish([secret("a", 1), secret("missing", 1)])),
        ["SDS missing@1"]
    );
}

#[test]
fn secret_socket_leaves_a_missing_name_unanswered() {
    let mut stream = Stream::new(Session::sotw(Missing::Awaited), []);
    assert_eq!(texts(&stream.state(Secret, &["default"], None)), [""; 0]);
    assert_eq!(
        texts(&stream.publish([secret("default", 1)])),
        ["SDS default@1"]
    );
}

#[test]
fn changed_cluster_takes_its_endpoints_with_it() {
    let mut stream = Stream::sotw([eds_cluster("a", 1), endpoints("a", 1), endpoints("b", 1)]);
    let clusters = stream.state(Cluster, &[], None);
    stream.state(Cluster, &[], Some(&clusters[0]));
    let loads = stream.state(Endpoints, &["a", "b"], None);
    stream.state(Endpoints, &["a", "b"], Some(&loads[0]));
    let sent = stream.publish([eds_cluster("a", 2), endpoints("a", 1), endpoints("b", 1)]);
    assert_eq!(texts(&sent), ["CDS a@2", "EDS a@1"]);
}

#[test]
fn replaced_cluster_stays_in_the_world_until_the_routes_have_moved() {
    let mut stream = Stream::sotw([cluster("old", 1), listener("l", 1), route("r", 1)]);
    for (kind, names) in [(Cluster, &[][..]), (Listener, &[]), (Route, &["r"])] {
        let sent = stream.state(kind, names, None);
        stream.state(kind, names, Some(&sent[0]));
    }
    let clusters = stream.publish([cluster("new", 1), listener("l", 1), route("r", 2)]);
    assert_eq!(texts(&clusters), ["CDS new@1 old@1"]);
    let routes = stream.state(Cluster, &[], Some(&clusters[0]));
    assert_eq!(texts(&routes), ["RDS r@2"]);
    assert_eq!(
        texts(&stream.state(Route, &["r"], Some(&routes[0]))),
        ["CDS new@1"]
    );
}

#[test]
fn rejected_cluster_is_replaced_by_its_last_good_version() {
    let mut stream = Stream::sotw([cluster("a", 1), cluster("b", 1)]);
    let first = stream.state(Cluster, &[], None);
    stream.state(Cluster, &[], Some(&first[0]));
    let bad = stream.publish([cluster("a", 2), cluster("b", 2), cluster("c", 2)]);
    assert_eq!(texts(&bad), ["CDS a@2 b@2 c@2"]);
    let again = stream.state_nack(&[], &bad[0], "Error adding/updating cluster(s) a: no");
    assert_eq!(texts(&again), ["CDS a@1 b@2 c@2"]);
    assert_eq!(texts(&stream.state(Cluster, &[], Some(&again[0]))), [""; 0]);
    assert_eq!(
        texts(&stream.publish([cluster("a", 3), cluster("b", 2), cluster("c", 2)])),
        ["CDS a@3 b@2 c@2"]
    );
}

#[test]
fn client_that_holds_the_current_versions_gets_nothing_on_reconnect() {
    let world = || {
        [
            cluster("a", 1),
            cluster("b", 1),
            secret("s", 1),
            secret("t", 1),
        ]
    };
    let mut before = Stream::sotw(world());
    let clusters = before.state(Cluster, &[], None);
    let secrets = before.state(Secret, &["s", "t"], None);

    let mut after = Stream::sotw(world());
    assert_eq!(
        texts(&after.state_resume(Cluster, &[], clusters[0].version)),
        [""; 0]
    );
    assert_eq!(
        texts(&after.state_resume(Secret, &["s", "t"], secrets[0].version)),
        [""; 0]
    );
    let mut world = world();
    world[0] = cluster("a", 2);
    assert_eq!(texts(&after.publish(world)), ["CDS a@2 b@1"]);
}

#[test]
fn client_that_holds_something_else_gets_everything_on_reconnect() {
    let mut stream = Stream::sotw([cluster("a", 1), secret("s", 1), secret("t", 1)]);
    assert_eq!(
        texts(&stream.state_resume(Cluster, &[], Version(7))),
        ["CDS a@1"]
    );
    assert_eq!(
        texts(&stream.state_resume(Secret, &["s", "t"], Version(7))),
        ["SDS s@1 t@1"]
    );
}

#[test]
fn version_of_a_response_covers_all_that_the_client_then_holds() {
    let mut before = Stream::sotw([secret("s", 1), secret("t", 1)]);
    let first = before.state(Secret, &["s", "t"], None);
    before.state(Secret, &["s", "t"], Some(&first[0]));
    let second = before.publish([secret("s", 2), secret("t", 1)]);
    assert_eq!(texts(&second), ["SDS s@2"]);

    let mut after = Stream::sotw([secret("s", 2), secret("t", 1)]);
    assert_eq!(
        texts(&after.state_resume(Secret, &["s", "t"], second[0].version)),
        [""; 0]
    );
}

#[test]
fn named_resource_that_goes_stays_at_the_client_and_is_not_sent_when_it_comes_back() {
    let mut stream = Stream::sotw([secret("s", 1)]);
    let first = stream.state(Secret, &["s"], None);
    stream.state(Secret, &["s"], Some(&first[0]));
    assert_eq!(texts(&stream.publish([])), [""; 0]);
    assert_eq!(texts(&stream.publish([secret("s", 1)])), [""; 0]);
    assert_eq!(texts(&stream.publish([secret("s", 2)])), ["SDS s@2"]);
}
