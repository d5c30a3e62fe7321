//! Facts about a connection that go along to the next internal listener.
//!
//! This is the only place that makes them, since a mistake here lets one workload's connection
//! leave under another's identity (measured with `envoy.string` and pooled connections). Two locks:
//! every cluster that leads to an internal listener has a pool per downstream connection
//! ([`crate::cluster`]), and whatever a decision depends on is hashable, so that it is part of every
//! pool's key, up to the external server: HTTP connections are never shared between identities.
//!
//! What is only logged is deliberately not hashable: a pool for every pod and every address that a
//! client dialled would mean a TLS handshake with the partner for nearly every request.

use crate::{
    envoy::{any, cel_format, core, filter, filter_state, inline, listener, set_filter_state},
    names,
};

/// When facts become known.
#[derive(Clone, Copy)]
pub(crate) enum Moment {
    /// At once.
    NewConnection,
    /// With the client's certificate. On a new connection there is none yet.
    TlsHandshake,
}

/// A fact about a connection.
pub(crate) enum Fact {
    /// Part of every decision, and of every pool's key.
    Decisive { key: &'static str, format: String },
    /// For the log.
    Told { key: &'static str, format: String },
    /// Which cluster this listener's TCP proxy uses; goes no further.
    ChosenCluster { format: String },
}

/// The network filter that records `facts`.
pub(crate) fn filter_state(moment: Moment, facts: &[Fact]) -> listener::Filter {
    let values = facts.iter().map(value).collect();
    let mut config = set_filter_state::Config::default();
    match moment {
        Moment::NewConnection => config.on_new_connection = values,
        Moment::TlsHandshake => config.on_downstream_tls_handshake = values,
    }
    filter("envoy.filters.network.set_filter_state", &config)
}

fn value(fact: &Fact) -> filter_state::FilterStateValue {
    use filter_state::filter_state_value::{Key, SharedWithUpstream, Value};
    let (key, factory, shared, format) = match fact {
        Fact::Decisive { key, format } => (
            *key,
            "envoy.hashable_string",
            SharedWithUpstream::Transitive,
            format,
        ),
        Fact::Told { key, format } => {
            (*key, "envoy.string", SharedWithUpstream::Transitive, format)
        }
        Fact::ChosenCluster { format } => {
            (names::CHOSEN_CLUSTER, "", SharedWithUpstream::None, format)
        }
    };
    filter_state::FilterStateValue {
        factory_key: factory.to_owned(),
        shared_with_upstream: shared.into(),
        // Without it an absent name would become the text `-`.
        skip_if_empty: true,
        key: Some(Key::ObjectKey(key.to_owned())),
        value: Some(Value::FormatString(core::SubstitutionFormatString {
            omit_empty_values: true,
            format: inline(format.as_str())
                .map(core::substitution_format_string::Format::TextFormatSource),
            formatters: cel_formatter(format).into_iter().collect(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

/// Filter state is bytes to CEL; turning them into a string is off unless asked for.
fn cel_formatter(format: &str) -> Option<core::TypedExtensionConfig> {
    format
        .contains("%CEL(")
        .then(|| core::TypedExtensionConfig {
            name: "envoy.formatter.cel".to_owned(),
            typed_config: Some(any(&cel_format::Cel {
                cel_config: Some(core::CelExpressionConfig {
                    enable_string_conversion: true,
                    ..Default::default()
                }),
            })),
        })
}
