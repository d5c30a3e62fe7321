//! Plan to Envoy messages.
