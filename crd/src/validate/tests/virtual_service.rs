//! Rules of a VirtualService and its HTTP routes.

use super::findings;

const ROUTE: &str = "route: [{destination: {host: b.example}}]";

#[test]
fn virtual_service() {
    let http = format!("http: [{{{ROUTE}}}]");
    let with = |rest: &str| format!("{{hosts: [a.example], {rest}}}");
    for (spec, expected) in [
        (with(&http), vec![]),
        (with(""), vec!["error spec: http, tls or tcp is required"]),
        (
            format!("{{gateways: [gw], {http}, tcp: [{{{ROUTE}}}]}}"),
            vec![
                "error gateways: without hosts this is a delegate, which has no gateways",
                "error tcp: without hosts this is a delegate, which has no tcp",
            ],
        ),
        (
            format!("{{hosts: ['*', a_b, '*.example'], {http}}}"),
            vec![
                "error hosts[0]: host `*` needs a gateway",
                "error hosts[1]: host `a_b` is invalid at `a_b`",
            ],
        ),
        (format!("{{hosts: ['*'], gateways: [gw], {http}}}"), vec![]),
        (
            format!("{{hosts: ['*.example', a.example], {http}}}"),
            vec!["error hosts[1]: host `a.example` overlaps with `*.example`"],
        ),
        (
            with(&format!("gateways: [mesh, shop/gw, shop/, a.b.c], {http}")),
            vec![
                "error gateways[2]: a gateway is named `name` or `namespace/name`",
                "warning gateways[3]: names with dots are deprecated, use `namespace/name`",
            ],
        ),
        (
            with(&format!("exportTo: [., shop, '*', 'a b', '~'], {http}")),
            vec![
                "error exportTo[1]: `shop` is there twice",
                "error exportTo[2]: `*` must stand alone",
                "error exportTo[3]: `a b` is no namespace, `.`, `*` or `~`",
                "error exportTo[4]: `~` must stand alone",
            ],
        ),
        (
            with(&format!(
                "tls: [{{match: [{{sniHosts: [b.example], port: 70000}}], {ROUTE}}}, {{{ROUTE}}}]"
            )),
            vec![
                "error tls[0].match[0].sniHosts[0]: SNI host `b.example` is not within the hosts a.example",
                "error tls[0].match[0].port: port 70000 is not within 1 and 65535",
                "error tls[1].match: at least one match with sniHosts is required",
            ],
        ),
        (
            with(
                "tcp: [{match: [{destinationSubnets: [10.0.0.0/8, x], sourceNamespace: 'a b'}], route: []}]",
            ),
            vec![
                "error tcp[0].match[0].destinationSubnets[1]: `x` is no IP address",
                "error tcp[0].match[0].sourceNamespace: `a b` is no namespace",
                "error tcp[0].route: at least one target is required",
            ],
        ),
        (
            with(&format!(
                "tcp: [{{{ROUTE}}}, {{match: [{{port: 1}}], {ROUTE}}}]"
            )),
            vec!["warning tcp[1]: never reached, rule 0 matches everything"],
        ),
        (
            with(&format!(
                "http: [{{match: [{{uri: {{prefix: /}}}}], {ROUTE}}}, {{{ROUTE}}}, {{{ROUTE}}}]"
            )),
            vec!["warning http[2]: never reached, rule 1 matches everything"],
        ),
    ] {
        assert_eq!(findings("VirtualService", &spec), expected, "{spec}");
    }
}

