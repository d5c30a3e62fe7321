//! What a record says, as text and as JSON.

use super::{Place, Subject};
use crate::{
    envoy::{Struct, core, fields, inline, text as value},
    names, rbac,
};

/// A record as a line of text.
pub(super) fn text(
    format: Option<&str>,
    place: Place,
    subject: Subject<'_>,
) -> core::SubstitutionFormatString {
    let mut line = format
        .unwrap_or(ISTIO_TEXT)
        .trim_end_matches('\n')
        .to_owned();
    for field in own_fields(place, subject) {
        line.push_str(&match field.quoted {
            true => format!(" {}=\"{}\"", field.key, field.format),
            false => format!(" {}={}", field.key, field.format),
        });
    }
    line.push('\n');
    core::SubstitutionFormatString {
        format: inline(line).map(core::substitution_format_string::Format::TextFormatSource),
        ..Default::default()
    }
}

/// A record as a JSON object. A custom format is itself a JSON object; what is none was reported
/// where the mesh config was read, and Istio's stands in for it.
pub(super) fn json(
    format: Option<&str>,
    place: Place,
    subject: Subject<'_>,
) -> core::SubstitutionFormatString {
    let custom = format.and_then(|format| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(format).ok()
    });
    let mut keys = match custom {
        Some(keys) => fields(keys.into_iter().map(|(key, json)| (key, from_json(json)))),
        None => fields(
            ISTIO_JSON
                .iter()
                .map(|(key, format)| ((*key).to_owned(), value(*format))),
        ),
    };
    let own = own_fields(place, subject);
    keys.fields.extend(
        own.into_iter()
            .map(|field| (field.key.to_owned(), value(field.format))),
    );
    core::SubstitutionFormatString {
        format: Some(core::substitution_format_string::Format::JsonFormat(keys)),
        ..Default::default()
    }
}

struct Field {
    key: &'static str,
    format: String,
    /// Whether the text may hold blanks.
    quoted: bool,
}

fn own_fields(place: Place, subject: Subject<'_>) -> Vec<Field> {
    let carried = |key: &str| format!("%FILTER_STATE({key}:PLAIN)%");
    let absent = || "-".to_owned();
    let (peer, pod, class, original_dst) = match place {
        Place::Sidecar => return Vec::new(),
        Place::Tunnel => (
            "%DOWNSTREAM_PEER_URI_SAN%".to_owned(),
            absent(),
            carried(names::CLASS),
            absent(),
        ),
        Place::Internal(class) => (
            carried(names::PEER),
            carried(names::POD),
            class.map_or_else(|| carried(names::CLASS), |class| class.to_string()),
            // Its own address is the original destination: a PROXY header said so.
            "%DOWNSTREAM_LOCAL_ADDRESS%".to_owned(),
        ),
        // Without mTLS there is no certificate, and Envoy writes `-`.
        Place::Bare => (
            "%DOWNSTREAM_PEER_URI_SAN%".to_owned(),
            absent(),
            absent(),
            "%DOWNSTREAM_LOCAL_ADDRESS%".to_owned(),
        ),
    };
    let (host, rule, reason) = match subject {
        Subject::Requests { .. } => (
            "%REQ(:AUTHORITY)%",
            format!("%METADATA(ROUTE:{}:{})%", names::METADATA, names::RULE),
            None,
        ),
        Subject::Connections { rule, .. } => ("%REQUESTED_SERVER_NAME%", literal(rule), None),
        Subject::Refusals { rule, reason } => (
            "%REQUESTED_SERVER_NAME%",
            literal(rule),
            Some(literal(reason)),
        ),
    };
    let field = |key, format| Field {
        key,
        format,
        quoted: false,
    };
    let mut own = vec![
        field("peer", peer),
        field("pod", pod),
        field("class", class),
        field("host", host.to_owned()),
        field("original_dst", original_dst),
        field("source", "%UPSTREAM_LOCAL_ADDRESS%".to_owned()),
        field("rule", rule),
    ];
    let judged = match subject {
        Subject::Requests { authorization } => rbac::log_fields(authorization, true),
        Subject::Connections { authorization, .. } => rbac::log_fields(authorization, false),
        Subject::Refusals { .. } => Vec::new(),
    };
    own.extend(judged.into_iter().map(|(key, format)| field(key, format)));
    own.extend(reason.map(|reason| Field {
        key: "reason",
        format: reason,
        quoted: true,
    }));
    own
}

