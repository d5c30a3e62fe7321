//! Changes to headers.

use sluice_plan::route::HeaderOperations;

use crate::envoy::core;

/// Envoy's two lists: it removes first, then adds in order.
pub(super) struct Operations {
    pub(super) add: Vec<core::HeaderValueOption>,
    pub(super) remove: Vec<String>,
}

pub(super) fn operations(operations: &HeaderOperations) -> Operations {
    use core::header_value_option::HeaderAppendAction;
    let option =
        |action: HeaderAppendAction, (key, value): &(String, String)| core::HeaderValueOption {
            header: Some(core::HeaderValue {
                key: key.clone(),
                value: value_format(value),
                ..Default::default()
            }),
            append_action: action.into(),
            keep_empty_value: true,
            ..Default::default()
        };
    let set = operations
        .set
        .iter()
        .map(|header| option(HeaderAppendAction::OverwriteIfExistsOrAdd, header));
    let add = operations
        .add
        .iter()
        .map(|header| option(HeaderAppendAction::AppendIfExistsOrAdd, header));
    Operations {
        add: set.chain(add).collect(),
        remove: operations.remove.clone(),
    }
}

/// Istio hands header values to Envoy as formats. One that Envoy cannot read would make it refuse
/// every route of the table, so a value with anything but known commands is taken as plain text.
fn value_format(value: &str) -> String {
    match is_format(value) {
        true => value.to_owned(),
        false => value.replace('%', "%%"),
    }
}

fn is_format(value: &str) -> bool {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('%') {
        let Some((command, following)) = after.split_once('%') else {
            return false;
        };
        if !command.is_empty() && !is_command(command) {
            return false;
        }
        rest = following;
    }
    true
}

/// Commands about the request at hand. None that read files, environment or filter state.
fn is_command(command: &str) -> bool {
    const PLAIN: &[&str] = &[
        "BYTES_RECEIVED",
        "CONNECTION_ID",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_LOCAL_ADDRESS",
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_LOCAL_PORT",
        "DOWNSTREAM_PEER_SUBJECT",
        "DOWNSTREAM_PEER_URI_SAN",
        "DOWNSTREAM_REMOTE_ADDRESS",
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_REMOTE_PORT",
        "DOWNSTREAM_TLS_CIPHER",
        "DOWNSTREAM_TLS_VERSION",
        "HOSTNAME",
        "PROTOCOL",
        "REQUESTED_SERVER_NAME",
        "RESPONSE_CODE",
        "RESPONSE_CODE_DETAILS",
        "RESPONSE_FLAGS",
        "ROUTE_NAME",
        "START_TIME",
        "UPSTREAM_CLUSTER",
        "UPSTREAM_HOST",
        "UPSTREAM_LOCAL_ADDRESS",
        "UPSTREAM_REMOTE_ADDRESS",
        "VIRTUAL_CLUSTER_NAME",
    ];
    let header = |prefix: &str| {
        command
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(')'))
            .is_some_and(|name| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte))
            })
    };
    PLAIN.contains(&command) || header("REQ(") || header("RESP(")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_command_stays_a_format() {
        for value in [
            "plain",
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            "a %REQ(:authority)% b %PROTOCOL%",
            "100%%",
        ] {
            assert_eq!(value_format(value), value);
        }
    }

    #[test]
    fn anything_else_is_plain_text() {
        assert_eq!(value_format("100%"), "100%%");
        assert_eq!(value_format("%ENVIRONMENT(HOME)%"), "%%ENVIRONMENT(HOME)%%");
        assert_eq!(value_format("%NO_SUCH%"), "%%NO_SUCH%%");
        assert_eq!(value_format("%REQ(a%"), "%%REQ(a%%");
    }
}
