//! Rules of the security kinds and of Telemetry.

use super::check;

#[test]
fn security() {
    check(
        "AuthorizationPolicy",
        &[
            ("{}", &[]),
            (
                "{action: DENY}",
                &["warning spec: a DENY without rules denies nothing"],
            ),
            (
                "{action: CUSTOM, selector: {matchLabels: {a: b}}, targetRefs: [{kind: Pod, name: ''}]}",
                &[
                    "error spec: only one of selector, targetRef and targetRefs may be set",
                    "error targetRefs[0].name: a name is required",
                    "error targetRefs[0].kind: `Pod` of group `` cannot be referenced",
                    "error provider: action CUSTOM requires a provider",
                ],
            ),
            (
                "{rules: [{from: [{}, {source: {}}, {source: {ipBlocks: [x], serviceAccounts: [a], namespaces: [b]}}], to: [{operation: {ports: ['0']}}], when: [{}]}]}",
                &[
                    "error rules[0].from[0].source: a source is required",
                    "error rules[0].from[1].source: an empty source is not allowed",
                    "error rules[0].from[2].source: serviceAccounts exclude principals and namespaces",
                    "error rules[0].from[2].source.ipBlocks[0]: `x` is no IP address",
                    "error rules[0].to[0].operation.ports[0]: `0` is no port",
                    "error rules[0].when[0].key: a key is required",
                    "error rules[0].when[0]: values or notValues is required",
                ],
            ),
        ],
    );
    check(
        "RequestAuthentication",
        &[(
            "{jwtRules: [{jwksUri: ftp://x, jwks: '{}', fromHeaders: [{}], outputClaimToHeaders: [{header: a}]}]}",
            &[
                "error jwtRules[0].issuer: an issuer is required",
                "error jwtRules[0].jwksUri: `ftp://x` is no http or https URL",
                "error jwtRules[0]: only one of jwks and jwksUri may be set",
                "error jwtRules[0].fromHeaders[0].name: a name is required",
                "error jwtRules[0].outputClaimToHeaders[0].claim: a claim is required",
            ],
        )],
    );
    check(
        "PeerAuthentication",
        &[(
            "{portLevelMtls: {70000: {mode: STRICT}}}",
            &[
                "error portLevelMtls: portLevelMtls needs a selector",
                "error portLevelMtls.70000: port 70000 is not within 1 and 65535",
            ],
        )],
    );
}

#[test]
fn telemetry() {
    check(
        "Telemetry",
        &[(
            "{accessLogging: [{providers: [{}]}], tracing: [{customTags: {a: {}}}], \
             metrics: [{overrides: [{tagOverrides: {b: {operation: UPSERT}}}]}]}",
            &[
                "error accessLogging[0].providers[0].name: a name is required",
                "error tracing[0].customTags.a: exactly one of literal, environment, header and formatter is required",
                "error metrics[0].overrides[0].tagOverrides.b.value: a value is required",
            ],
        )],
    );
}