#[test]
fn http_route() {
    let table: &[(&str, &[&str])] = &[
        (
            "",
            &["error http[0]: one of route, redirect, directResponse and delegate is required"],
        ),
        (
            "ROUTE, redirect: {uri: /}",
            &["error http[0]: only one of route and redirect may be set"],
        ),
        (
            "ROUTE, timeout: 0s, retries: {attempts: 3, retryOn: '5xx,503, reset', perTryTimeout: 2s}",
            &[],
        ),
        (
            "directResponse: {status: 199}, rewrite: {uri: /}, fault: {abort: {httpStatus: 500}}",
            &[
                "error http[0].fault: fault needs a route to forward to",
                "error http[0].rewrite: rewrite needs a route to forward to",
                "error http[0].directResponse.status: HTTP status 199 is not within 200 and 599",
            ],
        ),
        (
            "directResponse: {status: 403, body: {string: blocked}}",
            &[],
        ),
        (
            "directResponse: {status: 403, body: {string: a, bytes: YQ==}}",
            &["error http[0].directResponse.body: only one of string and bytes may be set"],
        ),
        (
            "redirect: {}",
            &[
                "error http[0].redirect: one of uri, prefixRewrite, authority, scheme and port is required",
            ],
        ),
        (
            "redirect: {uri: /, prefixRewrite: /, port: 0, derivePort: FROM_REQUEST_PORT, redirectCode: 200, \
             scheme: ftp}, match: [{uri: {exact: /a}}]",
            &[
                "error http[0].redirect: only one of uri and prefixRewrite may be set",
                "error http[0].redirect.prefixRewrite: every match on uri must be by prefix",
                "error http[0].redirect: only one of port and derivePort may be set",
                "error http[0].redirect.port: port 0 is not within 1 and 65535",
                "error http[0].redirect.redirectCode: status 200 is none of 301, 302, 303, 307 and 308",
                "error http[0].redirect.scheme: the scheme must be http or https",
            ],
        ),
        (
            "ROUTE, match: [{uri: {regex: '('}, method: {prefix: ''}, headers: {'a b': {exact: x}, x-y: {}, z: {regex: '*'}}, \
             queryParams: {q: {regex: ''}}, port: 0}]",
            &[
                "error http[0].match[0].uri.regex: invalid regular expression: unclosed group",
                "error http[0].match[0].method: an empty prefix is not allowed",
                "error http[0].match[0].headers[\"a b\"]: `a b` is no header name",
                "error http[0].match[0].queryParams.q: an empty regular expression is not allowed",
            ],
        ),
        (
            "route: [{destination: {host: ''}, weight: -1}, {destination: {host: '*', subset: a_b, port: {number: 0}}, weight: 1}]",
            &[
                "error http[0].route[0].destination.host: a destination host is required",
                "error http[0].route[0].weight: -1 is negative",
                "error http[0].route[1].destination.host: `*` is no destination",
                "error http[0].route[1].destination.subset: subset name `a_b` is no DNS label",
                "error http[0].route[1].destination.port.number: port 0 is not within 1 and 65535",
                "error http[0].route: the weights of several targets sum to 0",
            ],
        ),
        (
            "ROUTE, headers: {request: {set: {Host: a, x: '100%'}, add: {':authority': b, ':path': /, y: '%%'}, remove: [host]}, \
             response: {set: {host: a, z: '%REQ(a)%'}}}",
            &[
                "error http[0].headers.request.set.x: header value `100%` has a single `%`, write `%%`",
                "error http[0].headers.request.add[\":path\"]: `:path` is no header name",
                "error http[0].headers.request.remove[0]: header `host` cannot be changed here",
                "error http[0].headers.response.set.host: header `host` cannot be changed here",
                "error http[0].headers: the authority is set more than once",
            ],
        ),
        (
            "ROUTE, rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: ''}}, timeout: 0.0005s",
            &[
                "error http[0].timeout: duration 0.0005s is shorter than 1ms",
                "error http[0].rewrite.uriRegexRewrite: only one of uri and uriRegexRewrite may be set",
                "error http[0].rewrite.uriRegexRewrite.rewrite: a replacement is required",
            ],
        ),
        (
            "ROUTE, retries: {attempts: 0, retryOn: nonsense}",
            &[
                "error http[0].retries.attempts: 0 attempts turn retries off, the rest has no meaning",
                "error http[0].retries.retryOn: `nonsense` is no retry condition",
            ],
        ),
        (
            "ROUTE, fault: {delay: {fixedDelay: 1us, exponentialDelay: 1s}, abort: {grpcStatus: NOPE, http2Error: x}}",
            &[
                "error http[0].fault.delay.fixedDelay: duration 0.000001s is shorter than 1ms",
                "error http[0].fault.delay.exponentialDelay: exponentialDelay is not supported",
                "error http[0].fault.abort.http2Error: http2Error is not supported",
                "error http[0].fault.abort.grpcStatus: `NOPE` is no gRPC status",
            ],
        ),
        (
            "ROUTE, fault: {}",
            &["error http[0].fault: delay or abort is required"],
        ),
        (
            "ROUTE, mirror: {host: c.example}, mirrors: [{destination: {host: d.example}}], mirrorPercent: 101",
            &[
                "error http[0].mirrors: only one of mirror and mirrors may be set",
                "warning http[0].mirrorPercent: mirrorPercent is deprecated, use mirrorPercentage",
                "error http[0].mirrorPercent: percentage 101 is not within 0 and 100",
            ],
        ),
        ("delegate: {name: other}", &[]),
        (
            "delegate: {name: other}, ROUTE",
            &["error http[0]: only one of route and delegate may be set"],
        ),
    ];
    for (route, expected) in table {
        let route = route.replace("ROUTE", ROUTE);
        let spec = format!("{{hosts: [a.example], http: [{{{route}}}]}}");
        assert_eq!(findings("VirtualService", &spec), *expected, "{route}");
    }
}
