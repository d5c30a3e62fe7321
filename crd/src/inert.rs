//! Fields that are accepted, checked, and not acted upon: the one list of them.
//!
//! Whoever makes a field effective takes its line away here, and nothing else. The list speaks
//! of fields by path: `[]` is any item of a list, `{}` any value of a map, and `=VALUE` limits a
//! line to that value.

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity, code};
use crate::object::{Kind, Object};
use crate::tree::path::Path;

/// Where a DestinationRule has traffic policies: whole, by port, by subset, by subset and port.
const POLICIES: [&str; 4] = [
    "spec.trafficPolicy",
    "spec.trafficPolicy.portLevelSettings[]",
    "spec.subsets[].trafficPolicy",
    "spec.subsets[].trafficPolicy.portLevelSettings[]",
];

/// The fields of any traffic policy that have no effect.
const OF_POLICY: &[&str] = &[
    "tls.caCrl",
    "loadBalancer.simple=PASSTHROUGH",
    "loadBalancer.consistentHash.httpCookie.attributes",
    "loadBalancer.localityLbSetting",
    "loadBalancer.zoneAwareLbSetting",
    "loadBalancer.backendUtilization",
    "loadBalancer.warmup",
    "loadBalancer.warmupDurationSecs",
    "connectionPool.tcp.idleTimeout",
    "connectionPool.http.http2KeepAlive",
    "outlierDetection.outlierDetectionHttpErrorCodes",
];

/// The fields that have no effect and that only a policy without a port has.
const OF_WHOLE_POLICY: &[&str] = &["tunnel", "proxyProtocol", "retryBudget"];

/// The fields of a kind that have no effect.
fn fields(kind: Kind) -> Vec<String> {
    let of_kind: &[&str] = match kind {
        Kind::Gateway => &[
            "spec.servers[].defaultEndpoint",
            "spec.servers[].tls.mode=AUTO_PASSTHROUGH",
            "spec.servers[].tls.caCrl",
            "spec.servers[].tls.verifyCertificateSpki",
            "spec.servers[].tls.verifyCertificateHash",
            "spec.servers[].tls.ecdhCurves",
            "spec.servers[].tls.insecureSkipVerify",
        ],
        Kind::VirtualService => &[
            "spec.http[].match[].statPrefix",
            "spec.http[].delegate",
            "spec.http[].corsPolicy",
            "spec.http[].redirect.prefixRewrite",
            "spec.http[].retries.backoff",
            "spec.http[].retries.retryRemoteLocalities",
            "spec.http[].fault.delay.exponentialDelay",
            "spec.http[].fault.abort.http2Error",
            "spec.tcp[].match[].sourceSubnet",
        ],
        Kind::ServiceEntry => &[
            "spec.resolution=DYNAMIC_DNS",
            "spec.location=MESH_INTERNAL",
            "spec.endpoints[].network",
            "spec.endpoints[].serviceAccount",
        ],
        Kind::DestinationRule => {
            let whole = POLICIES.iter().filter(|policy| !policy.ends_with("[]"));
            let whole =
                whole.flat_map(|policy| OF_WHOLE_POLICY.iter().map(move |field| (policy, field)));
            let any = POLICIES
                .iter()
                .flat_map(|policy| OF_POLICY.iter().map(move |field| (policy, field)));
            return whole
                .chain(any)
                .map(|(policy, field)| format!("{policy}.{field}"))
                .collect();
        }
        Kind::Sidecar => &[
            "spec.ingress",
            "spec.inboundConnectionPool",
            "spec.egress[].port",
            "spec.egress[].bind",
            "spec.egress[].captureMode=IPTABLES",
            "spec.egress[].captureMode=NONE",
            "spec.outboundTrafficPolicy.mode=ALLOW_ANY",
            "spec.outboundTrafficPolicy.egressProxy",
        ],
        Kind::WorkloadEntry => &["spec.network", "spec.serviceAccount"],
        // Keys of conditions that nobody judges are told by the resolver, which knows them.
        Kind::AuthorizationPolicy => &[
            "spec.targetRef",
            "spec.targetRefs",
            "spec.action=CUSTOM",
            "spec.provider",
            "spec.rules[].from[].source.requestPrincipals",
            "spec.rules[].from[].source.notRequestPrincipals",
        ],
        Kind::RequestAuthentication | Kind::PeerAuthentication | Kind::Telemetry => &["spec"],
        Kind::EgressIPPool => &["spec.attachment.hostNetwork", "spec.attachment.macvlan"],
        Kind::EgressPolicy | Kind::ClusterEgressPolicy => &[],
        Kind::Service
        | Kind::EndpointSlice
        | Kind::Secret
        | Kind::Namespace
        | Kind::Pod
        | Kind::ConfigMap => &[],
    };
    of_kind.iter().map(|field| (*field).to_owned()).collect()
}

