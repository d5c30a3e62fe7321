//! Formats of the access log: Envoy refuses every listener for a command that it does not know.

/// Envoy's commands.
const COMMANDS: [&str; 78] = [
    "ACCESS_LOG_TYPE",
    "BYTES_RECEIVED",
    "BYTES_RETRANSMITTED",
    "BYTES_SENT",
    "CEL",
    "CLUSTER_METADATA",
    "COMMON_DURATION",
    "CONNECTION_ID",
    "CONNECTION_TERMINATION_DETAILS",
    "CUSTOM_FLAGS",
    "DOWNSTREAM_DETECTED_CLOSE_TYPE",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_HANDSHAKE_DURATION",
    "DOWNSTREAM_HEADER_BYTES_RECEIVED",
    "DOWNSTREAM_HEADER_BYTES_SENT",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_DNS_SAN",
    "DOWNSTREAM_LOCAL_PORT",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_LOCAL_URI_SAN",
    "DOWNSTREAM_PEER_CERT",
    "DOWNSTREAM_PEER_CERT_V_END",
    "DOWNSTREAM_PEER_CERT_V_START",
    "DOWNSTREAM_PEER_DNS_SAN",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_ISSUER",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_REMOTE_PORT",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_TLS_SESSION_ID",
    "DOWNSTREAM_TLS_VERSION",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
    "DOWNSTREAM_WIRE_BYTES_RECEIVED",
    "DOWNSTREAM_WIRE_BYTES_SENT",
    "DURATION",
    "DYNAMIC_METADATA",
    "EMIT_TIME",
    "ENVIRONMENT",
    "FILTER_CHAIN_NAME",
    "FILTER_STATE",
    "GRPC_STATUS",
    "GRPC_STATUS_NUMBER",
    "HOSTNAME",
    "METADATA",
    "PROTOCOL",
    "REQ",
    "REQUESTED_SERVER_NAME",
    "REQUEST_DURATION",
    "REQUEST_TX_DURATION",
    "RESP",
    "RESPONSE_CODE",
    "RESPONSE_CODE_DETAILS",
    "RESPONSE_DURATION",
    "RESPONSE_FLAGS",
    "RESPONSE_FLAGS_LONG",
    "RESPONSE_TX_DURATION",
    "ROUTE_NAME",
    "START_TIME",
    "STREAM_ID",
    "TRACE_ID",
    "TRAILER",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_CLUSTER_RAW",
    "UPSTREAM_HOST",
    "UPSTREAM_HOST_NAME",
    "UPSTREAM_LOCAL_ADDRESS",
    "UPSTREAM_REMOTE_ADDRESS",
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
    "VIRTUAL_CLUSTER_NAME",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT",
];

/// Commands that need an argument in parentheses.
const WITH_ARGUMENT: [&str; 10] = [
    "CEL",
    "CLUSTER_METADATA",
    "COMMON_DURATION",
    "DYNAMIC_METADATA",
    "ENVIRONMENT",
    "FILTER_STATE",
    "METADATA",
    "REQ",
    "RESP",
    "TRAILER",
];

/// What is wrong with a format, if anything: `%COMMAND%`, `%COMMAND(ARGUMENT):LENGTH%` and `%%`.
pub(super) fn check(format: &str) -> Result<(), String> {
    let mut rest = format;
    while let Some((_, after)) = rest.split_once('%') {
        if let Some(after) = after.strip_prefix('%') {
            rest = after;
            continue;
        }
        let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let (name, mut after) = after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()));
        let unknown =
            || format!("`%{name}` is no command of Envoy's access log; write `%%` for `%`");
        if !COMMANDS.contains(&name) {
            return Err(unknown());
        }
        if let Some(argument) = after.strip_prefix('(') {
            let (argument, following) = argument.split_once(')').ok_or_else(unknown)?;
            if argument.is_empty() && WITH_ARGUMENT.contains(&name) {
                return Err(unknown());
            }
            after = following;
        } else if WITH_ARGUMENT.contains(&name) {
            return Err(unknown());
        }
        if let Some(length) = after.strip_prefix(':') {
            let end = length
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(length.len());
            if end == 0 {
                return Err(unknown());
            }
            after = &length[end..];
        }
        rest = after.strip_prefix('%').ok_or_else(unknown)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_envoys_commands_are_taken() {
        for format in [
            "",
            "plain 100%%",
            "[%START_TIME(%Y-%m-%d)%] %REQ(X-A?:PATH):10% %RESPONSE_CODE%",
            r#"{"a": "%DYNAMIC_METADATA(a:b):3%"}"#,
        ] {
            assert_eq!(check(format), Ok(()), "{format}");
        }
    }

    #[test]
    fn what_envoy_would_refuse_every_listener_for_is_refused() {
        for format in [
            "%NOPE%",
            "100%",
            "%REQ%",
            "%REQ(a%",
            "%REQ():3%",
            "%PROTOCOL",
            "%RESP(a):x%",
        ] {
            assert!(check(format).is_err(), "{format}");
        }
    }
}
