//! Access logs: Istio's line, at gateways with our fields appended.
//!
//! A connection is logged once: by the listener that dials the outside, or refuses.

mod format;

use sluice_plan::{
    authorization::Authorization,
    identity::ClassId,
    listener::{AccessLog, Encoding},
};

use crate::envoy::{accesslog, any, cel, core, file_log, stream_log};

/// Who logs, which decides where our fields come from.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// A sidecar: Istio's line and no more.
    Sidecar,
    /// A gateway's tunnel listener, where only the certificate is known.
    Tunnel,
    /// A gateway's internal listener: facts were carried along.
    Internal(Option<ClassId>),
    /// A gateway's own port.
    Bare,
}

/// What is logged about.
#[derive(Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// HTTP requests; the route knows the rule.
    Requests {
        /// Who may make them.
        authorization: &'a Authorization,
    },
    /// Connections that `rule` lets through.
    Connections {
        rule: &'a str,
        /// Who may make them.
        authorization: &'a Authorization,
    },
    /// Connections that `rule` refuses, because.
    Refusals { rule: &'a str, reason: &'a str },
}

/// Which records are written.
#[derive(Clone, Copy)]
pub(crate) enum Only {
    /// All.
    All,
    /// Those that did not go on to another listener of this Envoy, which logs them itself.
    Final,
    /// Those that never got an upstream.
    Stranded,
}

/// The access log of a filter.
pub(crate) fn access_log(
    log: &AccessLog,
    place: Place,
    subject: Subject<'_>,
    only: Only,
) -> Vec<accesslog::AccessLog> {
    let format = match log.encoding {
        Encoding::Text => format::text(log.format.as_deref(), place, subject),
        Encoding::Json => format::json(log.format.as_deref(), place, subject),
    };
    vec![sink(log.file.as_deref(), format, filter(only))]
}

fn sink(
    file: Option<&str>,
    format: core::SubstitutionFormatString,
    filter: Option<accesslog::AccessLogFilter>,
) -> accesslog::AccessLog {
    let (name, config) = match file {
        Some(path) => (
            "envoy.access_loggers.file",
            any(&file_log::FileAccessLog {
                path: path.to_owned(),
                access_log_format: Some(file_log::file_access_log::AccessLogFormat::LogFormat(
                    format,
                )),
            }),
        ),
        // Not the file /dev/stdout: that cannot be opened where standard output is a socket, or
        // a pipe of another user.
        None => (
            "envoy.access_loggers.stdout",
            any(&stream_log::StdoutAccessLog {
                access_log_format: Some(stream_log::stdout_access_log::AccessLogFormat::LogFormat(
                    format,
                )),
            }),
        ),
    };
    accesslog::AccessLog {
        name: name.to_owned(),
        filter,
        config_type: Some(accesslog::access_log::ConfigType::TypedConfig(config)),
    }
}

/// Addresses of internal listeners read `envoy://LISTENER/ENDPOINT`.
fn filter(only: Only) -> Option<accesslog::AccessLogFilter> {
    let expression = match only {
        Only::All => return None,
        Only::Final => "!(has(upstream.address) && upstream.address.startsWith('envoy://'))",
        Only::Stranded => "!has(upstream.address)",
    };
    let config = cel::ExpressionFilter {
        expression: expression.to_owned(),
        ..Default::default()
    };
    Some(accesslog::AccessLogFilter {
        filter_specifier: Some(
            accesslog::access_log_filter::FilterSpecifier::ExtensionFilter(
                accesslog::ExtensionFilter {
                    name: "envoy.access_loggers.extension_filters.cel".to_owned(),
                    config_type: Some(accesslog::extension_filter::ConfigType::TypedConfig(any(
                        &config,
                    ))),
                },
            ),
        ),
    })
}
