//! The rules of a session, each by name.