/// How bad it is that an object of this kind has no effect: a policy that was meant to forbid
/// something does not.
fn severity(kind: Kind) -> Severity {
    match kind {
        Kind::AuthorizationPolicy | Kind::RequestAuthentication => Severity::Warning,
        _ => Severity::Info,
    }
}

/// What the object says that has no effect.
pub fn not_in_effect(object: &Object) -> Vec<Diagnostic> {
    let patterns = fields(object.kind());
    if patterns.is_empty() {
        return Vec::new();
    }
    let spec = serialized(object);
    let mut found = Vec::new();
    for pattern in &patterns {
        let (pattern, wanted) = match pattern.split_once('=') {
            Some((pattern, wanted)) => (pattern, Some(wanted)),
            None => (pattern.as_str(), None),
        };
        let rest = pattern.strip_prefix("spec").unwrap_or(pattern);
        visit(
            &spec,
            &Path::Key(&Path::Root, "spec"),
            rest,
            wanted,
            &mut found,
        );
    }
    found
        .into_iter()
        .map(|field| {
            let message = "accepted, not in effect";
            Diagnostic::new(
                severity(object.kind()),
                code::NOT_IN_EFFECT,
                object,
                field,
                message,
            )
        })
        .collect()
}

fn serialized(object: &Object) -> Value {
    let value = match object {
        Object::Gateway(resource) => serde_json::to_value(&resource.spec),
        Object::VirtualService(resource) => serde_json::to_value(&resource.spec),
        Object::ServiceEntry(resource) => serde_json::to_value(&resource.spec),
        Object::DestinationRule(resource) => serde_json::to_value(&resource.spec),
        Object::Sidecar(resource) => serde_json::to_value(&resource.spec),
        Object::WorkloadEntry(resource) => serde_json::to_value(&resource.spec),
        Object::AuthorizationPolicy(resource) => serde_json::to_value(&resource.spec),
        Object::RequestAuthentication(resource) => serde_json::to_value(&resource.spec),
        Object::PeerAuthentication(resource) => serde_json::to_value(&resource.spec),
        Object::Telemetry(resource) => serde_json::to_value(&resource.spec),
        Object::EgressIPPool(resource) => serde_json::to_value(&resource.spec),
        Object::EgressPolicy(resource) => serde_json::to_value(&resource.spec),
        Object::ClusterEgressPolicy(resource) => serde_json::to_value(&resource.spec),
        Object::Service(resource) => serde_json::to_value(&resource.spec),
        Object::EndpointSlice(resource) => serde_json::to_value(&resource.spec),
        Object::Secret(resource) => serde_json::to_value(&resource.spec),
        Object::Namespace(resource) => serde_json::to_value(&resource.spec),
        Object::Pod(resource) => serde_json::to_value(&resource.spec),
        Object::ConfigMap(resource) => serde_json::to_value(&resource.spec),
    };
    value.expect("specs have text keys and finite numbers, so they serialize")
}

/// Follows the rest of a pattern into a value and notes the fields at its end that are set.
fn visit(
    value: &Value,
    path: &Path<'_>,
    rest: &str,
    wanted: Option<&str>,
    found: &mut Vec<String>,
) {
    if rest.is_empty() {
        if is_set(value, wanted) {
            found.push(path.to_string());
        }
    } else if let Some(rest) = rest.strip_prefix("[]") {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            visit(item, &Path::Index(path, index), rest, wanted, found);
        }
    } else if let Some(rest) = rest.strip_prefix("{}") {
        for (key, item) in value.as_object().into_iter().flatten() {
            visit(item, &Path::Key(path, key), rest, wanted, found);
        }
    } else {
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        let (key, rest) = rest.split_at(rest.find(['.', '[', '{']).unwrap_or(rest.len()));
        if let Some(item) = value.get(key) {
            visit(item, &Path::Key(path, key), rest, wanted, found);
        }
    }
}

