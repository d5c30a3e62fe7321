//! Sources, publishing, CA, admin: the effects around the pure pipeline.