/// Text that stays as it is in a format, and in one line.
fn literal(text: &str) -> String {
    text.replace('%', "%%").replace(['\n', '\r', '"'], "'")
}

fn from_json(json: serde_json::Value) -> crate::envoy::Value {
    use serde_json::Value as Json;
    match json {
        Json::Object(object) => crate::envoy::Value {
            kind: Some(envoy_types::pb::google::protobuf::value::Kind::StructValue(
                Struct {
                    fields: object
                        .into_iter()
                        .map(|(key, json)| (key, from_json(json)))
                        .collect(),
                },
            )),
        },
        Json::String(text) => value(text),
        // Formats are strings; numbers and truth values stand for themselves.
        Json::Null => value("-"),
        Json::Array(_) | Json::Bool(_) | Json::Number(_) => value(literal(&json.to_string())),
    }
}

/// Istio's default line.
const ISTIO_TEXT: &str = concat!(
    r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" "#,
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% ",
    "%CONNECTION_TERMINATION_DETAILS% ",
    r#""%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "#,
    r#"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "#,
    r#""%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% "#,
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% ",
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%",
);

/// Istio's default keys.
const ISTIO_JSON: &[(&str, &str)] = &[
    ("authority", "%REQ(:AUTHORITY)%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    (
        "connection_termination_details",
        "%CONNECTION_TERMINATION_DETAILS%",
    ),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("duration", "%DURATION%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("route_name", "%ROUTE_NAME%"),
    ("start_time", "%START_TIME%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    (
        "upstream_service_time",
        "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    ),
    (
        "upstream_transport_failure_reason",
        "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    ),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
];

#[cfg(test)]
mod tests {
    use sluice_plan::authorization::Authorization;

    use super::*;

    fn line(format: core::SubstitutionFormatString) -> String {
        use crate::envoy::core::{data_source::Specifier, substitution_format_string::Format};
        match format.format {
            Some(Format::TextFormatSource(source)) => match source.specifier {
                Some(Specifier::InlineString(line)) => line,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_sidecar_writes_exactly_istios_line() {
        let format = text(
            None,
            Place::Sidecar,
            Subject::Connections {
                rule: "x",
                authorization: &Authorization::default(),
            },
        );

        assert_eq!(
            line(format),
            "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
        );
    }

    #[test]
    fn a_rule_cannot_smuggle_a_command_or_a_line_into_the_log() {
        let subject = Subject::Refusals {
            rule: "100%",
            reason: "a \"b\"\nc",
        };
        let format = line(text(Some("mine\n"), Place::Bare, subject));

        assert!(format.starts_with("mine peer="), "{format}");
        assert!(
            format.ends_with(" rule=100%% reason=\"a 'b''c\"\n"),
            "{format}"
        );
    }

    #[test]
    fn a_custom_json_format_keeps_its_keys_and_gets_ours() {
        let format = json(
            Some(r#"{"a": "%PROTOCOL%", "b": {"c": 5}}"#),
            Place::Bare,
            Subject::Requests {
                authorization: &Authorization::default(),
            },
        );
        let Some(core::substitution_format_string::Format::JsonFormat(keys)) = format.format else {
            panic!("{format:?}");
        };
        let mut keys: Vec<_> = keys.fields.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "a",
                "b",
                "class",
                "host",
                "original_dst",
                "peer",
                "pod",
                "rule",
                "source"
            ]
        );
    }
}
