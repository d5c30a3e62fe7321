//! Names of gRPC statuses, as faults are written with them.

/// By number, as the gRPC specification counts them.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The number of the status of this name, in capitals.
pub fn number(name: &str) -> Option<u32> {
    let at = NAMES.iter().position(|known| *known == name)?;
    u32::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_as_grpc_counts_them() {
        assert_eq!(number("OK"), Some(0));
        assert_eq!(number("PERMISSION_DENIED"), Some(7));
        assert_eq!(number("UNAUTHENTICATED"), Some(16));
        assert_eq!(number("7"), None);
        assert_eq!(number("unavailable"), None);
    }
}
