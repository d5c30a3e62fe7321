//! Rules of our own kinds.

use super::check;
use crate::diagnostic::code;
use crate::object::Object;
use crate::parse::parse;

#[test]
fn pools() {
    check(
        "EgressIPPool",
        &[
            (
                "{}",
                &[
                    "error addresses: at least one address is required",
                    "warning namespaceSelector: without a namespaceSelector no namespace may use the pool; {} admits all",
                ],
            ),
            (
                "{addresses: [203.0.113.10-203.0.113.19, '2001:db8::10/124'], exclude: [203.0.113.13], \
                 gatewaySelector: {matchLabels: {istio: egressgateway}}, namespaceSelector: {}, \
                 attachment: {hostNetwork: {interface: eth0}}}",
                &[],
            ),
            (
                "{addresses: [203.0.113.10], namespaceSelector: {matchLabels: {a: '*'}}, \
                 attachment: {macvlan: {}, external: {}}}",
                &[
                    "error namespaceSelector.matchLabels.a: wildcards are not allowed in selectors",
                    "error attachment: exactly one of hostNetwork, macvlan and external is required",
                    "error attachment.macvlan.parent: an interface is required",
                ],
            ),
            (
                "{addresses: [203.0.113.19-203.0.113.10]}",
                &[
                    "error addresses[0]: `203.0.113.19-203.0.113.10` is no range of addresses: \
                   expected FIRST-LAST, ADDRESS/LENGTH or ADDRESS",
                ],
            ),
        ],
    );
}

#[test]
fn policies() {
    check(
        "EgressPolicy",
        &[
            (
                "{}",
                &[
                    "error from: at least one entry is required; {} selects every workload",
                    "error to: at least one destination is required",
                ],
            ),
            (
                "{priority: 100, from: [{serviceAccounts: [checkout], podSelector: {matchLabels: {tier: web}}}], \
                 to: [{hosts: ['*.partner.example'], ports: [{port: 443, protocol: TLS}]}, \
                      {cidrs: [198.51.100.0/24], except: [198.51.100.7/32], ports: [{port: 22, protocol: TCP}]}], \
                 egressIP: {pool: partners, addresses: [203.0.113.10]}, whenUnavailable: Deny}",
                &[],
            ),
            ("{action: Deny, from: [{}], to: [{hosts: ['*']}]}", &[]),
            (
                "{from: [{serviceAccounts: [a/b]}], to: [{hosts: ['a*.example', 10.0.0.1], except: [x], ports: [{port: 0}]}, {}]}",
                &[
                    "error from[0].serviceAccounts[0]: `a/b` is no name of a service account",
                    "error to[0].hosts[0]: host `a*.example` is invalid at `a*`",
                    "error to[0].hosts[1]: `10.0.0.1` is an address; use cidrs",
                    "error to[0].except[0]: `x` is no IP address",
                    "error to[0].except: except needs cidrs",
                    "error to[0].ports[0].port: port 0 is not within 1 and 65535",
                    "error to[0].ports[0].protocol: a protocol is required",
                    "error to[1]: hosts or cidrs is required",
                    "error to[1].ports: at least one port is required with action Allow",
                ],
            ),
            (
                "{action: Deny, from: [{}], to: [{hosts: [a.example], ports: [{port: 80, protocol: UDP}]}], egressIP: {}}",
                &[
                    "error to[0].ports[0].protocol: unknown protocol `UDP`, expected HTTP, TLS or TCP",
                    "error egressIP: a Deny has no egressIP",
                ],
            ),
        ],
    );
    check(
        "ClusterEgressPolicy",
        &[
            (
                "{action: Deny, from: [{namespaceSelector: {}}], to: [{hosts: ['*']}]}",
                &[],
            ),
            (
                "{from: [{}], to: [{hosts: [a.example], ports: [{port: 80, protocol: HTTP}]}], egressIP: {}}",
                &[
                    "error from[0].namespaceSelector: a namespaceSelector is required; {} selects every namespace",
                    "error egressIP.pool: a pool is required",
                    "error egressIP.addresses: at least one address is required",
                ],
            ),
        ],
    );
}

#[test]
fn our_kinds_are_strict_and_only_policies_have_a_namespace() {
    let text = "\
apiVersion: sluice.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: all, namespace: shop}
spec: {action: Deny, from: [{namespaceSelector: {}}], to: [{hosts: [a.example]}]}
---
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicy
metadata: {name: one}
spec: {from: [{podSelectr: {}}], to: []}
---
apiVersion: sluice.dev/v1
kind: EgressPolicy
metadata: {name: two}
---
apiVersion: sluice.dev/v1alpha1
kind: EgressPolicie
metadata: {name: three}
";
    let parsed = parse("f.yaml", text, "shop");
    assert_eq!(
        parsed
            .objects
            .iter()
            .map(|object| object.meta().namespace.as_str())
            .collect::<Vec<_>>(),
        [""]
    );
    assert!(matches!(parsed.objects[0], Object::ClusterEgressPolicy(_)));
    let found: Vec<_> = (parsed.diagnostics.iter())
        .map(|found| {
            (
                found.location.as_ref().map_or(0, |place| place.line),
                found.code.as_ref(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (9, code::SCHEMA),
            (11, code::IDENTITY),
            (16, code::IDENTITY)
        ]
    );
}