/// Whether a field says something; the empty value of a field says nothing, as in proto3. A
/// whole spec counts even when empty: an empty AuthorizationPolicy means a lot.
fn is_set(value: &Value, wanted: Option<&str>) -> bool {
    match (value, wanted) {
        (Value::String(text), Some(wanted)) => text == wanted,
        (_, Some(_)) | (Value::Null, None) => false,
        (Value::Bool(flag), None) => *flag,
        (Value::Number(number), None) => number.as_f64() != Some(0.0),
        (Value::String(text), None) => !text.is_empty(),
        (Value::Array(items), None) => !items.is_empty(),
        (Value::Object(_), None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    #[test]
    fn only_what_is_set_is_listed_and_at_its_place() {
        let text = "\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: shop}
spec:
  host: a.example
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 1}}
    loadBalancer:
      simple: RANDOM
      localityLbSetting: {enabled: true}
    portLevelSettings:
    - port: {number: 80}
      loadBalancer: {simple: RANDOM}
    - port: {number: 443}
      loadBalancer: {simple: RANDOM, warmup: {duration: 10s}}
";
        let parsed = parse("dr.yaml", text, "default");
        let found: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "dr.yaml:10:7: info[SLU0010] DestinationRule shop/a: \
                 spec.trafficPolicy.loadBalancer.localityLbSetting: accepted, not in effect",
                "dr.yaml:15:38: info[SLU0010] DestinationRule shop/a: \
                 spec.trafficPolicy.portLevelSettings[1].loadBalancer.warmup: accepted, not in effect",
            ]
        );
    }

    #[test]
    fn a_value_can_be_without_effect_where_others_have_one() {
        let entry = |resolution: &str| {
            format!(
                "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: a}}, \
                 spec: {{hosts: ['*.a.example'], ports: [{{number: 443, name: tls, protocol: TLS}}], \
                 resolution: {resolution}}}}}"
            )
        };
        let inert = parse("", &entry("DYNAMIC_DNS"), "default");
        assert_eq!(inert.diagnostics.len(), 1);
        assert_eq!(inert.diagnostics[0].field, "spec.resolution");
        assert!(parse("", &entry("NONE"), "default").diagnostics.is_empty());
    }

    /// A misspelt line would never match and the field would be dropped in silence.
    #[test]
    fn every_line_names_a_field_of_its_kind() {
        for kind in Kind::ALL {
            for pattern in fields(*kind) {
                let pattern = pattern.split('=').next().unwrap_or_default();
                let yaml = nested(pattern);
                let group = match kind {
                    Kind::Telemetry => "telemetry.istio.io/v1",
                    Kind::AuthorizationPolicy
                    | Kind::RequestAuthentication
                    | Kind::PeerAuthentication => "security.istio.io/v1",
                    _ => "networking.istio.io/v1",
                };
                let text = format!(
                    "{{\"apiVersion\": \"{group}\", \"kind\": \"{kind}\", \"metadata\": {{\"name\": \"a\"}}, {yaml}}}"
                );
                let unknown: Vec<String> = parse("", &text, "default")
                    .diagnostics
                    .iter()
                    .map(ToString::to_string)
                    .filter(|message| message.contains("unknown field"))
                    .collect();
                assert!(unknown.is_empty(), "{kind} {pattern}: {unknown:?}");
            }
        }
    }

    /// `a.b[].c` as JSON that has that field, of some type.
    fn nested(pattern: &str) -> String {
        let (first, rest) = match pattern.split_once('.') {
            Some((first, rest)) => (first, format!("{{{}}}", nested(rest))),
            None => (pattern, "{}".to_owned()),
        };
        match first.strip_suffix("[]") {
            Some(first) => format!("\"{first}\": [{rest}]"),
            None => format!("\"{first}\": {rest}"),
        }
    }
}
