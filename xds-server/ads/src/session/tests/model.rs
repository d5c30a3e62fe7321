//! Any interleaving of publishing, answers, reconnects and time ends with client == set.
//!
//! The client is a model of Envoy as measured: it asks for endpoints when it gets a cluster and
//! not again when the cluster changes, and it withholds the answer to clusters while one warms.

mod run;

use proptest::prelude::*;

use super::*;
use run::Run;

const HOSTS: u32 = 3;
/// The client rejects all resources of this generation.
const POISON: u32 = 3;

/// What is published: versions say all about the content.
#[derive(Clone, Debug)]
struct World {
    /// By host: the cluster's generation, whether it has endpoints, and their generation.
    hosts: [Option<(u32, bool, u32)>; HOSTS as usize],
    listener: u32,
    route: u32,
    /// The listener wants `r0` or `r1`.
    route_name: u32,
}

#[derive(Clone, Debug)]
enum Step {
    Publish(World),
    /// The client takes the next response; when it rejects it, does it name the culprits, and
    /// apply the others?
    Deliver {
        names: bool,
        partly: bool,
    },
    /// The server takes the next request.
    Hear,
    Reconnect,
    /// Old listeners have drained: the client drops the names that they needed.
    Drain,
    Tick,
}

fn world(generations: u32) -> impl Strategy<Value = World> {
    let host = proptest::option::of((0..generations, any::<bool>(), 0..generations));
    (
        [host.clone(), host.clone(), host],
        0..generations,
        0..generations,
        0..2_u32,
    )
        .prop_map(|(hosts, listener, route, route_name)| World {
            hosts,
            listener,
            route,
            route_name,
        })
}

fn step(generations: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => world(generations).prop_map(Step::Publish),
        6 => (any::<bool>(), any::<bool>()).prop_map(|(names, partly)| Step::Deliver { names, partly }),
        6 => Just(Step::Hear),
        1 => Just(Step::Reconnect),
        1 => Just(Step::Drain),
    ]
}

impl World {
    fn set(&self) -> ResourceSet {
        let mut resources = Vec::new();
        let mut mask = 0;
        for (host, present) in (0..HOSTS).zip(self.hosts) {
            let Some((generation, has_endpoints, load)) = present else {
                continue;
            };
            mask |= 1 << host;
            let name = format!("c{host}");
            let version = version(generation, has_endpoints.into());
            if has_endpoints {
                resources.push(eds_cluster(&name, version));
                resources.push(endpoints(&name, self::version(load, 0)));
            } else {
                resources.push(cluster(&name, version));
            }
        }
        let name = format!("r{}", self.route_name);
        resources.push((
            TypeUrl::Listener,
            resource(
                "l",
                version(self.listener, self.route_name),
                &[(TypeUrl::Route, &name)],
            ),
        ));
        resources.push(route(&name, version(self.route, mask)));
        ResourceSet::new(resources).unwrap()
    }
}

fn version(generation: u32, content: u32) -> u128 {
    u128::from(generation << 8 | content)
}

fn content(version: u128) -> u32 {
    u32::try_from(version & 0xff).unwrap()
}

fn is_poison(resource: &Resource) -> bool {
    resource.version.0 >> 8 == u128::from(POISON)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_interleaving_ends_with_client_equal_to_set(
        steps in proptest::collection::vec(
            prop_oneof![30 => step(POISON + 1), 1 => Just(Step::Tick)], 0..60),
        last in world(POISON),
        is_delta in any::<bool>(),
    ) {
        let protocol = if is_delta { Protocol::Delta } else { Protocol::Sotw };
        let mut run = Run::new(protocol, false);
        for step in steps {
            run.step(step);
        }
        run.ends_with_client_equal_to_set(last);
    }

    #[test]
    fn traffic_never_meets_a_missing_cluster(
        steps in proptest::collection::vec(step(POISON), 0..60),
        last in world(POISON),
        is_delta in any::<bool>(),
    ) {
        let protocol = if is_delta { Protocol::Delta } else { Protocol::Sotw };
        let mut run = Run::new(protocol, true);
        for step in steps {
            // After a reconnect, state of the world cannot know what to keep.
            if is_delta || !matches!(step, Step::Reconnect) {
                run.step(step);
            }
        }
        run.ends_with_client_equal_to_set(last);
    }
}
